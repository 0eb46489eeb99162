use std::process::Command;

use crate::support::node_with_both_certificates;

#[test]
fn sslscan_sees_exactly_the_standard() {
    let node = node_with_both_certificates();
    let output = Command::new("sslscan")
        .args(["--no-colour", "--starttls-smtp", &node.smtp.to_string()])
        .output()
        .expect("needs sslscan: apt-get install sslscan");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
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
    let want = [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
    ];
    assert_eq!(suites, want, "{shown}");
    assert!(shown.contains("TLSv1.2 not vulnerable to heartbleed"), "{shown}");
    assert!(shown.contains("Session renegotiation not supported"), "{shown}");
}
