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
[[smtp.listener]]
address = "[::]:25"
[[smtp.listener]]
address = "0.0.0.0:465"
tls = "implicit"
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
[[connector]]
name = "partner"
addresses = ["192.0.2.0/24", "2001:db8::1"]
tls_required = true
received_names = ["exch01.corp.local"]
enforcement = "enforce"
[enforcement]
mode = "enforce"
block_reply = "4xx"
link = "https://example.org/e"
[telemetry]
log = "json"
"#;
    let config = Config::parse(text).unwrap();
    assert_eq!(config.connectors[0].networks[1].prefix, 128);
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
        "line 13: [[upstream]] needs either address (host:port) or maildir (a path)",
        "line 14: [[upstream]] name: is used twice",
        "line 15: [[upstream]] domains: each entry must be a domain, such as \"example.org\", or \"*\" alone",
        "line 20: [[connector]] addresses: each entry must be an address or a network, such as \"192.0.2.0/24\"",
        "line 21: [enforcement] schedule_days: schedule_days, throttle_minutes and block_minutes need the same number of entries, 1 to 24",
        "line 22: [enforcement] mode: must be \"off\", \"report\" or \"enforce\"",
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
