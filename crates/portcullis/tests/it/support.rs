//! A running binary, a running node in this process, and what both need.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pc_config::Config;
use pc_net::{Clock, ManualClock, Stopper};
use pc_telemetry::Metrics;
use pc_testkit::{Client, Receiver};
use pc_tls::{CertificateFiles, CertificateStore, ClientTls, Roots, ServerTls};
use portcullis::serve::Running;

/// The binary with a configuration in a folder of its own. Killed when dropped.
pub struct Node {
    pub folder: tempfile::TempDir,
    pub smtp: SocketAddr,
    pub admin: SocketAddr,
    /// Name and address of each `[[stream]]`.
    pub streams: Vec<(String, SocketAddr)>,
    /// Where there is an `[[https.listener]]`.
    pub https: Option<SocketAddr>,
    child: Child,
}

impl Node {
    /// Starts with `rest` behind the sections that every test needs.
    pub fn start(rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, rest)
    }

    pub fn start_in(folder: tempfile::TempDir, rest: &str) -> Self {
        Self::start_with(folder, rest, None)
    }

    /// Starts with a fault in the disk of its spool.
    pub fn start_broken(rest: &str, fault: &str) -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), rest, Some((portcullis::serve::FAULT_VARIABLE, fault)))
    }

    /// Starts a node that fails over messages which hold `mark`.
    pub fn start_failing_on(mark: &str, rest: &str) -> Self {
        let fault = (portcullis::serve::FAULT_MARK_VARIABLE, mark);
        Self::start_with(tempfile::tempdir().unwrap(), rest, Some(fault))
    }

    fn start_with(folder: tempfile::TempDir, rest: &str, fault: Option<(&str, &str)>) -> Self {
        let config = folder.path().join("portcullis.toml");
        let text = format!(
            "[node]\nname = \"edge.example.org\"\ndata = \"{}\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [[smtp.listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n{rest}",
            folder.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(&config)
            .envs(fault)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (mut smtp, mut admin, mut https) = (None, None, None);
        let mut streams = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["mail", address, ..] => smtp = address.trim_end_matches(',').parse().ok(),
                ["web", address] => {
                    let address = address.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
                    https = https.or(address.and_then(|address| address.parse().ok()));
                }
                [_, address, name] if name.starts_with('(') => {
                    streams.push((name.trim_matches(['(', ')']).to_owned(), address.parse().unwrap()));
                }
                ["pages", address] => {
                    admin = address
                        .strip_prefix("http://")
                        .and_then(|rest| rest.trim_end_matches('/').parse().ok());
                    break;
                }
                _ => {}
            }
        }
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let (Some(smtp), Some(admin)) = (smtp, admin) else { panic!("the node did not start: {}", log()) };
        Self { folder, smtp, admin, streams, https, child }
    }

    /// Where the `[[stream]]` of that name listens.
    pub fn stream(&self, name: &str) -> SocketAddr {
        self.streams.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// What it wrote down so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The file with its self-made certificate.
    pub fn certificate(&self) -> PathBuf {
        chain_file(self.folder.path())
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    /// Runs a command against this node.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).arg("--config").arg(self.config()).output().unwrap()
    }

    /// The same, for JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        json(&self.command(&[arguments, &["--json"]].concat()), arguments)
    }

    /// A client's TLS that trusts this node's self-made certificate.
    pub fn tls(&self) -> ClientTls {
        client_tls(self.folder.path())
    }

    /// A client that has greeted inside TLS.
    pub async fn client(&self) -> Client {
        greeted(self.smtp, &self.tls()).await
    }

    /// SIGTERM.
    pub fn tell_to_end(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits until the process has ended.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGTERM; returns when the process has ended.
    pub fn terminate(mut self) -> tempfile::TempDir {
        self.tell_to_end();
        assert!(self.ended().success(), "a told end is a good end");
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// SIGKILL; returns the folder and what was logged.
    pub fn kill(mut self) -> (tempfile::TempDir, String) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        (std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()), log)
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client's TLS that trusts the self-made certificate of a node in `folder`.
pub fn client_tls(folder: &Path) -> ClientTls {
    ClientTls::new(Roots::CaFile(chain_file(folder)), None).unwrap()
}

pub fn chain_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder.join("data/tls"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("BEGIN CERTIFICATE")))
        .unwrap()
}

async fn greeted(smtp: SocketAddr, tls: &ClientTls) -> Client {
    try_greeted(smtp, tls).await.unwrap()
}

/// The same with a node that may die at any moment.
pub async fn try_greeted(smtp: SocketAddr, tls: &ClientTls) -> std::io::Result<Client> {
    let (mut client, _) = Client::connect(smtp).await?;
    client.command("EHLO mail.example.net").await?;
    let mut client = client.start_tls(tls, "edge.example.org").await?;
    client.command("EHLO mail.example.net").await?;
    Ok(client)
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_portcullis")
}

/// Runs the binary alone.
pub fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A certificate for `name` in `folder`.
pub fn certificate(folder: &Path, name: &str) -> CertificateFiles {
    pc_tls::self_made(folder, name, Clock::System.now()).unwrap()
}

/// TLS of a receiving server with a certificate for `name`, and the files.
pub fn receiver_tls(folder: &Path, name: &str) -> (ServerTls, CertificateFiles) {
    let files = certificate(folder, name);
    let store = CertificateStore::load(std::slice::from_ref(&files), Clock::System.now()).unwrap();
    (ServerTls::new("receiver", &store).unwrap(), files)
}

