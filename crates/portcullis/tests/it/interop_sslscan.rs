use std::process::Command;

use crate::support::{node_with_both_certificates, node_with_both_certificates_and};

#[test]
fn sslscan_sees_exactly_the_standard() {
    let node = node_with_both_certificates();
    assert_standard(&["--starttls-smtp", &node.smtp.to_string()]);
}

#[test]
fn sslscan_sees_exactly_the_standard_on_imap_listeners() {
    assert_standard_of_streams("imap", "--starttls-imap");
}

#[test]
fn sslscan_sees_exactly_the_standard_on_pop3_listeners() {
    assert_standard_of_streams("pop3", "--starttls-pop3");
}

#[test]
fn sslscan_sees_exactly_the_standard_on_submission_listeners() {
    assert_standard_of_streams("submission", "--starttls-smtp");
}

#[test]
fn sslscan_sees_exactly_the_standard_on_the_web_listener() {
    let node = node_with_both_certificates_and(
        "[https]\n[[https.listener]]\naddress = \"127.0.0.1:0\"\n[[site]]\nname = \"exchange\"\nnames = \
         [\"edge.example.org\"]\naddress = \"127.0.0.1:9\"\n",
    );
    assert_standard(&[&node.https.unwrap().to_string()]);
}

fn assert_standard_of_streams(protocol: &str, way: &str) {
    // Nobody is behind: the scanner does not come so far.
    let stream = |name: &str, tls: &str| {
        format!(
            "[[stream]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
             [stream.upstream]\naddress = \"127.0.0.1:9\"\n"
        )
    };
    let node =
        node_with_both_certificates_and(&(stream("inside", "implicit") + &stream("behind", "starttls")));
    assert_standard(&[way, &node.stream("behind").to_string()]);
    assert_standard(&[&node.stream("inside").to_string()]);
}

fn assert_standard(arguments: &[&str]) {
    let output = Command::new("sslscan")
        .arg("--no-colour")
        .args(arguments)
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
