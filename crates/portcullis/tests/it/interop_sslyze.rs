use std::path::Path;
use std::process::Command;

use crate::support::node_with_both_certificates;

#[test]
fn sslyze_sees_exactly_the_standard() {
    let node = node_with_both_certificates();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/sslyze");
    let result = node.folder.path().join("sslyze.json");
    let output = Command::new(program)
        .args([
            "--starttls",
            "smtp",
            "--sslv2",
            "--sslv3",
            "--tlsv1",
            "--tlsv1_1",
            "--tlsv1_2",
            "--tlsv1_3",
            "--reneg",
            "--heartbleed",
        ])
        .arg(format!("--json_out={}", result.display()))
        .arg(node.smtp.to_string())
        .output()
        .expect("needs sslyze, which `cargo xtask test` puts into target/python");
    let text = std::fs::read_to_string(&result).unwrap_or_else(|_| panic!("{output:?}"));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let scan = &report["server_scan_results"][0]["scan_result"];
    let accepted = |key: &str| -> Vec<String> {
        let list = scan[key]["result"]["accepted_cipher_suites"]
            .as_array()
            .unwrap_or_else(|| panic!("{key}: {}", scan[key]));
        let mut names: Vec<String> =
            list.iter().map(|suite| suite["cipher_suite"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    for key in
        ["ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites"]
    {
        assert_eq!(accepted(key), Vec::<String>::new(), "{key}");
    }
    let tls12 = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ];
    assert_eq!(accepted("tls_1_2_cipher_suites"), tls12);
    assert_eq!(accepted("tls_1_3_cipher_suites"), ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]);
    assert_eq!(scan["heartbleed"]["result"]["is_vulnerable_to_heartbleed"], false);
    assert_eq!(scan["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"], false);
}
