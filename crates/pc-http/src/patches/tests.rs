use super::*;

const SHIPPED: &str = include_str!("../../../../patches/exchange.toml");

fn today() -> Date {
    "2026-11-24".parse().unwrap()
}

/// The rules that a request hits, by its target and cookie as they came.
fn hits(target: &str, cookie: &str) -> Vec<String> {
    let pack = Pack::parse(SHIPPED).unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(path) = NormalPath::new(path, query) else { return vec!["no normal form".to_owned()] };
    let cookie = cookie.to_lowercase();
    let seen = Seen { method: "GET", path: &path, cookie: &cookie };
    pack.hits(&seen, today()).map(|rule| rule.id.clone()).collect()
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
    let rule = pack.changes(&seen, today()).next().unwrap();
    let added = |content_type, policy| rule.content_security_policy(content_type, policy);
    assert_eq!(added("text/html; charset=utf-8", None).unwrap(), "script-src-attr 'none'");
    assert_eq!(
        added("Text/HTML", Some("default-src 'self';")).unwrap(),
        "default-src 'self'; script-src-attr 'none'"
    );
    assert_eq!(added("text/html", Some("script-src-attr 'none'")).unwrap(), "script-src-attr 'none'");
    assert_eq!(added("application/json", None), None);
    let other = NormalPath::new("/owa/service.svc", None).unwrap();
    assert_eq!(pack.changes(&Seen { path: &other, ..seen }, today()).count(), 0);
}

#[test]
fn a_faulty_pack_is_refused_as_a_whole() {
    let rule = |lines: &str| {
        format!(
            "version = 1\npublished = \"x\"\n[[rule]]\nid = \"a\"\ncve = []\nsummary = \"s\"\naction = \"deny\"\n{lines}"
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
        ("mode = \"x\"\nwhen = [{ in = \"path\", all = [\"x\"] }]", "mode"),
    ] {
        let error = Pack::parse(&rule(lines)).unwrap_err().to_string();
        assert!(error.contains(says), "{lines}: {error}");
    }
}

#[test]
fn an_expired_rule_does_nothing() {
    let text = "version = 1\npublished = \"x\"\n[[rule]]\nid = \"a\"\ncve = []\nsummary = \"s\"\naction = \"deny\"\nexpires = \
                \"2026-11-23\"\nwhen = [{ in = \"path\", all = [\"x\"] }]";
    let pack = Pack::parse(text).unwrap();
    let path = NormalPath::new("/x", None).unwrap();
    let seen = Seen { method: "GET", path: &path, cookie: "" };
    assert_eq!(pack.hits(&seen, today()).count(), 0);
    assert_eq!(pack.hits(&seen, "2026-11-23".parse().unwrap()).count(), 1);
}
