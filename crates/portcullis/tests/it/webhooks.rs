//! What machines are told by webhooks.

use std::path::PathBuf;
use std::time::Duration;

use pc_testkit::{Behaviour, DnsServer, Receiver, WebhookAnswer, WebhookReceiver};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    CHAIN_2016, CHAIN_SE, Node, OPEN_AT_ONCE, Simulated, message, receiver_tls, text, until, upstream_toml,
};

const START: &str = "2026-11-02T12:00:00Z";
/// Of the specification's own examples.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A mail server, receivers of webhooks, and the zone that names them.
pub struct Peers {
    folder: tempfile::TempDir,
    mail: Receiver,
    dns: DnsServer,
    mail_toml: String,
    pub receivers: Vec<WebhookReceiver>,
    certificate: String,
}

impl Peers {
    /// Receivers that give these answers in turn.
    pub async fn start(answers: Vec<Vec<WebhookAnswer>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
        let mail = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
        let mail_toml = upstream_toml(&mail, &files);
        let hooks = folder.path().join("hooks");
        std::fs::create_dir(&hooks).unwrap();
        let (tls, files) = receiver_tls(&hooks, "hooks.example.org");
        let mut receivers = Vec::new();
        for answers in answers {
            receivers.push(WebhookReceiver::start(tls.clone(), answers).await.unwrap());
        }
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let dns = DnsServer::start("hooks.example.org A 127.0.0.1\n").await.unwrap();
        let certificate = files.chain.display().to_string();
        Self { folder, mail, dns, mail_toml, receivers, certificate }
    }

    /// The file of secrets that all of them share.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A `[[notify.webhook]]` for a receiver.
    pub fn webhook(&self, index: usize, name: &str, more: &str) -> String {
        format!(
            "[[notify.webhook]]\nname = \"{name}\"\nurl = \"https://hooks.example.org:{}/{name}\"\nsecret_file = \"{}\"\n\
             ca_file = \"{}\"\ntimeout_seconds = 60\n{more}\n",
            self.receivers[index].address.port(),
            self.secret_file().display(),
            self.certificate,
        )
    }

    /// The rest of a configuration with these webhooks.
    pub fn toml(&self, webhooks: &str) -> String {
        format!(
            "{}recipients_cache_negative_minutes = 0\n[spool]\nmode = \"always\"\n{OPEN_AT_ONCE}[dns]\nservers = [\"{}\"]\n\
             spf = \"off\"\n[[tenant]]\nname = \"example\"\n{webhooks}",
            self.mail_toml, self.dns.address
        )
    }
}

/// Where tests have their receivers.
pub const INSIDE: &str = "allow_networks = [\"127.0.0.0/8\"]";

async fn send(gate: &Simulated, chain: &str) {
    let mut client = gate.client().await;
    let replies = client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    gate.running.records.as_ref().unwrap().writer.flush().await;
}

