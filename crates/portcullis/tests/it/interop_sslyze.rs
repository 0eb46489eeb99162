use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::listeners::{Listener, node_with_all_listeners};

#[test]
fn sslyze_sees_exactly_the_standard_on_every_listener() {
    let (node, listeners) = node_with_all_listeners();
    let ways: std::collections::BTreeSet<Option<&str>> =
        listeners.iter().map(|listener| listener.starttls).collect();
    for way in ways {
        let named: Vec<&Listener> = listeners.iter().filter(|listener| listener.starttls == way).collect();
        let report = scan(node.folder.path(), way, &named);
        let results = report["server_scan_results"].as_array().unwrap();
        assert_eq!(results.len(), named.len(), "{report}");
        for result in results {
            let port = result["server_location"]["port"].as_u64().unwrap();
            let listener = named.iter().find(|listener| u64::from(listener.address.port()) == port).unwrap();
            assert_standard(&listener.name, &result["scan_result"]);
        }
    }
}

/// All listeners at which TLS begins in the same way.
fn scan(folder: &Path, way: Option<&str>, listeners: &[&Listener]) -> Value {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin");
    let result = folder.join("sslyze.json");
    let mut command = Command::new(program.join("python"));
    command.args(["-m", "sslyze", "--reneg", "--heartbleed"]);
    command.args(["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3"]);
    if let Some(word) = way {
        command.args(["--starttls", word]);
    }
    let output = command
        .arg(format!("--json_out={}", result.display()))
        .args(listeners.iter().map(|listener| listener.address.to_string()))
        .output()
        .expect("needs sslyze, which `cargo xtask test` puts into target/python");
    let text = std::fs::read_to_string(&result).unwrap_or_else(|_| panic!("{output:?}"));
    std::fs::remove_file(&result).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn assert_standard(name: &str, scan: &Value) {
    let accepted = |key: &str| -> Vec<String> {
        let list = scan[key]["result"]["accepted_cipher_suites"]
            .as_array()
            .unwrap_or_else(|| panic!("{name}: {key}: {}", scan[key]));
        let mut names: Vec<String> =
            list.iter().map(|suite| suite["cipher_suite"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    for key in
        ["ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites"]
    {
        assert_eq!(accepted(key), Vec::<String>::new(), "{name}: {key}");
    }
    let tls12 = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ];
    assert_eq!(accepted("tls_1_2_cipher_suites"), tls12, "{name}");
    assert_eq!(
        accepted("tls_1_3_cipher_suites"),
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
        "{name}"
    );
    assert_eq!(scan["heartbleed"]["result"]["is_vulnerable_to_heartbleed"], false, "{name}");
    assert_eq!(
        scan["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"], false,
        "{name}"
    );
}
