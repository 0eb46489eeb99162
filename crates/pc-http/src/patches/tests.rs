use super::*;

const SHIPPED: &str = include_str!("../../../../patches/exchange.toml");

/// The rules that a request hits, by its target and cookie as they came.
fn hits(target: &str, cookie: &str) -> Vec<String> {
    let pack = Pack::parse(SHIPPED).unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(path) = NormalPath::new(path, query) else { return vec!["no normal form".to_owned()] };
    let cookie = cookie.to_lowercase();
    let seen = Seen { method: "GET", path: &path, cookie: &cookie };
    pack.hits(&seen).map(|rule| rule.id.clone()).collect()
}

#[test]
fn every_published_shape_and_bypass_is_hit() {
    for (target, cookie) in [
        ("/ecp/y.js", "X-BEResource=localhost~1942062522/ecp/proxyLogon.ecp?a=b~1942062522"),
        ("/ecp/program.js", "X-BEResource=admin@srv:444/ews/exchange.asmx?~1941962753"),
        ("/owa/auth/x.js", "X-AnonResource=true; X-AnonResource-Backend=srv/ecp/default.flt?~3"),
        (
            "/autodiscover/autodiscover.json?@example.net/mapi/nspi/?&Email=autodiscover/autodiscover.json%3f@example.net",
            "",
        ),
        (
            "/autodiscover/autodiscover.json?a=b@example.net/ews/exchange.asmx",
            "Email=autodiscover/autodiscover.json?a=b@example.net",
        ),
        ("/autodiscover/autodiscover.json?@example.net/powershell/?X-Rps-CAT=VgEAVAd", ""),
        (
            "/Autodiscover/Autodiscover.json?@example.net/PowerShell/&Email=Autodiscover/autodiscover.json%3F@example.net",
            "",
        ),
        ("/autodiscover/autodiscover.json?x=%50owershell", ""),
        ("/autodiscover/autodiscover.json?x=%2550owershell", ""),
        ("/autodiscover/autodiscover.json/v1.0/a@example.net?powershell", ""),
        ("/%61utodiscover/autodiscover.json?powershell", ""),
        ("/powershell?autodiscover", ""),
        ("/owa/mastermailbox%40example.net/powershell", ""),
        ("/owa/a@example.net/%70owershell", ""),
        ("/owa/x/..%2fpowershell", ""),
        ("/ecp/a@example.net/RulesEditor/InboxRules.svc/NewObject?a=b", "SecurityToken=x"),
        ("/ews/exchange.asmx?X-Rps-CAT=x", ""),
    ] {
        assert!(!hits(target, cookie).is_empty(), "{target} {cookie}");
    }
}

#[test]
fn what_clients_really_send_hits_nothing() {
    for target in [
        "/autodiscover/autodiscover.json/v1.0/user@example.org?Protocol=EWS",
        "/autodiscover/autodiscover.json?Email=user%40example.org&Protocol=ActiveSync",
        "/autodiscover/autodiscover.xml",
        "/owa/?ae=Item&t=IPM.Note",
        "/owa/service.svc?action=FindItem&EP=1",
        "/mapi/emsmdb/?MailboxId=6b1a-guid@example.org",
        "/mapi/nspi/?MailboxId=6b1a-guid@example.org",
        "/rpc/rpcproxy.dll?ex01:6001",
        "/Microsoft-Server-ActiveSync?User=a&DeviceId=b&DeviceType=c&Cmd=Ping",
        "/EWS/Exchange.asmx",
        "/ecp/?rfr=owa",
        "/oab/guid/oab.xml",
    ] {
        let cookie = "ClientId=AB; X-BackEndCookie=S-1-5=u56Lnp2ejJqB~; X-BEResource-Other=1";
        assert_eq!(hits(target, cookie), Vec::<String>::new(), "{target}");
    }
}

#[test]
fn the_response_rule_adds_its_directive_once_and_to_pages_only() {
    let pack = Pack::parse(SHIPPED).unwrap();
    let path = NormalPath::new("/OWA/", None).unwrap();
    let seen = Seen { method: "GET", path: &path, cookie: "" };
    let rule = pack.changes(&seen).next().unwrap();
    let added = |content_type, policy| rule.content_security_policy(content_type, policy);
    assert_eq!(added("text/html; charset=utf-8", None).unwrap(), "script-src-attr 'none'");
    assert_eq!(
        added("Text/HTML", Some("default-src 'self';")).unwrap(),
        "default-src 'self'; script-src-attr 'none'"
    );
    assert_eq!(added("text/html", Some("script-src-attr 'none'")).unwrap(), "script-src-attr 'none'");
    assert_eq!(added("application/json", None), None);
    let other = NormalPath::new("/owa/service.svc", None).unwrap();
    assert_eq!(pack.changes(&Seen { path: &other, ..seen }).count(), 0);
}

