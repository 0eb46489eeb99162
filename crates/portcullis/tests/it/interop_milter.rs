//! Real content scanners: Rspamd's proxy, and ClamAV's milter with its daemon. Both run in a folder of
//! their own, without network, with one rule or signature each.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_2016, Node, free_port, message, receiver_tls, text, until, upstream_toml};

/// A program that runs until it is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, arguments: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its own children.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// A node with a real scanner beside it and a receiving server behind.
struct Scanned {
    node: Node,
    receiver: Receiver,
    folder: tempfile::TempDir,
}

impl Scanned {
    async fn start(folder: tempfile::TempDir, milter_address: &str) -> Self {
        let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
        let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
        let node = Node::start(&format!(
            "{}[[milter]]\nname = \"scanner\"\naddress = \"{milter_address}\"\n",
            upstream_toml(&receiver, &files)
        ));
        Self { node, receiver, folder }
    }

    async fn send(&self, octets: &[u8]) -> String {
        let mut client = self.node.client().await;
        let replies = client.send("a@example.net", &["b@example.org"], octets).await.unwrap();
        let last = replies.last().unwrap();
        format!("{} {}", last.code, last.lines.join(" / "))
    }

    fn last_message(&self) -> String {
        text(&self.receiver.deliveries().last().unwrap().message)
    }

    fn log(&self, name: &str) -> String {
        let node = std::fs::read_to_string(self.node.folder.path().join("log")).unwrap();
        node + &std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

fn rspamd(folder: &Path) -> (Daemon, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let place = folder.display();
    // The list of top-level domains is compiled at start; Debian's takes seconds.
    std::fs::write(folder.join("tld"), "example\nnet\norg\n").unwrap();
    let text = format!(
        r#"options {{
    pidfile = "{place}/rspamd.pid"; tempdir = "{place}"; cache_file = "{place}/symbols.cache";
    control_socket = "{place}/rspamd.sock mode=0600"; url_tld = "{place}/tld"; disable_hyperscan = true;
    filters = ""; explicit_modules = ["none"]; enable_test_patterns = true;
    dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1; retransmits = 1; }}
}}
logging {{ type = "console"; level = "info"; }}
metric {{ name = "default"; actions {{ reject = 15; add_header = 6; rewrite_subject = 8; }} }}
worker "rspamd_proxy" {{
    bind_socket = "{address}"; milter = yes; timeout = 30s; count = 1;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
"#
    );
    let config = folder.join("rspamd.conf");
    std::fs::write(&config, text).unwrap();
    let log = folder.join("rspamd.log");
    let arguments = ["-f", "-i", "-c", &config.display().to_string()];
    let daemon = Daemon::start("rspamd", &arguments, &log);
    until("Rspamd", || std::net::TcpStream::connect(&address).is_ok());
    (daemon, address)
}

