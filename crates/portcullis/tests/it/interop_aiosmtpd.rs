//! The gate hands mail over to a real aiosmtpd.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{CHAIN_2016, Node, certificate, message, text};

/// Stopped when dropped.
struct Aiosmtpd(Child);

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiosmtpd_receives_over_starttls_what_the_gate_took() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate(folder.path(), "receiver.example.org");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/aiosmtpd");
    let child = Command::new(program)
        .args(["-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox"])
        .args(["--tlscert".as_ref(), certificate.chain.as_path()])
        .args(["--tlskey".as_ref(), certificate.key.as_path()])
        .arg(folder.path().join("mail"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("needs aiosmtpd, which `cargo xtask test` puts into target/python");
    let _aiosmtpd = Aiosmtpd(child);
    let started = Instant::now();
    // Another process opens the port, so there is nothing to await; the bound only ends a hang.
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30), "{}", log());
        tokio::task::yield_now().await;
    }
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"receiver\"\ndomains = [\"example.org\"]\naddress = \"127.0.0.1:{port}\"\n\
         tls = \"starttls\"\ntls_name = \"receiver.example.org\"\nca_file = \"{}\"\n",
        certificate.chain.display()
    ));
    let mut client = node.client().await;
    for _ in 0..2 {
        let message = message(CHAIN_2016);
        let recipients = ["b@example.org", "c@example.org"];
        let replies = client.send("a@example.net", &recipients, message.as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    let mut got = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("mail/new")).unwrap() {
        got.push(text(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    assert_eq!(got.len(), 2, "one message for both recipients, each time");
    assert!(got[0].contains("X-RcptTo: b@example.org, c@example.org"), "{}", got[0]);
    assert!(got[0].contains("verdict=unsupported; build=15.1.2507.31"), "{}", got[0]);
    let trace = node.json(&["trace", "--to", "example.org"]);
    assert_eq!(trace[0]["upstream"], "receiver");
    assert!(trace[0]["upstream_reply"].as_str().unwrap().contains("OK"), "{trace}");
}
