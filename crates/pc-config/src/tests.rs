use super::*;

/// Parses and returns the diagnostics as lines.
fn errors(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_sample_is_the_quick_start() {
    assert_eq!(Config::parse(DEFAULT_TOML), Ok(Config::quick_start()));
}

#[test]
fn effective_settings_come_back_unchanged() {
    let text = r#"
[node]
name = "edge.example.org"
data = "/var/lib/\"odd\""
[tls]
certificates = [{ chain = "a.pem", key = "a.key" }, { chain = "b.pem", key = "b.key" }]
ocsp_stapling = "off"
ocsp_allow_networks = ["192.0.2.0/24", "2001:db8::7"]
[smtp]
greeting_delay_seconds = 3
message_memory_max_megabytes = 4
[[smtp.listener]]
address = "[::]:25"
[smtp.limits]
tarpit_seconds = 5
[smtp.limits.client]
megabytes_per_hour = 7
errors_per_hour = 0
[smtp.limits.overall]
messages_per_hour = 9
[[smtp.listener]]
address = "0.0.0.0:465"
tls = "implicit"
proxy_protocol_from = ["192.0.2.0/24", "2001:db8::1"]
[[upstream]]
name = "exchange"
domains = ["example.org", "bücher.example"]
address = "[2001:db8::1]:25"
tls_name = "exchange.example.org"
certificate_sha256 = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
[[upstream]]
name = "local"
domains = ["example.net"]
address = "localhost:2526"
tls = "none"
[[upstream]]
name = "pair"
domains = ["example.com"]
hosts = [{ host = "a.example.com" }, { host = "2001:db8::2", port = 2525, priority = 20, tls_name = "b.example.com" }]
health_check_seconds = 0
recipients_cache_positive_minutes = 60
[[upstream]]
name = "listed"
domains = ["example.edu"]
maildir = "m"
recipients_file = "r"
recipients_subaddress = "+"
[[stream]]
name = "imaps"
protocol = "imap"
address = "[::]:993"
proxy_protocol_from = ["192.0.2.0/24"]
connections_max = 7
connections_per_address_max = 3
connections_per_minute = 11
idle_timeout_seconds = 1801
login_failures_per_hour = 0
[stream.upstream]
hosts = [{ host = "a.example.org" }, { host = "b.example.org", port = 1993, priority = 20 }]
ca_file = "ca.pem"
send_proxy = true
[[stream]]
name = "submission"
protocol = "submission"
address = "0.0.0.0:587"
tls = "starttls"
[stream.upstream]
address = "exchange.example.org:587"
tls = "starttls"
tls_name = "mail.example.org"
certificate_sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
[[milter]]
name = "clamav"
address = "unix:/run/a b.ctl"
[[milter]]
name = "rspamd"
address = "[::1]:11332"
timeout_seconds = 5
on_failure = "accept"
[dns]
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
timeout_seconds = 2
private_addresses = "ask"
spf = "off"
[[dns_list]]
zone = "zen.example.org"
kind = "block"
mode = "reject"
answers = ["127.0.0.2-127.0.0.11", "127.0.1.2"]
[[dns_list]]
zone = "allow.example.net"
kind = "allow"
[[tenant]]
name = "example"
esu = true
contacts = ["exchange@example.org"]
language = "de"
attestation_key_file = "/etc/portcullis/example.key"
[[connector]]
name = "partner"
tenant = "example"
kind = "on_premises"
addresses = ["192.0.2.0/24", "2001:db8::1"]
tls_required = true
received_names = ["exch01.corp.local"]
enforcement = "enforce"
floor = "kev"
scope = ["example.org"]
contact = ["postmaster@example.net"]
limits = "none"
[[connector]]
name = "by name"
certificate = ["mail.example.net"]
[[connector]]
name = "default"
enforcement = "off"
[enforcement]
mode = "enforce"
block_reply = "4xx"
link = "https://example.org/e"
self_test = "exchange-test@example.org"
[[enforcement.rollout]]
products = ["2013", "2016"]
kinds = ["on_premises", "internet"]
from = "2027-01-12"
[[enforcement.rollout]]
from = "2027-03-01"
[notify]
operator = ["postmaster@example.org"]
operator_interval_minutes = 5
from = "portcullis@example.org"
via = "exchange"
language = "fr"
sending_side = "on"
[https]
connections_max = 7
connections_per_minute = 0
hsts_include_subdomains = true
hsts_preload = true
patches = "report"
patches_report_only = ["proxyshell"]
rule_pack = "pack.toml"
rule_pack_public_key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
response_fields_kept = ["X-OWA-Version"]
forwarded_for_from = ["192.0.2.9"]
[[https.listener]]
address = "[::]:443"
[[https.redirect]]
address = "0.0.0.0:80"
proxy_protocol_from = ["192.0.2.0/24"]
[[https.client_test]]
address = "[::]:8443"
[[https.mta_sts]]
domain = "Example.org"
mode = "testing"
mx = ["MX1.example.org", "*.mx.example.net"]
[[site]]
name = "exchange"
names = ["mail.example.org", "autodiscover.example.org"]
address = "exchange.example.org:443"
ca_file = "ca.pem"
patches = "off"
http2 = true
activesync_windows_logins = true
[site.rules]
"proxyshell" = "block"
house = "off"
[[site]]
name = "other"
names = ["eu.example.net"]
hosts = [{ host = "a.example.net" }, { host = "b.example.net", port = 444, priority = 20, tls_name = "eu.example.net" }]
open = ["owa", "Microsoft-Server-ActiveSync"]
exceptions = [{ directories = ["ecp"], networks = ["192.0.2.0/24"] }]
internal = ["2001:db8::/32"]
[catalog]
directory = "c"
public_key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
stale_days = 60
sources = ["https://feeds.example.org/kev.json", "https://[2001:db8::1]:8443/a?b=c"]
update_hours = 6
ca_file = "ca.pem"
private_sources = "allow"
[store]
free_space_min_megabytes = 2
[telemetry]
log = "json"
"#;
    let config = Config::parse(text).unwrap();
    assert_eq!(config.connectors[0].networks[1].prefix, 128);
    let [imaps, submission] = config.streams.as_slice() else { panic!("{:?}", config.streams) };
    assert_eq!((imaps.upstream.hosts[0].port, imaps.tls), (993, ListenerTls::Implicit));
    assert_eq!(submission.idle_timeout_seconds, 660);
    assert_eq!(config.https.response_fields_kept, ["x-owa-version"], "names are compared in lower case");
    assert_eq!(config.sites[1].hosts[0].port, 443);
    assert_eq!(config.sites[1].open, [Directory::Owa, Directory::ActiveSync]);
    assert_eq!(Config::parse(&config.to_toml()), Ok(config));
    let quick_start = Config::quick_start();
    assert_eq!(Config::parse(&quick_start.to_toml()), Ok(quick_start));
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"[node]
nam = "edge.example.org"
[smtp]
recipients_max = 5
message_size_max_bytes = "large"
[[smtp.listener]]
address = "nowhere"
[[upstream]]
name = "exchange"
domains = ["*"]
address = "exchange.example.org:25"
tls = "none"
[[upstream]]
name = "exchange"
domains = ["example.org", "not a domain"]
maildir = "m"
address = "localhost:25"
[[connector]]
name = "partner"
addresses = ["192.0.2.0/33"]
[enforcement]
mode = "harsh"
throttle_minutes = [0, 5]
[filter]
[surprise]
"#;
    let want = [
        "line 2: [node] nam: no such setting; did you mean name?",
        "line 4: [smtp] recipients_max: must be a whole number from 100 to 10000",
        "line 5: [smtp] message_size_max_bytes: must be a whole number from 65536 to 1073741824",
        "line 7: [[smtp.listener]] address: must be address:port, such as \"0.0.0.0:25\" or \"[::]:25\"",
        "line 10: [[upstream]] domains: \"*\" would make an open relay; name the domains whose mail this server takes",
        "line 12: [[upstream]] tls: \"none\" is for servers on loopback; use \"starttls\" or \"implicit\"",
        "line 13: [[upstream]] needs one of address (host:port), hosts (a list of servers), or maildir (a path)",
        "line 14: [[upstream]] name: is used twice",
        "line 15: [[upstream]] domains: each entry must be a domain, such as \"example.org\", or \"*\" alone",
        "line 20: [[connector]] addresses: each entry must be an address or a network, such as \"192.0.2.0/24\"",
        "line 22: [enforcement] mode: must be \"off\", \"report\" or \"enforce\"",
        "line 23: [enforcement] throttle_minutes: days, throttle minutes and block minutes need the same number of entries, 1 to 24",
        "line 24: filter: known, but not available in this version; remove the section",
        "line 25: surprise: no such setting",
    ];
    let got = errors(text);
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got, want, "{got:?}");
    }
    assert_eq!(got.len(), want.len(), "{got:#?}");
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let got = errors("");
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got.iter().all(|line| line.contains("at least one is needed")));
}

