//! testssl.sh on every listener: versions, and the suites in the order of the server. It takes ten seconds for one, and minutes with
//! all its tests.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::listeners::{Listener, SUITES, node_with_all_listeners};

#[test]
fn testssl_sees_exactly_the_standard_where_tls_is_from_the_first_octet() {
    scan_all(|listener| listener.starttls.is_none());
}

#[test]
fn testssl_sees_exactly_the_standard_after_starttls() {
    scan_all(|listener| listener.starttls.is_some());
}

fn scan_all(which: impl Fn(&Listener) -> bool) {
    let (node, mut listeners) = node_with_all_listeners();
    listeners.retain(which);
    assert_eq!(listeners.len(), 4);
    let folder = node.folder.path();
    // Not all at once: it takes silence for a refusal.
    for some in listeners.chunks(2) {
        std::thread::scope(|scope| {
            for listener in some {
                scope.spawn(|| assert_standard(listener, folder));
            }
        });
    }
}

fn assert_standard(listener: &Listener, folder: &Path) {
    let result = folder.join(format!("{}.json", listener.name));
    let mut command = Command::new("testssl");
    command.args([
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "off",
        "--protocols",
        "--server-preference",
        "--jsonfile",
    ]);
    command.arg(&result);
    if let Some(word) = listener.starttls {
        command.args(["--starttls", word]);
    }
    let output = command
        .arg(listener.address.to_string())
        .output()
        .expect("needs testssl.sh: apt-get install testssl.sh bsdextrautils");
    let text = std::fs::read_to_string(&result).unwrap_or_default();
    let findings: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", listener.name, String::from_utf8_lossy(&output.stdout))
    });
    let finding = |id: &str| -> String {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["id"] == id);
        let found = found.unwrap_or_else(|| panic!("{}: no {id} in {findings:#}", listener.name));
        found["finding"].as_str().unwrap().to_owned()
    };
    for (version, state) in [
        ("SSLv2", "not offered"),
        ("SSLv3", "not offered"),
        ("TLS1", "not offered"),
        ("TLS1_1", "not offered"),
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered with final"),
    ] {
        assert_eq!(finding(version), state, "{}: {version}", listener.name);
    }
    let order = [finding("cipherorder_TLSv1_2"), finding("cipherorder_TLSv1_3")].join(" ");
    let mut suites: Vec<&str> = order.split_ascii_whitespace().collect();
    suites.sort_unstable();
    assert_eq!(suites, SUITES, "{}", listener.name);
    assert!(finding("cipher_order").starts_with("server"), "{}: {}", listener.name, finding("cipher_order"));
}
