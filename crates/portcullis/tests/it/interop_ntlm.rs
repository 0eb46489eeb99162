//! Real NTLM with channel binding through the edge: requests-ntlm, exchangelib and curl before it, pyspnego behind it.

use std::path::{Path, PathBuf};
use std::process::Command;

use pc_testkit::{Exchange, Ntlm};

use crate::support::certificate;
use crate::web::{Certificates, NAME, Web, server_tls, start_node};

const USERS: [(&str, &str); 2] = [("alice", "Sehr-geheim-1"), ("bob", "Sehr-geheim-2")];

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python")
}

struct Edge {
    web: Web,
    roots: PathBuf,
}

impl Edge {
    /// Exchange has the certificate that clients see.
    async fn start() -> Self {
        let certificates = Certificates::new();
        let exchange = Exchange::start(certificates.server()).await.unwrap();
        let main = certificates.main.chain.clone();
        Self::with(certificates, exchange, &main).await
    }

    async fn with(certificates: Certificates, exchange: Exchange, bound_to: &Path) -> Self {
        let ntlm = Ntlm::start(&python(), bound_to, &USERS);
        exchange.log_in_by(ntlm.expect("needs pyspnego, which `cargo xtask test` puts into target/python"));
        let node = start_node(&certificates, &[exchange.address], "", "").await;
        let roots = certificates.roots.clone();
        Self { web: Web::from_parts(exchange, node, certificates), roots }
    }

    /// What a client in Python prints.
    async fn client(&self, how: &str, user: usize, target: &str, times: usize) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/interop_ntlm/client.py");
        let mut command = Command::new(python());
        command.arg(script).arg(self.web.https().port().to_string()).arg(&self.roots);
        command.args([NAME, how, USERS[user].0, USERS[user].1, target, &times.to_string()]);
        run(command).await
    }

    /// What the edge says of the certificate behind.
    async fn binding(&self) -> Option<&'static str> {
        self.web.exchange.wait_for_health_checks("owa", 1).await;
        self.web.node.running.web.as_ref().unwrap().listed()[0].hosts[0].channel_binding
    }

    async fn curl(&self, user: &str, target: &str) -> String {
        let port = self.web.https().port();
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--max-time", "60", "--ntlm", "--user", user, "--cacert"])
            .arg(&self.roots)
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1"), "--write-out", " %{http_code}"])
            .arg(format!("https://{NAME}:{port}{target}"));
        run(command).await
    }
}

async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_logs_in_bound_to_the_certificate_that_both_sides_have() {
    let edge = Edge::start().await;
    for target in ["/owa/ntlm", "/ews/ntlm"] {
        let shown = edge.client("requests", 0, target, 3).await;
        assert_eq!(shown, "200 EXAMPLE\\alice\n".repeat(3), "{target}: {:?}", edge.web.exchange.refusals());
    }
    edge.web.exchange.wait_for_closed(2).await;
    let unbound = edge.client("requests-unbound", 0, "/owa/ntlm", 1).await;
    assert!(unbound.starts_with("401"), "OWA requires a binding: {unbound}");
    assert_eq!(edge.client("requests-unbound", 0, "/ews/ntlm", 1).await, "200 EXAMPLE\\alice\n");
    assert_eq!(edge.binding().await, Some("partial"), "clients of the other name see another certificate");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_logs_in_and_a_wrong_password_is_refused() {
    let edge = Edge::start().await;
    assert_eq!(edge.curl("EXAMPLE\\alice:Sehr-geheim-1", "/ews/ntlm").await, "EXAMPLE\\alice 200");
    let wrong = edge.curl("EXAMPLE\\alice:Sehr-geheim-2", "/ews/ntlm").await;
    assert!(wrong.ends_with(" 401"), "{wrong}");
    assert_eq!(edge.web.exchange.refusals().len(), 1, "{:?}", edge.web.exchange.refusals());
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchangelib_reads_a_folder() {
    let edge = Edge::start().await;
    let shown = edge.client("exchangelib", 1, "/EWS/Exchange.asmx", 1).await;
    assert_eq!(shown, "200 Root of EXAMPLE\\bob\n", "{:?}", edge.web.exchange.refusals());
    let requests = edge.web.exchange.requests();
    let bodies = requests.iter().filter(|request| request.method == "POST").count();
    assert!(bodies >= 3, "three legs of a login: {bodies}");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_at_once_are_never_taken_for_each_other() {
    let edge = Edge::start().await;
    let (alice, bob, folder) = tokio::join!(
        edge.client("requests", 0, "/owa/ntlm", 200),
        edge.client("requests", 1, "/owa/ntlm", 200),
        edge.client("exchangelib", 1, "/EWS/Exchange.asmx", 20),
    );
    assert_eq!(alice, "200 EXAMPLE\\alice\n".repeat(200));
    assert_eq!(bob, "200 EXAMPLE\\bob\n".repeat(200));
    assert_eq!(folder, "200 Root of EXAMPLE\\bob\n".repeat(20));
    let mut users = std::collections::BTreeMap::new();
    for request in edge.web.exchange.requests() {
        if let Some(user) = request.user {
            assert_eq!(
                users.entry(request.connection).or_insert(user.clone()),
                &user,
                "one connection, one user"
            );
        }
    }
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_behind_breaks_bound_logins_and_the_edge_says_so() {
    let certificates = Certificates::new();
    let folder = certificates.folder.path().join("behind");
    std::fs::create_dir(&folder).unwrap();
    // Trusted, and for the same name.
    let behind = certificate(&folder, NAME);
    let roots = [&certificates.roots, &behind.chain].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&certificates.roots, roots.concat()).unwrap();
    let exchange = Exchange::start(server_tls(&behind)).await.unwrap();
    let edge = Edge::with(certificates, exchange, &behind.chain).await;
    let shown = edge.client("requests", 0, "/ews/ntlm", 1).await;
    assert!(shown.starts_with("401"), "{shown}");
    let refusals = edge.web.exchange.refusals();
    assert!(refusals.iter().all(|why| why.starts_with("BadBindingsError")), "{refusals:?}");
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    // As if by chance, since EWS only allows bindings.
    assert_eq!(edge.client("requests-unbound", 0, "/ews/ntlm", 1).await, "200 EXAMPLE\\alice\n");
    assert_eq!(edge.binding().await, Some("mismatch"));
    edge.web.node.finish().await;
}