#[test]
fn syntax_errors_have_their_line() {
    let got = errors("[node]\nname = \n[smtp\n");
    assert!(got.iter().any(|line| line.starts_with("line 2: ")), "{got:?}");
    assert!(got.iter().any(|line| line.starts_with("line 3: ")), "{got:?}");
}

#[test]
fn ocsp_stapling_is_on_and_reaches_no_address_inside_unless_it_is_named() {
    let plain = Config::quick_start();
    assert_eq!((plain.tls.ocsp_stapling, plain.tls.ocsp_allow_networks.len()), (OcspStapling::On, 0));
    for (line, want) in [
        ("ocsp_stapling = \"maybe\"", "[tls] ocsp_stapling: must be \"on\" or \"off\""),
        (
            "ocsp_allow_networks = [\"ocsp.example.org\"]",
            "[tls] ocsp_allow_networks: each entry must be an address or a network, such as \"192.0.2.0/24\"",
        ),
    ] {
        let got = errors(&format!("[tls]\n{line}\n"));
        assert!(got.contains(&format!("line 2: {want}")), "{got:?}");
    }
}

#[test]
fn no_setting_names_tls_versions_or_suites() {
    for key in ["min_version", "suites", "ciphers", "allow_legacy"] {
        let text = format!("{DEFAULT_TOML}\n")
            .replace("certificates = []", &format!("certificates = []\n{key} = \"x\""));
        assert!(errors(&text)[0].contains("no such setting"), "{key}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut state = 42u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let noise = [
        "\"",
        "[",
        "]",
        "[[",
        "=",
        "\n",
        "{",
        "}",
        "\u{fc}",
        "-1",
        "1e9",
        "9999999999999999999999",
        "''' ",
        "\0",
    ];
    for _ in 0..1_500 {
        let mut text: Vec<char> = DEFAULT_TOML.chars().filter(|character| *character != '#').collect();
        for _ in 0..=next(4) {
            if text.is_empty() {
                break;
            }
            let at = next(text.len());
            let insert: Vec<char> = noise[next(noise.len())].chars().collect();
            match next(3) {
                0 => text.truncate(at.max(1)),
                1 => {
                    text.remove(at);
                }
                _ => {
                    text.splice(at..at, insert);
                }
            }
        }
        let _ = Config::parse(&text.into_iter().collect::<String>());
    }
    assert_eq!(errors(&"x".repeat(2_000_000)).len(), 1);
}

#[test]
fn nesting_without_end_is_an_error_and_not_a_full_stack() {
    let deep = limits::FILE_OCTETS_MAX / 4;
    for text in [
        format!("x = {}", "[".repeat(deep)),
        format!("x = {}", "{a=".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("x = {{ {}a = 1 }}", "a.".repeat(deep)),
    ] {
        assert!(!errors(&text).is_empty());
    }
}

#[test]
fn a_file_full_of_mistakes_is_told_up_to_a_limit() {
    let lines: String = (0..60_000).map(|number| format!("mistake{number} = 1\n")).collect();
    let entries: String = (0..60_000).map(|number| format!("m{number} = 1, ")).collect();
    let broken: String = "= =\n".repeat(200_000);
    for text in [lines, format!("node = {{ {entries} }}"), broken] {
        let got = errors(&text);
        assert_eq!(got.len(), limits::DIAGNOSTICS_MAX + 1);
        assert!(got.last().unwrap().ends_with(" more mistakes"), "{:?}", got.last());
    }
}

/// The diagnostics of the sample with one text in it replaced.
fn errors_with(from: &str, to: &str) -> Vec<String> {
    assert!(DEFAULT_TOML.contains(from), "{from}");
    errors(&DEFAULT_TOML.replace(from, to))
}

#[test]
fn the_ladder_and_the_configuration_have_the_same_defaults() {
    let enforcement = Config::quick_start().enforcement;
    let lists = (enforcement.schedule_days, enforcement.throttle_minutes, enforcement.block_minutes);
    let days = vec![0, 30, 40, 50, 60, 70, 80, 90];
    assert_eq!(lists, (days, vec![0, 5, 10, 20, 30, 30, 30, 0], vec![0, 0, 0, 0, 5, 10, 20, 60]));
    assert_eq!((enforcement.decay_days, enforcement.probe_interval_minutes), (30, 10));
}

#[test]
fn a_schedule_is_judged_as_the_ladder_judges_it_and_only_when_its_lists_are_sound() {
    let with = |days: &str, throttle: &str, block: &str| {
        errors(
            &DEFAULT_TOML
                .replace("[0, 30, 40, 50, 60, 70, 80, 90]", days)
                .replace("[0, 5, 10, 20, 30, 30, 30, 0]", throttle)
                .replace("[0, 0, 0, 0, 5, 10, 20, 60]", block),
        )
    };
    let line = 1 + DEFAULT_TOML.lines().position(|line| line.starts_with("schedule_days")).unwrap();
    let told = |message: &str| vec![format!("line {line}: [enforcement] schedule_days: {message}")];
    assert_eq!(with("[0, 1]", "[0, 30]", "[0, 30]"), [""; 0]);
    assert_eq!(with("[1, 2]", "[0, 0]", "[0, 0]"), told("days must begin with 0 and rise"));
    let minutes = "throttle and block minutes of one stage add up to at most 60";
    assert_eq!(with("[0, 1]", "[0, 31]", "[0, 30]"), told(minutes));
    let milder = "a later stage must not be milder than the one before";
    assert_eq!(with("[0, 1]", "[30, 0]", "[0, 20]"), told(milder));
    let got = with("[0, 1]", "[0, 61]", "[0, 0]");
    let minutes = "each entry must be minutes of an hour, 0 to 60";
    assert_eq!(got, [format!("line {}: [enforcement] throttle_minutes: {minutes}", line + 1)]);
}

#[test]
fn a_node_may_serve_the_web_or_mail_programs_alone() {
    let web = "[[https.listener]]\naddress = \"127.0.0.1:443\"\n[[site]]\nname = \"exchange\"\nnames = \
               [\"mail.example.org\"]\naddress = \"exchange.example.org:443\"\n";
    let programs = "[[stream]]\nname = \"imaps\"\nprotocol = \"imap\"\naddress = \"127.0.0.1:993\"\ntls = \
                    \"implicit\"\n[stream.upstream]\naddress = \"exchange.example.org:993\"\ntls = \"implicit\"\n";
    for text in [web, programs] {
        assert_eq!(errors(text), Vec::<String>::new(), "{text}");
        let config = Config::parse(text).unwrap();
        assert!(config.smtp.listeners.is_empty() && config.upstreams.is_empty());
        assert_eq!(Config::parse(&config.to_toml()), Ok(config));
    }
    let mail = "[[smtp.listener]]\naddress = \"127.0.0.1:25\"\n";
    let told = errors(&format!("{web}{mail}"));
    assert_eq!(told, ["line 1: [[upstream]]: at least one is needed, to hand mail over to"]);
    // Somebody may have lost the listener.
    let told = errors(&format!("{web}[smtp]\nrecipients_max = 200\n"));
    assert_eq!(
        told,
        ["line 7: [smtp]: needs an [[smtp.listener]]; a node that takes no mail has no such section"]
    );
}

#[test]
fn no_upstream_at_all_is_told_however_it_is_written() {
    let listener = "[[smtp.listener]]\naddress = \"127.0.0.1:25\"\n";
    let needed = "[[upstream]]: at least one is needed, to hand mail over to";
    assert_eq!(errors(listener), [format!("line 1: {needed}")]);
    assert_eq!(errors(&format!("upstream = []\n{listener}")), [format!("line 1: {needed}")]);
    assert_eq!(
        errors(&format!("upstream = 1\n{listener}")),
        ["line 1: upstream: must be written as [[upstream]]"]
    );
}

#[test]
fn a_domain_has_one_server_and_a_network_one_connector() {
    let text = r#"
[[smtp.listener]]
address = "127.0.0.1:25"
[[upstream]]
name = "one"
domains = ["example.org", "Example.ORG."]
maildir = "one"
[[upstream]]
name = "two"
domains = ["example.net", "example.org"]
maildir = "two"
[[connector]]
name = "a"
addresses = ["192.0.2.0/24", "192.0.2.7/24", "192.0.2.0/25"]
[[connector]]
name = "b"
addresses = ["::ffff:192.0.2.0/120", "2001:db8::/32"]
"#;
    let server = "example.org is already listed; only one server can take its mail";
    let network = "is already listed; only one entry can speak for it";
    assert_eq!(
        errors(text),
        [
            format!("line 6: [[upstream]] domains: {server}"),
            format!("line 10: [[upstream]] domains: {server}"),
            format!("line 14: [[connector]] addresses: 192.0.2.7/24 {network}"),
            format!("line 17: [[connector]] addresses: 192.0.2.0/24 {network}"),
        ]
    );
}

#[test]
fn what_would_fail_at_start_fails_at_the_check() {
    let admin = "address = \"127.0.0.1:8080\"";
    let got = errors_with(admin, "address = \"0.0.0.0:8080\"");
    assert!(got[0].contains("[admin] address: must be a loopback address"), "{got:?}");
    assert_eq!(errors_with(admin, "address = \"[::1]:8080\""), [""; 0]);
    let got = errors_with(admin, "address = \"127.0.0.1:2525\"");
    assert!(got[0].contains("[admin] address: is used by an [[smtp.listener]]"), "{got:?}");
    let user =
        |rest: &str| errors_with(admin, &format!("{admin}\n[[admin.user]]\n{rest}\n[ignored]")).join("\n");
    let hash = "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA\"";
    assert!(user("name = \"a\"\npassword_hash = \"secret\"").contains("hash-password"), "a plain password");
    assert!(user(&format!("name = \"a b\"\n{hash}")).contains("[[admin.user]] name"), "a blank in a name");
    assert!(!user(&format!("name = \"a@example.org\"\n{hash}")).contains("admin.user"), "an address");
    let got = errors_with("level = \"info\"", "level = \"inof\"");
    assert!(got[0].contains("level: must be error, warn, info, debug or trace"), "{got:?}");
}

#[test]
fn every_later_section_is_known_but_not_available() {
    for section in ["filter", "quarantine", "fleet", "status", "monitor"] {
        let got = errors(&format!("{DEFAULT_TOML}\n[{section}]\nkey = 1\n"));
        assert_eq!(got.len(), 1, "{got:?}");
        assert!(got[0].contains(&format!("{section}: known, but not available in this version")), "{got:?}");
    }
}

#[test]
fn the_most_specific_network_names_the_connector() {
    let text = format!(
        "{DEFAULT_TOML}\n{}",
        r#"
[[connector]]
name = "wide"
addresses = ["192.0.2.0/24", "2001:db8::/32"]
[[connector]]
name = "narrow"
addresses = ["192.0.2.128/25", "2001:db8:0:1::/64", "192.0.2.130"]
[[connector]]
name = "mapped"
addresses = ["::ffff:198.51.100.0/120"]
"#
    );
    let config = Config::parse(&text).unwrap();
    let name = |address: &str| {
        let networks = config
            .connectors
            .iter()
            .flat_map(|connector| connector.networks.iter().map(move |network| (network, connector)));
        most_specific(networks, address.parse().unwrap()).map(|connector| connector.name.as_str())
    };
    assert_eq!(name("192.0.2.127"), Some("wide"));
    assert_eq!(name("192.0.2.128"), Some("narrow"));
    assert_eq!(name("::ffff:192.0.2.130"), Some("narrow"));
    assert_eq!(name("2001:db8::1"), Some("wide"));
    assert_eq!(name("2001:db8:0:1::1"), Some("narrow"));
    assert_eq!(name("198.51.100.9"), Some("mapped"));
    assert_eq!(name("198.51.101.9"), None);
    assert_eq!(name("::c000:201"), None, "the same bits in the other family");
    let everything = Network::parse("0.0.0.0/0").unwrap();
    assert!(everything.contains("203.0.113.1".parse().unwrap()));
    assert!(!everything.contains("2001:db8::1".parse().unwrap()));
    assert!(Network::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
    for text in ["::ffff:192.0.2.0/90", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "/24", "192.0.2", ""] {
        assert_eq!(Network::parse(text), None, "{text}");
    }
}

#[test]
fn a_milter_is_near_and_named_and_fails_closed() {
    let with = |entry: &str| errors(&format!("{DEFAULT_TOML}\n[[milter]]\n{entry}\n"));
    let config = |entry: &str| Config::parse(&format!("{DEFAULT_TOML}\n[[milter]]\n{entry}\n")).unwrap();
    let milter = config("name = \"a\"\naddress = \"localhost:1\"").milters.remove(0);
    assert_eq!((milter.timeout_seconds, milter.on_failure), (60, MilterFailure::Defer));
    for (entry, want) in [
        ("", "name: is missing"),
        ("name = \"a\"", "address: is missing"),
        ("name = \"a b\"\naddress = \"localhost:1\"", "name: must be 1 to 64 letters"),
        ("name = \"a\"\naddress = \"192.0.2.1:1\"", "address: must be on loopback"),
        ("name = \"a\"\naddress = \"unix:relative\"", "address: must be host:port"),
        ("name = \"a\"\naddress = \"localhost:1\"\non_failure = \"pass\"", "on_failure: must be \"defer\""),
        ("name = \"a\"\naddress = \"localhost:1\"\ntimeout_seconds = 0", "timeout_seconds: must be"),
    ] {
        let got = with(entry);
        assert!(got.iter().any(|line| line.contains(want)), "{entry}: {got:?}");
    }
    let nine: Vec<String> = (0..9).map(|n| format!("name = \"n{n}\"\naddress = \"localhost:1\"")).collect();
    assert!(with(&nine.join("\n[[milter]]\n"))[0].contains("at most 8"));
}

/// The diagnostics of an upstream with these lines.
fn upstream_errors(lines: &str) -> Vec<String> {
    errors(&format!(
        "[[smtp.listener]]\naddress = \"127.0.0.1:25\"\n[[upstream]]\nname = \"a\"\ndomains = [\"example.org\"]\n{lines}\n"
    ))
}

#[test]
fn the_short_form_is_one_host_and_the_long_form_takes_what_it_does_not_say_from_the_upstream() {
    let target = |lines: &str| {
        let text = format!(
            "[[smtp.listener]]\naddress = \"127.0.0.1:25\"\n[[upstream]]\nname = \"a\"\ndomains = [\"example.org\"]\n{lines}\n"
        );
        match Config::parse(&text).unwrap().upstreams.remove(0).target {
            UpstreamTarget::Smtp(target) => target,
            UpstreamTarget::Maildir { .. } => panic!("{lines}"),
        }
    };
    let short = target("address = \"mail.example.org:2525\"");
    assert_eq!(short, target("hosts = [{ host = \"mail.example.org\", port = 2525 }]"));
    assert_eq!((short.hosts[0].priority, short.health_check_seconds), (10, 30));
    let long = target(
        "tls_name = \"all.example.org\"\nhosts = [{ host = \"a.example.org\" }, { host = \"b.example.org\", tls_name = \"b\" }]",
    );
    let names: Vec<&str> = long.hosts.iter().map(|host| host.tls_name.as_str()).collect();
    assert_eq!((names, long.hosts[0].port), (vec!["all.example.org", "b"], 25));
}

#[test]
fn mistakes_in_a_list_of_hosts_are_told() {
    let many: Vec<String> = (0..17).map(|n| format!("{{ host = \"h{n}.example.org\" }}")).collect();
    for (lines, want) in [
        ("hosts = []".to_owned(), "hosts: needs 1 to 16 servers"),
        (format!("hosts = [{}]", many.join(", ")), "hosts: needs 1 to 16 servers"),
        ("hosts = [{ port = 25 }]".to_owned(), "[[upstream.hosts]] host: is missing"),
        (
            "hosts = [{ host = \"a:25\" }]".to_owned(),
            "host: must be a host name or an address, without a port",
        ),
        (
            "hosts = [{ host = \"a\", prioritty = 1 }]".to_owned(),
            "prioritty: no such setting; did you mean priority?",
        ),
        ("hosts = [{ host = \"a\" }, { host = \"A\", port = 25 }]".to_owned(), "is listed twice"),
        ("hosts = [{ host = \"a\" }]\naddress = \"b:25\"".to_owned(), "needs one of address"),
        (
            "hosts = [{ host = \"127.0.0.1\" }, { host = \"a\" }]\ntls = \"none\"".to_owned(),
            "tls: \"none\" is for",
        ),
    ] {
        let got = upstream_errors(&lines);
        assert!(got.iter().any(|line| line.contains(want)), "{lines}: {got:?}");
    }
}

#[test]
fn settings_of_recipients_that_would_do_nothing_are_mistakes() {
    let server = "address = \"a.example.org:25\"\n";
    for (lines, want) in [
        ("maildir = \"m\"\nrecipients_cache_negative_minutes = 5", "a Maildir is not asked"),
        ("maildir = \"m\"\nrecipients_subaddress = \"+\"", "has no meaning without recipients_file"),
        ("maildir = \"m\"\nrecipients_file = \"r\"\nrecipients_subaddress = \"a\"", "must be one character"),
        ("maildir = \"m\"\nrecipients_file = \"r\"\nrecipients_subaddress = \"+-\"", "must be one character"),
        (
            &format!("{server}recipients_file = \"r\"\nrecipients_cache_positive_minutes = 5"),
            "use one of the two",
        ),
        (&format!("{server}recipients_cache_positive_minutes = 1441"), "from 0 to 1440"),
    ] {
        let got = upstream_errors(lines);
        assert!(got.iter().any(|line| line.contains(want)), "{lines}: {got:?}");
    }
}

#[test]
fn a_dns_list_counts_answers_of_its_own_range_only() {
    let with = |keys: &str| errors(&format!("{}\n[[dns_list]]\n{keys}\n", Config::quick_start().to_toml()));
    assert_eq!(with("zone = \"zen.example.org\"\nkind = \"block\""), Vec::<String>::new());
    for (keys, says) in [
        ("kind = \"block\"", "zone: is missing"),
        ("zone = \"zen.example.org\"", "kind: is missing"),
        ("zone = \"zen.example.org\"\nkind = \"allow\"\nmode = \"reject\"", "mode: is for block lists"),
        ("zone = \"zen.example.org\"\nkind = \"block\"\nanswers = [\"192.0.2.1\"]", "127.0.0.0/8"),
        ("zone = \"zen.example.org\"\nkind = \"block\"\nanswers = [\"127.0.0.9-127.0.0.2\"]", "127.0.0.0/8"),
        ("zone = \"zen.example.org\"\nkind = \"block\"\nanswers = []", "answers: is empty"),
    ] {
        let found = with(keys);
        assert!(found.len() == 1 && found[0].contains(says), "{keys}: {found:?}");
    }
}

#[test]
fn tenants_have_names_of_their_own_and_connectors_name_them() {
    let text = r#"[[smtp.listener]]
address = "127.0.0.1:2525"
[[upstream]]
name = "maildir"
domains = ["*"]
maildir = "m"
[[tenant]]
name = "example"
[[tenant]]
name = "example"
[[tenant]]
[[connector]]
name = "partner"
tenant = "exmple"
addresses = ["192.0.2.0/24"]
"#;
    let told: Vec<String> = Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 10: [[tenant]] name: is used twice",
            "line 11: [[tenant]] name: is missing",
            "line 14: [[connector]] tenant: there is no [[tenant]] that is named \"exmple\"",
        ]
    );
}

#[test]
fn a_floor_has_versions_and_the_ladder_names_one_that_is_there() {
    let floors = r#"
[[floor]]
name = "house"
builds = ["15.1.2507.31"]
[[floor]]
name = "house"
version = 2
announced = "2026-12-01"
effective = "2027-01-12"
preset = "microsoft-2026-09"
esu_only = "not_owed"
"#;
    let text = format!("{DEFAULT_TOML}{floors}").replace("floor = \"current\"", "floor = \"house\"");
    let config = Config::parse(&text).unwrap();
    let floor = config.floor("house").unwrap();
    let effective: Vec<_> = floor.versions().iter().map(|version| version.effective).collect();
    assert_eq!(effective, [None, Some("2027-01-12".parse().unwrap())]);
    assert_eq!(config.all_floors().len(), pc_enforce::PRESETS.len() + 1);
    assert_eq!(Config::parse(&config.to_toml()), Ok(config));
}

#[test]
fn a_floor_that_contradicts_itself_is_refused_at_its_line() {
    let wrong = |floors: &str| errors(&format!("{DEFAULT_TOML}\n{floors}")).join("\n");
    let house = "[[floor]]\nname = \"house\"\n";
    assert!(wrong(house).contains("needs one of builds (a list) or preset (a name)"));
    assert!(wrong(&format!("{house}builds = [\"15.1\"]\n")).contains("each entry must be a build"));
    assert!(wrong(&format!("{house}preset = \"strict\"\n")).contains("must be one of current, kev"));
    assert!(wrong("[[floor]]\nname = \"kev\"\npreset = \"kev\"\n").contains("and no preset"));
    let twice = format!("{house}preset = \"kev\"\n{house}preset = \"current\"\n");
    assert!(wrong(&twice).contains("version 1 is there twice"), "{}", wrong(&twice));
    let late = format!("{house}preset = \"kev\"\nannounced = \"2027-02-01\"\neffective = \"2027-01-01\"\n");
    assert!(wrong(&late).contains("announced after it takes effect"));
    let unknown = DEFAULT_TOML.replace("floor = \"current\"", "floor = \"curent\"");
    assert!(errors(&unknown).join("").contains("there is no [[floor]] named \"curent\""));
}

#[test]
fn mistakes_in_streams_are_told_at_once_and_nothing_turns_tls_off() {
    let text = r#"[[smtp.listener]]
address = "127.0.0.1:25"
[[upstream]]
name = "m"
domains = ["*"]
maildir = "m"
[[stream]]
name = "a"
protocol = "ldap"
address = "127.0.0.1:25"
tls = "none"
[[stream]]
name = "a"
protocol = "imap"
idle_timeout_seconds = 1799
[stream.upstream]
address = "exchange.example.org:993"
hosts = []
tls = "none"
sendproxy = true
"#;
    let want = [
        "line 7: [[stream]] upstream: is missing; name the server behind in [stream.upstream]",
        "line 9: [[stream]] protocol: must be \"imap\", \"pop3\" or \"submission\"",
        "line 10: [[stream]] address: is used by another listener",
        "line 11: [[stream]] tls: must be \"implicit\" or \"starttls\"",
        "line 12: [[stream]] address: is missing",
        "line 13: [[stream]] name: is used twice",
        "line 15: [[stream]] idle_timeout_seconds: must be a whole number from 1800 to 86400",
        "line 16: [stream.upstream] needs one of address (host:port) and hosts (a list of servers)",
        "line 18: [stream.upstream] hosts: needs 1 to 16 servers",
        "line 19: [stream.upstream] tls: must be \"implicit\" or \"starttls\"",
        "line 20: [stream.upstream] sendproxy: no such setting; did you mean send_proxy?",
    ];
    assert_eq!(errors(text), want);
}

const MAIL: &str = "[[smtp.listener]]\naddress = \"127.0.0.1:25\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\n\
    maildir = \"m\"\n";

#[test]
fn every_mistake_of_the_web_edge_is_told() {
    let site = |lines: &str| {
        format!(
            "{MAIL}[https]\n[[https.listener]]\naddress = \"127.0.0.1:443\"\n[[site]]\nname = \"s\"\n{lines}"
        )
    };
    let good = "names = [\"mail.example.org\"]\naddress = \"exchange.example.org:443\"\n";
    assert_eq!(errors(&site(good)), Vec::<String>::new());
    for (text, says) in [
        (
            format!("{MAIL}[https]\n[[https.listener]]\naddress = \"127.0.0.1:443\"\n"),
            "[[site]]: at least one",
        ),
        (format!("{MAIL}[[site]]\nname = \"s\"\n{good}"), "needs an [[https.listener]]"),
        (
            format!("{MAIL}[https]\n[[https.redirect]]\naddress = \"127.0.0.1:25\"\n"),
            "address: is used by another listener",
        ),
        (
            format!("{MAIL}[https]\n[[https.client_test]]\naddress = \"127.0.0.1:8443\"\n"),
            "client_test: needs an [[https.listener]]",
        ),
        (format!("{MAIL}[https]\nhsts_preload = true\n"), "needs hsts_include_subdomains = true"),
        (format!("{MAIL}[https]\npatches = \"on\"\n"), "must be \"block\", \"report\" or \"off\""),
        (site("names = [\"mail.example.org\"]\n"), "needs one of address (host:port) and hosts"),
        (
            site(&good.replace("exchange.example.org:443", "http://exchange.example.org:80")),
            "always reached by https",
        ),
        (site(&format!("{good}tls = \"none\"\n")), "tls: no such setting"),
        (
            site(&format!("{good}open = [\"public\"]\n")),
            "each entry must be one of microsoft-server-activesync",
        ),
        (site(&format!("{good}exceptions = [{{ directories = [\"ecp\"] }}]\n")), "networks: is missing"),
        (site(&good.replace("[\"mail", "[\"192.0.2.1\", \"mail")), "a host name"),
        (site(&format!("{good}[[site]]\nname = \"t\"\n{good}")), "mail.example.org is listed twice"),
        (site("address = \"exchange.example.org:443\"\n"), "names: is missing"),
        (site(&format!("{good}[site.rules]\nx = \"on\"\n")), "[site.rules] x: must be \"block\""),
        (site(&format!("{good}rules = 1\n")), "must be a section, [site.rules]"),
        (format!("{MAIL}[https]\nrule_pack = \"p\"\n"), "needs rule_pack_public_key"),
        (
            format!("{MAIL}[https]\n[[https.mta_sts]]\ndomain = \"example.org\"\nmode = \"none\"\n"),
            "needs an [[https.listener]], which serves the policy",
        ),
        (
            site(&format!("{good}[[https.mta_sts]]\ndomain = \"example.org\"\nmode = \"enforce\"\n")),
            "mx: needs the host names",
        ),
        (
            site(&format!(
                "{good}[[https.mta_sts]]\ndomain = \"example.org\"\nmode = \"none\"\nmx = [\"a.*.org\"]\n"
            )),
            "mx: each entry must be a host name",
        ),
        (site(&format!("{good}http2 = \"yes\"\n")), "http2: must be true or false"),
        (
            site(&format!("{good}activesync_windows_logins = 1\n")),
            "activesync_windows_logins: must be true or false",
        ),
    ] {
        let got = errors(&text);
        assert!(got.iter().any(|line| line.contains(says)), "{says}: {got:#?}");
    }
}

#[test]
fn sources_of_the_catalogue_are_https_and_its_key_is_one() {
    let text = DEFAULT_TOML
        .replace("sources = []", "sources = [\"http://example.org/x\", \"https://ok.example/\"]")
        .replace("update_hours = 24", "update_hours = 1000\npublic_key = \"RWshort\"");
    let told = errors(&text).join("\n");
    for want in [
        "sources: each entry must be an https address",
        "update_hours: must be a whole number from 0 to 720",
        "public_key: must be a minisign public key",
    ] {
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn people_who_are_told_can_be_reached() {
    let text = r#"[[upstream]]
name = "exchange"
domains = ["example.org"]
address = "exchange.example.org:25"
[notify]
language = "nl"
sending_side = "on"
[[tenant]]
name = "example"
contacts = ["a@example.org", "b@example.net", "c"]
language = "german"
[[tenant]]
name = "other"
contacts = ["d@example.net"]
"#;
    let told: Vec<String> = Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1: [[smtp.listener]]: at least one is needed, or an [[https.listener]] or a [[stream]]",
            "line 6: [notify] language: must be \"en\", \"fr\", \"de\", \"es\" or \"it\"",
            "line 7: [notify] sending_side: \"on\" needs via, the name of an [[upstream]] that sends mail on to domains \
             elsewhere",
            "line 10: [[tenant]] contacts: each entry must be an address such as \"postmaster@example.org\"",
            "line 11: [[tenant]] language: must be \"en\", \"fr\", \"de\", \"es\" or \"it\"",
            "line 14: [[tenant]] contacts: no [[upstream]] takes mail for d@example.net; set [notify] via to the name of one \
             that sends it on",
        ]
    );
}

#[test]
fn webhooks_are_read_written_and_checked_for_where_they_lead() {
    let start = "[[smtp.listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"m\"\n\
                 [[tenant]]\nname = \"example\"\n";
    let entry =
        |rest: &str| format!("{start}[[notify.webhook]]\nname = \"ops\"\nsecret_file = \"s\"\n{rest}\n");
    let config = Config::parse(&entry(
        "url = \"https://127.0.0.1:8443/x?y\"\nallow_networks = [\"127.0.0.0/8\"]\nevents = [\"server.owing\"]\n\
         tenants = [\"example\", \"default\"]\ntimeout_seconds = 1\nca_file = \"ca.pem\"",
    ))
    .unwrap();
    assert_eq!(config.notify.webhooks[0].url.to_string(), "https://127.0.0.1:8443/x?y");
    assert_eq!(Config::parse(&config.to_toml()), Ok(config));
    let plain = Config::parse(&entry("url = \"https://hooks.example.org/\"")).unwrap();
    assert_eq!(plain.notify.webhooks[0].timeout_seconds, 15);
    assert_eq!(Config::parse(&plain.to_toml()), Ok(plain));
    for (rest, want) in [
        ("", "url: is missing"),
        ("url = \"http://hooks.example.org/\"", "url: must be an https address"),
        ("url = \"https://127.0.0.1/\"", "127.0.0.1 is a loopback address; if the receiver is there"),
        ("url = \"https://[::ffff:10.0.0.1]/\"", "is a private address"),
        ("url = \"https://169.254.169.254/\"", "a link-local address"),
        ("url = \"https://10.0.0.1/\"\nallow_networks = [\"192.168.0.0/16\"]", "is a private address"),
        ("url = \"https://hooks.example.org/\"\nevents = [\"stage\"]", "events: each entry must be one of"),
        (
            "url = \"https://hooks.example.org/\"\ntenants = [\"other\"]",
            "tenants: each entry must be the name",
        ),
        ("url = \"https://hooks.example.org/\"\ntimeout_seconds = 61", "from 1 to 60"),
        ("url = \"https://hooks.example.org/\"\nsecret = \"whsec_x\"", "secret: no such setting"),
        ("url = \"https://hooks.example.org/\"\n[[notify.webhook]]\nname = \"ops\"", "name: is used twice"),
        ("url = \"https://hooks.example.org/\"\n[[notify.webhook]]\nname = \"a/b\"", "name: must be letters"),
    ] {
        let diagnostics = Config::parse(&entry(rest)).unwrap_err();
        assert!(diagnostics.iter().any(|found| found.message.contains(want)), "{rest}: {diagnostics:?}");
    }
}

const ACME: &str =
    "directory = \"https://ca.example.org/dir\"\nterms_agreed = true\nnames = [\"mx.example.org\"]\n";

fn with_acme(acme: &str, https: &str) -> Result<Config, Vec<Diagnostic>> {
    Config::parse(&format!(
        "[tls.acme]\n{acme}\n[[smtp.listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \
         \"m\"\n{https}"
    ))
}

#[test]
fn acme_is_read_written_and_every_mistake_named() {
    let redirect = "[[https.redirect]]\naddress = \"127.0.0.1:0\"\n";
    let plain = with_acme(ACME, redirect).unwrap();
    let acme = plain.tls.acme.clone().unwrap();
    assert_eq!((acme.challenge, acme.renew_days, acme.eab), (Challenge::Http01, None, None));
    assert_eq!(Config::parse(&plain.to_toml()), Ok(plain));
    let all = "contact = [\"postmaster@example.org\"]\nchallenge = \"tls-alpn-01\"\nrenew_days = 10\neab_key_id = \"k\"\neab_key_file = \
               \"f\"\nca_file = \"ca.pem\"\nallow_networks = [\"127.0.0.0/8\"]";
    let full = with_acme(&format!("{ACME}{all}"), "[[https.listener]]\naddress = \"127.0.0.1:0\"\n").unwrap();
    assert_eq!(Config::parse(&full.to_toml()), Ok(full));
    let swap = |key: &str, line: &str| {
        let kept: Vec<&str> = ACME.lines().filter(|known| !known.starts_with(key)).collect();
        format!("{}\n{line}\n", kept.join("\n"))
    };
    for (acme, want) in [
        (swap("directory", ""), "[tls.acme] directory: is missing"),
        (swap("directory", "directory = \"http://ca.example.org/\""), "directory: must be an https address"),
        (swap("directory", "directory = \"https://10.0.0.1/\""), "name it in allow_networks"),
        (swap("terms_agreed", ""), "terms_agreed: must be true: read the terms"),
        (swap("terms_agreed", "terms_agreed = false"), "agree by terms_agreed = true"),
        (swap("names", ""), "names: is missing"),
        (swap("names", "names = []"), "must hold 1 to 100"),
        (swap("names", "names = [\"*.example.org\"]"), "a wildcard, which only DNS-01 can prove"),
        (swap("names", "names = [\"192.0.2.1\"]"), "is an address"),
        (swap("names", "names = [\"a b\"]"), "is no host name"),
        (swap("names", "names = [\"a.example\", \"A.example\"]"), "stands there twice"),
        (swap("contact", "contact = [\"mailto:a\"]"), "contact: each entry must be an address"),
        (swap("challenge", "challenge = \"dns-01\""), "\"http-01\" or \"tls-alpn-01\""),
        (swap("challenge", "challenge = \"tls-alpn-01\""), "needs an [[https.listener]]"),
        (swap("renew_days", "renew_days = 0"), "from 1 to 397"),
        (swap("eab", "eab_key_id = \"k\""), "eab_key_file: is missing"),
        (swap("eab", "eab_key_file = \"k\""), "eab_key_id: is missing"),
        (swap("x", "dns = 1"), "dns: no such setting"),
    ] {
        let found = with_acme(&acme, redirect).unwrap_err();
        assert!(found.iter().any(|one| one.message.contains(want)), "{acme}: {found:?}");
    }
    let found = with_acme(ACME, "").unwrap_err();
    assert!(
        found.iter().any(|one| one.message.contains("\"http-01\" needs an [[https.redirect]]")),
        "{found:?}"
    );
}

fn with_connectors(mode: &str, connectors: &str) -> Result<Config, Vec<String>> {
    let text =
        format!("{DEFAULT_TOML}{connectors}").replace("mode = \"report\"", &format!("mode = \"{mode}\""));
    Config::parse(&text).map_err(|found| found.iter().map(|one| one.message.clone()).collect())
}

#[test]
fn a_connector_knows_servers_by_address_certificate_or_domain() {
    let config = with_connectors(
        "report",
        "[[connector]]\nname = \"partner\"\ncertificate = [\"mail.example.net\"]\ndomain = [\"example.net\", \"example.com\"]\n\
         floor = \"kev\"\nscope = [\"example.org\"]\ncontact = [\"postmaster@example.net\"]\n",
    );
    let config = config.unwrap();
    let connector = &config.connectors[0];
    assert_eq!(connector.certificates, ["mail.example.net".parse().unwrap()]);
    assert_eq!(connector.domains.len(), 2);
    assert_eq!((connector.floor.as_deref(), connector.scope.len()), (Some("kev"), 1));
    assert_eq!(connector.contacts, ["postmaster@example.net"]);
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
}

#[test]
fn what_a_connector_cannot_mean_is_told() {
    for (connectors, says) in [
        (
            "[[connector]]\nname = \"a\"\n",
            "addresses: is missing; list addresses or networks, or give certificate or domain",
        ),
        (
            "[[connector]]\nname = \"default\"\ndomain = [\"example.net\"]\n",
            "is for senders that no other one names",
        ),
        (
            "[[connector]]\nname = \"a\"\ncertificate = [\"*.example.net\"]\n",
            "certificate: each entry must be a host name",
        ),
        ("[[connector]]\nname = \"a\"\naddresses = []\nscope = []\n", "scope: is empty"),
        (
            "[[connector]]\nname = \"a\"\naddresses = []\nfloor = \"none\"\n",
            "there is no [[floor]] named \"none\"",
        ),
        (
            "[[connector]]\nname = \"a\"\naddresses = []\ncontact = [\"x\"]\n",
            "contact: each entry must be an address",
        ),
        (
            "[[connector]]\nname = \"a\"\ndomain = [\"example.net\"]\n[[connector]]\nname = \"b\"\ndomain = [\"Example.net\"]\n",
            "domain: example.net is already listed",
        ),
        (
            "[[connector]]\nname = \"a\"\ncertificate = [\"a.example.net\"]\n[[connector]]\nname = \"b\"\n\
             certificate = [\"a.example.net\"]\n",
            "certificate: a.example.net is already listed",
        ),
    ] {
        let found = with_connectors("report", connectors).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(says), "{connectors}: {found:?}");
    }
}