/// The generic test for unsolicited bulk mail; the first letter chooses Rspamd's action.
fn gtube(action: char) -> String {
    let pattern = ["JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-", "STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].concat();
    message(CHAIN_2016).replace("\r\n\r\nbody", &format!("\r\n\r\n{action}{pattern}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rspamd_lets_mail_pass_marks_it_renames_it_and_rejects_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, address) = rspamd(folder.path());
    let scanned = Scanned::start(folder, &address).await;
    let reply = scanned.send(message(CHAIN_2016).as_bytes()).await;
    assert!(reply.starts_with("250 "), "{reply}\n{}", scanned.log("rspamd.log"));
    let reply = scanned.send(gtube('X').as_bytes()).await;
    assert_eq!(reply, "554 5.7.1 Gtube pattern", "{}", scanned.log("rspamd.log"));
    assert_eq!(scanned.receiver.count(), 1);
    let reply = scanned.send(gtube('Y').as_bytes()).await;
    assert!(reply.starts_with("250 "), "{reply}\n{}", scanned.log("rspamd.log"));
    assert!(scanned.last_message().contains("\r\nX-Spam: Yes\r\n"), "{}", scanned.log("rspamd.log"));
    let reply = scanned.send(gtube('Z').as_bytes()).await;
    assert!(reply.starts_with("250 "), "{reply}\n{}", scanned.log("rspamd.log"));
    assert!(
        scanned.last_message().contains("\r\nSubject: *** SPAM *** test\r\n"),
        "{}",
        scanned.last_message()
    );
    let large = message(CHAIN_2016).into_bytes().repeat(8_000);
    assert!(scanned.send(&large).await.starts_with("250 "), "{}", scanned.log("rspamd.log"));
    assert_eq!(scanned.receiver.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_waits_while_rspamd_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let (daemon, address) = rspamd(folder.path());
    let scanned = Scanned::start(folder, &address).await;
    assert!(scanned.send(message(CHAIN_2016).as_bytes()).await.starts_with("250 "));
    drop(daemon);
    let reply = scanned.send(message(CHAIN_2016).as_bytes()).await;
    assert!(reply.starts_with("451 4.7.1 "), "{reply}");
    assert_eq!(scanned.receiver.count(), 1);
}

/// Returns the milter, the daemon, and the milter's address.
fn clamav(folder: &Path) -> (Daemon, Daemon, String) {
    let place = folder.display();
    std::fs::create_dir(folder.join("signatures")).unwrap();
    // MD5 and length of the file that EICAR published for testing scanners.
    let signature = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n";
    std::fs::write(folder.join("signatures/test.hdb"), signature).unwrap();
    let clamd = folder.join("clamd.conf");
    let settings = format!(
        "Foreground yes\nLocalSocket {place}/clamd.ctl\nDatabaseDirectory {place}/signatures\nTemporaryDirectory {place}\n\
         SelfCheck 0\n"
    );
    std::fs::write(&clamd, settings).unwrap();
    let milter = folder.join("milter.conf");
    let settings = format!(
        "Foreground yes\nMilterSocket unix:{place}/milter.ctl\nClamdSocket unix:{place}/clamd.ctl\n\
         TemporaryDirectory {place}\nOnInfected Reject\nRejectMsg virus %v\nOnFail Defer\nAddHeader Replace\n"
    );
    std::fs::write(&milter, settings).unwrap();
    let start = |program: &str, config: &Path| {
        let log = folder.join(format!("{program}.log"));
        Daemon::start(program, &["-c", &config.display().to_string()], &log)
    };
    let clamd = start("clamd", &clamd);
    until("clamd", || std::os::unix::net::UnixStream::connect(folder.join("clamd.ctl")).is_ok());
    let milter = start("clamav-milter", &milter);
    until("clamav-milter", || folder.join("milter.ctl").exists());
    (milter, clamd, format!("unix:{place}/milter.ctl"))
}

/// A message with the EICAR test file attached; in pieces, so that no scanner finds it in this source.
fn infected() -> String {
    let base64 = [
        "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FS",
        "LVNUQU5EQVJELUFOVElWSVJV",
        "Uy1URVNULUZJTEUhJEgrSCo=",
    ]
    .concat();
    let part = format!(
        "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"test.com\"\r\n\r\n{base64}\r\n--b--\r\n"
    );
    let header = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    message(CHAIN_2016).replace("\r\n\r\nbody\r\n", &format!("\r\n{header}{part}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clamav_lets_clean_mail_pass_and_rejects_the_eicar_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_milter, clamd, address) = clamav(folder.path());
    let scanned = Scanned::start(folder, &address).await;
    let forged = format!("X-Virus-Status: Forged\r\n{}", message(CHAIN_2016));
    let reply = scanned.send(forged.as_bytes()).await;
    assert!(reply.starts_with("250 "), "{reply}\n{}", scanned.log("clamav-milter.log"));
    let got = scanned.last_message();
    assert!(got.contains("\r\nX-Virus-Status: Clean\r\n") && !got.contains("Forged"), "{got}");
    let reply = scanned.send(infected().as_bytes()).await;
    assert!(
        reply.starts_with("550 5.7.1 virus Eicar-Test-Signature"),
        "{reply}\n{}",
        scanned.log("clamav-milter.log")
    );
    drop(clamd);
    let reply = scanned.send(message(CHAIN_2016).as_bytes()).await;
    assert!(reply.starts_with("451 "), "a milter without its daemon lets nothing pass: {reply}");
    assert_eq!(scanned.receiver.count(), 1);
}
