use std::process::Command;

use crate::listeners::{Listener, SUITES, node_with_all_listeners};

#[test]
fn sslscan_sees_exactly_the_standard_on_every_listener() {
    let (_node, listeners) = node_with_all_listeners();
    std::thread::scope(|scope| {
        for listener in &listeners {
            scope.spawn(|| assert_standard(listener));
        }
    });
}

fn assert_standard(listener: &Listener) {
    let mut command = Command::new("sslscan");
    command.arg("--no-colour");
    if let Some(word) = listener.starttls {
        command.arg(format!("--starttls-{word}"));
    }
    let output =
        command.arg(listener.address.to_string()).output().expect("needs sslscan: apt-get install sslscan");
    let shown = format!("{}: {}", listener.name, String::from_utf8_lossy(&output.stdout));
    for (version, state) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(version)).unwrap_or_default();
        assert!(line.ends_with(state), "{version}: {shown}");
    }
    let mut suites: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted"))
        .filter_map(|line| line.split_ascii_whitespace().nth(4))
        .collect();
    suites.sort_unstable();
    assert_eq!(suites, SUITES, "{shown}");
    assert!(shown.contains("TLSv1.2 not vulnerable to heartbleed"), "{shown}");
    assert!(shown.contains("Session renegotiation not supported"), "{shown}");
}