#[test]
fn strangers_are_reported_as_soon_as_connectors_say_whom_servers_send_for() {
    let partner = "[[connector]]\nname = \"partner\"\naddresses = [\"192.0.2.0/24\"]\n";
    let own = |mode: &str| format!("{partner}[[connector]]\nname = \"default\"\nenforcement = \"{mode}\"\n");
    for (mode, connectors, of_partner, of_strangers) in [
        ("enforce", String::new(), None, EnforcementMode::Enforce),
        ("enforce", partner.to_owned(), Some(EnforcementMode::Enforce), EnforcementMode::Report),
        ("enforce", own("enforce"), Some(EnforcementMode::Enforce), EnforcementMode::Enforce),
        ("report", own("off"), Some(EnforcementMode::Report), EnforcementMode::Off),
        ("off", partner.to_owned(), Some(EnforcementMode::Off), EnforcementMode::Off),
    ] {
        let config = with_connectors(mode, &connectors).unwrap();
        assert_eq!(config.mode_under(None), of_strangers, "{mode}: {connectors}");
        assert_eq!(config.mode_under(config.default_connector()), of_strangers, "{mode}: {connectors}");
        let partner = config.connectors.first().map(|connector| config.mode_under(Some(connector)));
        assert_eq!(partner, of_partner, "{mode}: {connectors}");
    }
}