/// The ledger of a webhook, once `is_there`.
async fn ledger(gate: &Simulated, name: &str, is_there: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let records = gate.running.records.as_ref().unwrap();
    let looking = async {
        loop {
            let notices = records.store.notices(None, 100).await.unwrap();
            let of_it = notices.into_iter().filter(|notice| notice.addressee == format!("webhook {name}"));
            let rows: Vec<Value> = of_it.map(|notice| serde_json::to_value(notice).unwrap()).collect();
            if is_there(&rows) {
                return rows;
            }
            tokio::task::yield_now().await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(60), looking).await;
    looked.unwrap_or_else(|_| panic!("the ledger of {name} did not come to that"))
}

/// The page of notices.
async fn page(gate: &Simulated) -> String {
    let mut stream = TcpStream::connect(gate.running.admin_address).await.unwrap();
    stream.write_all(b"GET /notices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn state(rows: &[Value], place: usize) -> &str {
    rows.get(place).and_then(|row| row["tries"]["state"].as_str()).unwrap_or_default()
}

fn status(status: u16) -> WebhookAnswer {
    WebhookAnswer::Status(status, String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_failed_comes_again_with_the_same_id_and_body_and_the_ledger_says_so() {
    let peers = Peers::start(vec![vec![status(500)]]).await;
    let gate = Simulated::start(START, &peers.toml(&peers.webhook(0, "ops", INSIDE))).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    let first = peers.receivers[0].wait_for(1).await.remove(0);
    assert!(first.head.starts_with("POST /ops HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!(first.field("content-type"), "application/json");
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!((&body["type"], &body["timestamp"]), (&"server.owing".into(), &"2026-11-02T12:01:00Z".into()));
    let data = &body["data"];
    assert_eq!(data["server"]["build"], "15.1.2507.31");
    assert_eq!((&data["server"]["product"], &data["enforcement"]), (&"2016".into(), &"report".into()));
    assert!(data["evidence"]["header"].as_str().unwrap().contains("id 15.1.2507.31"), "{data}");
    assert_eq!(data["lack"]["code"], "product_unsupported", "{data}");
    let rows = ledger(&gate, "ops", |rows| state(rows, 0) == "retrying").await;
    assert_eq!((&rows[0]["tries"]["tries"], &rows[0]["tries"]["answer"]), (&1.into(), &"500".into()));
    // 5 seconds and up to a tenth.
    gate.clock.set("2026-11-02T12:01:06Z".parse().unwrap());
    let second = peers.receivers[0].wait_for(2).await.remove(1);
    assert_eq!(second.field("webhook-id"), first.field("webhook-id"));
    assert_eq!(second.body, first.body);
    assert_ne!(second.field("webhook-timestamp"), first.field("webhook-timestamp"));
    assert_ne!(second.field("webhook-signature"), first.field("webhook-signature"));
    let rows = ledger(&gate, "ops", |rows| state(rows, 0) == "delivered").await;
    assert_eq!((rows.len(), &rows[0]["tries"]["tries"]), (1, &2.into()));
    // The end of the ladder is told as well, and nothing twice.
    send(&gate, CHAIN_SE).await;
    gate.clock.set("2026-11-02T13:10:00Z".parse().unwrap());
    let third = peers.receivers[0].wait_for(3).await.remove(2);
    assert!(third.body.contains("\"type\":\"server.released\""), "{}", third.body);
    assert_ne!(third.field("webhook-id"), first.field("webhook-id"));
    let rows = ledger(&gate, "ops", |rows| rows.len() == 2 && state(rows, 0) == "delivered").await;
    assert_eq!(state(&rows, 1), "delivered");
    let listed = gate.json(&["notices", "list"]);
    assert_eq!((&listed[0]["addressee"], &listed[0]["state"]), (&"webhook ops".into(), &"delivered".into()));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_up_neither_another_one_nor_mail() {
    let peers = Peers::start(vec![vec![WebhookAnswer::Hang], vec![]]).await;
    let slow = peers.webhook(0, "slow", INSIDE).replace("timeout_seconds = 60", "timeout_seconds = 1");
    let hooks = format!(
        "[notify]\noperator = [\"operator@example.org\"]\n{slow}{}",
        peers.webhook(1, "quick", INSIDE)
    );
    let gate = Simulated::start(START, &peers.toml(&hooks)).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    peers.receivers[0].wait_for(1).await;
    ledger(&gate, "quick", |rows| state(rows, 0) == "delivered").await;
    gate.clock.set("2026-11-02T12:02:00Z".parse().unwrap());
    let mailed = peers.mail.wait_for(2);
    tokio::time::timeout(Duration::from_secs(60), mailed).await.expect("the operator's mail");
    let rows = ledger(&gate, "slow", |rows| state(rows, 0) == "retrying").await;
    assert_eq!(rows[0]["tries"]["answer"], "it did not come within 1 seconds");
    gate.clock.set("2026-11-02T12:03:00Z".parse().unwrap());
    ledger(&gate, "slow", |rows| state(rows, 0) == "delivered").await;
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let peers = Peers::start(vec![vec![], vec![]]).await;
    let inside = peers.receivers[1].address.port();
    let location = format!("Location: https://hooks.example.org:{inside}/secret\r\n");
    let redirecting = Peers::start(vec![vec![WebhookAnswer::Status(302, location)]]).await;
    let gate = Simulated::start(START, &redirecting.toml(&redirecting.webhook(0, "ops", INSIDE))).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    let rows = ledger(&gate, "ops", |rows| state(rows, 0) == "retrying").await;
    assert!(rows[0]["tries"]["answer"].as_str().unwrap().starts_with("302, a redirect"), "{rows:?}");
    assert_eq!((peers.receivers[1].requests().len(), redirecting.receivers[0].requests().len()), (0, 1));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_disabled_until_it_takes_a_test() {
    let peers = Peers::start(vec![vec![status(410), status(401)]]).await;
    let gate = Simulated::start(START, &peers.toml(&peers.webhook(0, "ops", INSIDE))).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    ledger(&gate, "ops", |rows| state(rows, 0) == "gone").await;
    let listed = gate.json(&["notices", "webhooks"]);
    assert_eq!(
        (&listed[0]["disabled_at"], &listed[0]["answer"]),
        (&"2026-11-02T12:01:00Z".into(), &"410".into())
    );
    let page = page(&gate).await;
    assert!(page.contains("it answered 410 at") && page.contains("notices test-webhook ops"), "{page}");
    // What comes meanwhile is not sent, and the ledger says why.
    send(&gate, CHAIN_SE).await;
    gate.clock.set("2026-11-02T13:10:00Z".parse().unwrap());
    let rows = ledger(&gate, "ops", |rows| state(rows, 0) == "disabled").await;
    assert!(rows[0]["tries"]["answer"].as_str().unwrap().starts_with("not sent: the receiver answered 410"));
    assert_eq!(peers.receivers[0].requests().len(), 1);
    let refused = gate.command(&["notices", "test-webhook", "ops"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stdout).contains("401\nthe receiver refuses the signature"), "{refused:?}");
    assert!(gate.json(&["notices", "webhooks"])[0]["disabled_at"].is_string());
    let taken = gate.json(&["notices", "test-webhook", "ops"]);
    assert_eq!((&taken["taken"], &taken["answer"]), (&true.into(), &"204".into()));
    assert!(gate.json(&["notices", "webhooks"])[0]["disabled_at"].is_null());
    let good = gate.command(&["doctor"]);
    assert!(text(&good.stdout).contains("ops: 1 secret in the file"), "{good:?}");
    let unknown = gate.command(&["notices", "test-webhook", "other"]);
    assert!(text(&unknown.stderr).contains("There is no [[notify.webhook]] other"), "{unknown:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_inside_is_refused_at_each_try_and_never_connected_to() {
    let peers = Peers::start(vec![vec![]]).await;
    let gate = Simulated::start(START, &peers.toml(&peers.webhook(0, "ops", ""))).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    let rows = ledger(&gate, "ops", |rows| state(rows, 0) == "retrying").await;
    let want = "127.0.0.1: a loopback address; only [[notify.webhook]] allow_networks allows that";
    assert_eq!(rows[0]["tries"]["answer"], want);
    gate.clock.set("2026-11-02T12:01:06Z".parse().unwrap());
    ledger(&gate, "ops", |rows| rows[0]["tries"]["tries"] == 2).await;
    let tested = gate.json(&["notices", "test-webhook", "ops"]);
    assert!(tested["remedy"].as_str().unwrap().contains("allow_networks"), "{tested}");
    assert_eq!(peers.receivers[0].requests(), []);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_hears_of_its_tenants_and_events_only() {
    let peers = Peers::start(vec![vec![], vec![], vec![]]).await;
    let hooks = [
        peers.webhook(0, "other", &format!("{INSIDE}\ntenants = [\"example\"]")),
        peers.webhook(1, "released", &format!("{INSIDE}\nevents = [\"server.released\"]")),
        peers.webhook(2, "own", &format!("{INSIDE}\ntenants = [\"default\"]")),
    ];
    let gate = Simulated::start(START, &peers.toml(&hooks.concat())).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    peers.receivers[2].wait_for(1).await;
    send(&gate, CHAIN_SE).await;
    gate.clock.set("2026-11-02T13:10:00Z".parse().unwrap());
    let released = peers.receivers[1].wait_for(1).await.remove(0);
    assert!(released.body.contains("server.released"), "{}", released.body);
    peers.receivers[2].wait_for(2).await;
    assert_eq!((peers.receivers[0].requests().len(), peers.receivers[1].requests().len()), (0, 1));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_before_it_noted_the_answer_tells_again_with_the_same_id() {
    let peers = Peers::start(vec![vec![WebhookAnswer::Hang]]).await;
    let toml = peers.toml(&peers.webhook(0, "ops", INSIDE));
    let node = Node::start(&toml);
    let mut client = node.client().await;
    // The server behind refuses it and nothing proves its sender, so that it waits for the operator.
    let sent = message(CHAIN_SE);
    client.send("a@example.net", &["unknown@example.org"], sent.as_bytes()).await.unwrap();
    let first = peers.receivers[0].wait_for(1).await.remove(0);
    assert!(first.body.contains("\"type\":\"message.set_aside\""), "{}", first.body);
    let (folder, _) = node.kill();
    let node = Node::start_in(folder, &toml);
    let second = peers.receivers[0].wait_for(2).await.remove(1);
    assert_eq!(second.field("webhook-id"), first.field("webhook-id"));
    assert_eq!(second.body, first.body);
    until("the ledger has it", || node.json(&["notices", "list"]).to_string().contains("\"delivered\""));
    let folder = node.terminate();
    let node = Node::start_in(folder, &toml);
    let tested = node.json(&["notices", "test-webhook", "ops"]);
    assert_eq!(tested["taken"], true);
    assert_eq!(peers.receivers[0].requests().len(), 3, "what was noted is not told again");
    node.terminate();
}

#[test]
fn a_node_without_the_secret_of_a_webhook_does_not_start_and_never_says_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let secret = folder.path().join("secret");
    let data = folder.path().join("data").display().to_string();
    let toml = format!(
        "[node]\nname = \"edge.example.org\"\ndata = \"{data}\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [[smtp.listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{data}/m\"\n\
         [[notify.webhook]]\nname = \"ops\"\nurl = \"https://hooks.example.org/\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    std::fs::write(&config, toml).unwrap();
    for (content, want) in
        [(None, "No such file"), (Some("MfKQ9r8GKYqrTwjU\n"), "line 1 is no secret: whsec_")]
    {
        if let Some(content) = content {
            std::fs::write(&secret, content).unwrap();
        }
        let output = crate::support::run(&["serve", "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let told = text(&output.stderr);
        assert!(told.contains("[[notify.webhook]] ops: secret_file") && told.contains(want), "{told}");
        assert!(!told.contains("MfKQ9"), "{told}");
    }
}
