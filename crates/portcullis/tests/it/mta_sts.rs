//! MTA-STS (RFC 8461): the policy over HTTPS, and the records that belong to it.

use pc_testkit::{DnsServer, WebClient};
use pc_tls::{ClientTls, Roots};

use crate::support::{Simulated, certificate, run};

const HOST: &str = "mta-sts.example.org";
const POLICY: &str = "[[https.mta_sts]]\ndomain = \"example.org\"\nmode = \"testing\"\nmx = [\"mx1.example.org\", \"*.mx.example.net\"]\n";

/// Sections of a node that serves nothing but the policy, with a certificate for `name`.
fn sections(folder: &std::path::Path, name: &str) -> String {
    let files = certificate(folder, name);
    format!(
        "[tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}]\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \
         \"{}\"\n[https]\n[[https.listener]]\naddress = \"127.0.0.1:0\"\n{POLICY}",
        files.chain.display(),
        files.key.display(),
        folder.join("maildir").display(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_all_that_its_host_serves() {
    let folder = tempfile::tempdir().unwrap();
    let node = Simulated::start("2026-11-26T12:00:00Z", &sections(folder.path(), HOST)).await;
    let roots = Roots::CaFile(certificate(folder.path(), HOST).chain);
    let tls = ClientTls::new(roots, None).unwrap();
    let https = node.running.web_addresses.https[0];
    let ask = async |method: &str, path: &str, host: &str| {
        let mut client = WebClient::connect_in_tls(https, &tls, HOST).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.ask(&request).await.unwrap()
    };
    let policy = ask("GET", "/.well-known/mta-sts.txt", HOST).await;
    assert_eq!((policy.status, policy.values("Content-Type")), (200, vec!["text/plain; charset=utf-8"]));
    assert_eq!(
        policy.text(),
        "version: STSv1\r\nmode: testing\r\nmx: mx1.example.org\r\nmx: *.mx.example.net\r\nmax_age: 1209600\r\n"
    );
    let head = ask("HEAD", "/.well-known/mta-sts.txt", HOST).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(ask("POST", "/.well-known/mta-sts.txt", HOST).await.status, 405);
    for path in [
        "/",
        "/owa/",
        "/.well-known/mta-sts.txt/",
        "/.well-known/../.well-known/mta-sts.txt",
        "/.well-known/portcullis/client",
    ] {
        assert_eq!(ask("GET", path, HOST).await.status, 404, "{path}");
    }
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_compares_what_the_dns_publishes_and_says_what_to() {
    let dns = DnsServer::start("example.org MX 10 mx1.example.org\n").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{}[dns]\nservers = [\"{}\"]\n", sections(folder.path(), HOST), dns.address);
    let node = Simulated::start("2026-11-26T12:00:00Z", &text).await;
    let lines = || node.json(&["doctor"]).to_string();
    let records = node.json(&["tls", "records"]);
    let record = |name: &str| {
        let found = records.as_array().unwrap().iter().find(|record| record["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {records}"))["data"].as_str().unwrap().to_owned()
    };
    let policy = record("_mta-sts.example.org");
    assert!(policy.starts_with("v=STSv1; id="), "{policy}");
    assert!(record("_25._tcp.mx1.example.org").starts_with("3 1 1 "));
    let missing = lines();
    assert!(missing.contains("_mta-sts.example.org is missing"), "{missing}");
    assert!(missing.contains("_smtp._tls.example.org is missing"), "{missing}");
    dns.publish("_mta-sts.example.org TXT v=STSv1; id=1;\n_smtp._tls.example.org TXT v=TLSRPTv1; rua=mailto:a@example.org\n");
    let other = lines();
    assert!(other.contains("senders keep an older policy"), "{other}");
    assert!(other.contains("_smtp._tls.example.org asks for reports"), "{other}");
    dns.publish(&format!("_mta-sts.example.org TXT {policy}\n"));
    let right = lines();
    assert!(right.contains("_mta-sts.example.org names the policy that is served"), "{right}");
    node.finish().await;
}

#[test]
fn a_node_without_a_certificate_for_the_host_of_the_policy_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let text = format!(
        "[node]\ndata = \"{}\"\n[admin]\naddress = \"127.0.0.1:0\"\n[[smtp.listener]]\naddress = \"127.0.0.1:0\"\n{}",
        folder.path().join("data").display(),
        sections(folder.path(), "mail.example.org")
    );
    std::fs::write(&path, text).unwrap();
    for command in ["serve", "doctor"] {
        let output = run(&[command, "--config", &path.display().to_string()]);
        let told = format!("{output:?}");
        assert!(told.contains("no certificate is for mta-sts.example.org"), "{command}: {told}");
        assert!(!output.status.success());
    }
}
