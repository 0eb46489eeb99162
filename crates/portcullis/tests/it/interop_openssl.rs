use std::process::{Command, Stdio};

use crate::support::Node;

fn node() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("maildir").display().to_string();
    Node::start_in(
        folder,
        &format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{maildir}\"\n"),
    )
}

fn s_client(node: &Node, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-starttls", "smtp", "-connect", &node.smtp.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("needs openssl: apt-get install openssl");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn old_clients_get_alert_70_and_appear_in_the_list() {
    let node = node();
    for (version, name) in [("-tls1", "TLSv1.0"), ("-tls1_1", "TLSv1.1")] {
        let shown = s_client(&node, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(shown.contains("alert number 70"), "{version}: {shown}");
        let clients = node.json(&["tls", "clients"]);
        let row = clients.as_array().unwrap().iter().find(|row| row["version"] == name).unwrap();
        assert_eq!(
            (row["refusal"].as_str(), row["address"].as_str()),
            (Some("old_version"), Some("127.0.0.1"))
        );
        assert!(row["ja4"].as_str().unwrap().starts_with("t1"));
    }
}

#[test]
fn each_suite_of_the_standard_works_that_fits_the_certificate_and_no_other() {
    let node = node();
    for suite in ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"] {
        let shown = s_client(&node, &["-tls1_2", "-cipher", suite]);
        assert!(shown.contains(&format!("Cipher is {suite}")), "{shown}");
    }
    for suite in ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"] {
        let shown = s_client(&node, &["-tls1_3", "-ciphersuites", suite]);
        assert!(shown.contains(&format!("Cipher is {suite}")), "{shown}");
    }
    for suite in [
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-SHA384",
        "AES256-GCM-SHA384",
        "DHE-RSA-AES256-GCM-SHA384",
    ] {
        let shown = s_client(&node, &["-tls1_2", "-cipher", suite]);
        assert!(shown.contains("alert number 40"), "{suite}: {shown}");
    }
    let shown = s_client(&node, &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]);
    assert!(shown.contains("alert number 40"), "{shown}");
}

#[test]
fn tlsa_records_are_what_openssl_makes_of_the_certificate() {
    let node = node();
    let chain = node.certificate().display().to_string();
    let script = format!(
        "openssl x509 -in {chain} -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let digest = String::from_utf8(output.stdout).unwrap();
    let digest = digest.trim().rsplit(' ').next().unwrap();
    let records = node.json(&["tls", "records"]);
    assert_eq!(records[0]["name"], "_25._tcp.edge.example.org", "{records}");
    assert_eq!(records[0]["data"], format!("3 1 1 {digest}"), "{records}");
}