/// The configuration lines for a receiving server under TLS.
pub fn upstream_toml(receiver: &Receiver, certificate: &CertificateFiles) -> String {
    format!(
        "[[upstream]]\nname = \"receiver\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"starttls\"\n\
         tls_name = \"receiver.example.org\"\nca_file = \"{}\"\n",
        receiver.address,
        certificate.chain.display()
    )
}

/// One message opens a row, for tests of what comes after.
pub const OPEN_AT_ONCE: &str = "[enforcement]\nopen_sightings = 1\nopen_hours = 0\n";

/// The header of a message that an Exchange 2016 of August 2023 sends.
pub const CHAIN_2016: &str = "Received: from mail.example.net (10.0.0.5) by mail.example.net (10.0.0.5) with\r\n Microsoft \
    SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.1.2507.31; Mon, 2 Nov\r\n 2026 \
    10:00:00 +0000\r\n";

/// The same for an Exchange SE of October 2026.
pub const CHAIN_SE: &str = "Received: from mail.example.net (10.0.0.5) by mail.example.net (10.0.0.5) with\r\n Microsoft \
    SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.2562.56; Mon, 2 Nov\r\n 2026 \
    10:00:00 +0000\r\n";

pub fn message(chain: &str) -> String {
    format!(
        "{chain}From: a@example.net\r\nTo: b@example.org\r\nSubject: test\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n"
    )
}

/// A node in this process whose ladder runs by a clock of the test's.
pub struct Simulated {
    pub clock: ManualClock,
    pub running: Running,
    pub folder: tempfile::TempDir,
    stopper: Stopper,
}

impl Simulated {
    pub async fn start(start: &str, rest: &str) -> Self {
        let mail = "[[smtp.listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n";
        Self::start_without_mail(start, &format!("{mail}{rest}")).await
    }

    /// One whose listeners are all in `rest`.
    pub async fn start_without_mail(start: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[node]\nname = \"edge.example.org\"\ndata = \"{}\"\n[admin]\naddress = \"127.0.0.1:0\"\n{rest}",
            folder.path().join("data").display()
        );
        // For commands, which reach the node by the socket in its folder.
        std::fs::write(folder.path().join("portcullis.toml"), &text).unwrap();
        let config = Config::parse(&text).unwrap();
        let clock = ManualClock::new(start.parse().unwrap());
        let (stopper, stop) = Stopper::new();
        let running = Running::start(&config, Metrics::detached(), Clock::Manual(clock.clone()), &stop).await;
        Self { clock, running: running.unwrap_or_else(|failure| panic!("{failure}")), folder, stopper }
    }

    pub fn smtp(&self) -> SocketAddr {
        self.running.smtp_addresses[0]
    }

    /// A client that has greeted inside TLS.
    pub async fn client(&self) -> Client {
        greeted(self.smtp(), &client_tls(self.folder.path())).await
    }

    /// Runs a command against this node.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let config = self.folder.path().join("portcullis.toml");
        let run = || Command::new(binary()).args(arguments).arg("--config").arg(config).output();
        // The node answers from other threads meanwhile.
        tokio::task::block_in_place(run).unwrap()
    }

    /// The same, for JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        json(&self.command(&[arguments, &["--json"]].concat()), arguments)
    }

    pub async fn finish(mut self) {
        self.stopper.stop();
        self.running.finish().await;
    }
}

fn json(output: &Output, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

/// A self-signed RSA certificate for `name` in these two files.
pub fn rsa_certificate(name: &str, chain: &Path, key: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &format!("/CN={name}"),
        ])
        .args(["-addext", &format!("subjectAltName=DNS:{name}"), "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(chain)
        .stderr(Stdio::null())
        .status()
        .expect("needs openssl: apt-get install openssl");
    assert!(made.success());
}

/// A node with an ECDSA and an RSA certificate side by side and a Maildir behind it, for scanners; with further sections.
pub fn node_with_both_certificates_and(more: &str) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let ecdsa = certificate(folder.path(), "edge.example.org");
    let (chain, key) = (folder.path().join("rsa.pem"), folder.path().join("rsa.key"));
    rsa_certificate("edge.example.org", &chain, &key);
    let maildir = folder.path().join("maildir").display().to_string();
    let text = format!(
        "[tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}, {{ chain = \"{}\", key = \"{}\" }}]\n[[upstream]]\nname = \
         \"m\"\ndomains = [\"*\"]\nmaildir = \"{maildir}\"\n{more}",
        ecdsa.chain.display(),
        ecdsa.key.display(),
        chain.display(),
        key.display(),
    );
    Node::start_in(folder, &text)
}

/// Another process does the work, so there is nothing to await; the bound only ends a hang.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    let (pause, never) = std::sync::mpsc::channel::<()>();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} did not come");
        let _ = never.recv_timeout(Duration::from_millis(50));
    }
    drop(pause);
}

/// A port for a program that cannot be told to take any. Below those that the system gives out by itself, and each process
/// begins at a place of its own, so that no other test takes it in the meantime.
pub fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let first = std::process::id() % 1_000 * 20;
    for _ in 0..20_000 {
        let step = first + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = 10_000 + u16::try_from(step % 20_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