#[test]
fn a_faulty_pack_is_refused_as_a_whole() {
    let rule = |lines: &str| {
        format!(
            "version = 1\npublished = \"2026-11-24\"\n[[rule]]\nid = \"a\"\ncve = []\ntitle = \"s\"\naction = \"deny\"\n{lines}"
        )
    };
    assert!(Pack::parse(&rule("when = [{ in = \"path\", all = [\"x\"] }]")).is_ok());
    for (lines, says) in [
        ("when = []", "1 to 16"),
        ("when = [{ in = \"path\" }]", "one list"),
        ("when = [{ in = \"path\", all = [\"x\"], any = [\"y\"] }]", "one list"),
        ("when = [{ in = \"path\", all = [\"X\"] }]", "lower case"),
        ("when = [{ in = \"path\", all = [\"\"] }]", "one list"),
        ("when = [{ in = \"body\", all = [\"x\"] }]", "body"),
        ("expires = \"soon\"\nwhen = [{ in = \"path\", all = [\"x\"] }]", "no date"),
        ("regex = \"(a+)+$\"\nwhen = [{ in = \"path\", all = [\"x\"] }]", "regex"),
        ("mode = \"off\"\nwhen = [{ in = \"path\", all = [\"x\"] }]", "block"),
    ] {
        let error = Pack::parse(&rule(lines)).unwrap_err().to_string();
        assert!(error.contains(says), "{lines}: {error}");
    }
}

fn two_rules(first: &str, second: &str) -> String {
    let rule = |id: &str, lines: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\ncve = []\ntitle = \"t\"\naction = \"deny\"\nwhen = [{{ in = \"path\", all = [\"x\"] }}]\n{lines}\n"
        )
    };
    format!("version = 1\npublished = \"2026-11-24\"\n{}{}", rule("a", first), rule("b", second))
}

#[test]
fn the_word_of_the_operator_for_a_site_outweighs_all_others_and_a_rule_that_expired_reports() {
    use PatchMode::{Block, Off, Report};
    let pack = Pack::parse(&two_rules("expires = \"2026-11-23\"", "mode = \"report\"")).unwrap();
    let none = BTreeMap::new();
    let modes = |all, report_only: &[String], rules: &BTreeMap<String, PatchMode>, day: &str| {
        let wishes = Wishes { all, report_only, rules };
        let day = day.parse().unwrap();
        pack.listed().map(|rule| wishes.mode(&rule, day)).collect::<Vec<_>>()
    };
    assert_eq!(modes(Block, &[], &none, "2026-11-23"), [Block, Report], "the last day counts");
    assert_eq!(modes(Block, &[], &none, "2026-11-24"), [Report, Report]);
    assert_eq!(modes(Block, &["a".to_owned()], &none, "2026-11-23"), [Report, Report]);
    assert_eq!(modes(Report, &[], &none, "2026-11-23"), [Report, Report]);
    assert_eq!(modes(Off, &[], &none, "2026-11-23"), [Off, Off]);
    let both = BTreeMap::from([("a".to_owned(), Block), ("b".to_owned(), Off)]);
    assert_eq!(modes(Off, &["a".to_owned()], &both, "2026-11-24"), [Block, Off]);
}

#[test]
fn hostile_packs_are_refused_in_words() {
    let sound = two_rules("", "");
    assert!(Pack::parse(&sound).is_ok());
    let words = |count: usize, octets: usize| {
        let words: Vec<String> = (0..count).map(|_| format!("\"{}\"", "x".repeat(octets))).collect();
        sound.replacen("[\"x\"]", &format!("[{}]", words.join(",")), 1)
    };
    let many: String = (0..=PATCHES_MAX)
        .map(|id| {
            format!(
                "[[rule]]\nid = \"r{id}\"\ncve = []\ntitle = \"t\"\naction = \"deny\"\nwhen = [{{ in = \"path\", all = [\"x\"] }}]\n"
            )
        })
        .collect();
    for (text, says) in [
        (sound.replace("id = \"b\"", "id = \"a\""), "the id is taken"),
        (sound.replace("id = \"b\"", "id = \"b\\u001b[31m\""), "the id needs"),
        (sound.replace("id = \"b\"", &format!("id = \"{}\"", "b".repeat(65))), "the id needs"),
        (sound.replace("title = \"t\"", &format!("title = \"{}\"", "t".repeat(401))), "the title needs"),
        (sound.replace("title = \"t\"", "title = \"a\\nb\""), "the title needs"),
        (sound.replace("cve = []", "cve = [\"CVE-1\"]"), "cve needs"),
        (sound.replace("2026-11-24", "yesterday"), "published is no date"),
        (sound.replace("version = 1", "version = -1"), "version"),
        (sound.replace("version = 1", "version = 1\nscript = \"x\""), "unknown field"),
        (sound.replace("version = 1", "version = 1\nexpires = \"never\""), "expires is no date"),
        (words(65, 1), "1 to 64 words"),
        (words(1, 257), "at most 256 octets"),
        (format!("version = 1\npublished = \"2026-11-24\"\n{many}"), "more than 1000 rules"),
        (format!("{sound}# {}", "x".repeat(PACK_OCTETS_MAX)), "octets"),
        (format!("{sound}x = {}{}", "[".repeat(100_000), "]".repeat(100_000)), "recurs"),
        (format!("{sound}{} = 1", vec!["a"; 100_000].join(".")), "recurs"),
        (sound.replace("[[rule]]", "[[rule"), "parse error"),
        ("\u{0}".to_owned(), "TOML"),
        (String::new(), "missing field"),
    ] {
        let error = Pack::parse(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{}: {error}", text.get(..200).unwrap_or(&text));
    }
    let response = "[[response]]\nid = \"r\"\ncve = []\ntitle = \"t\"\nwhen = [{ in = \"path\", is = [\"/owa\"] }]\ncontent_type = \
                    \"text/html\"\ncontent_security_policy = \"x\\r\\nSet-Cookie: a=b\"";
    let error = Pack::parse(&format!("{sound}{response}")).unwrap_err().to_string();
    assert!(error.contains("printable ASCII"), "{error}");
}
