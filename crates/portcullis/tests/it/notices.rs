//! What people are told by mail.

use std::time::Duration;

use pc_store::StoredNotice;
use pc_testkit::{Behaviour, DnsServer, Receiver};

use crate::support::{
    CHAIN_2016, CHAIN_SE, Node, OPEN_AT_ONCE, Simulated, message, receiver_tls, until, upstream_toml,
};

const START: &str = "2026-11-02T12:00:00Z";

/// A node whose operator has this address; every message goes through the spool.
async fn node(operator: &str) -> (Receiver, Simulated) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = upstream_toml(&receiver, &files);
    // The word of the server behind is not remembered: all recipients are asked for.
    let rest = format!(
        "{toml}recipients_cache_negative_minutes = 0\n[spool]\nmode = \"always\"\n[notify]\noperator = [\"{operator}\"]\n"
    );
    (receiver, Simulated::start(START, &rest).await)
}

/// Sends a message that the server behind refuses and whose sender nothing proves.
async fn set_one_aside(gate: &Simulated, waiting: usize) -> String {
    let mut client = gate.client().await;
    let message = message(CHAIN_SE);
    let replies = client.send("a@example.net", &["unknown@example.org"], message.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    let aside = |listed: &pc_smtpd::queue::Listed| listed.state == "aside";
    let queue = &gate.running.queue;
    queue.wait_for(|queue| queue.list().iter().filter(|listed| aside(listed)).count() == waiting).await;
    queue.list().remove(waiting - 1).id
}

async fn outbox(gate: &Simulated) -> Vec<StoredNotice> {
    let records = gate.running.records.as_ref().unwrap();
    records.writer.flush().await;
    records.store.notices(None, 10).await.unwrap()
}

/// The outbox, once its notices show `code` as what became of their mails.
async fn outbox_with(gate: &Simulated, code: &str) -> Vec<StoredNotice> {
    let looking = async {
        loop {
            let notices = outbox(gate).await;
            let all = |notice: &StoredNotice| notice.delivery.as_ref().is_some_and(|(word, _)| word == code);
            if !notices.is_empty() && notices.iter().all(all) {
                return notices;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap_or_else(|_| panic!("no {code}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_told_of_messages_that_wait_in_one_mail() {
    let (receiver, gate) = node("operator@example.org").await;
    let ids = [set_one_aside(&gate, 1).await, set_one_aside(&gate, 2).await];
    assert_eq!(receiver.count(), 0, "what happens together is told together");
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    receiver.wait_for(1).await;
    let told = receiver.deliveries().remove(0);
    assert_eq!(told.envelope.reverse_path.to_string(), "", "nobody answers a machine");
    assert_eq!(told.envelope.recipients[0].forward_path.to_string(), "operator@example.org");
    let text = String::from_utf8(told.message).unwrap();
    assert!(text.contains("Subject: edge.example.org: 2 messages wait for you\r\n"), "{text}");
    assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
    for id in &ids {
        assert!(text.contains(id.as_str()), "{id} in {text}");
    }
    assert!(text.contains("550 5.1.1"), "{text}");
    let notices = outbox_with(&gate, "ended").await;
    assert_eq!(notices.len(), 2);
    assert!(notices.iter().all(|notice| notice.mail_id == notices[0].mail_id), "{notices:?}");
    // The next one waits for the interval.
    set_one_aside(&gate, 3).await;
    gate.clock.set("2026-11-02T12:15:59Z".parse().unwrap());
    assert_eq!(outbox(&gate).await.iter().filter(|notice| notice.mail_id.is_none()).count(), 1);
    gate.clock.set("2026-11-02T12:16:00Z".parse().unwrap());
    receiver.wait_for(2).await;
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_is_refused_stands_in_the_outbox_and_is_told_to_nobody() {
    let (receiver, gate) = node("unknown@example.org").await;
    set_one_aside(&gate, 1).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    let notices = outbox_with(&gate, "refused").await;
    assert_eq!(notices.len(), 1);
    let records = gate.running.records.as_ref().unwrap();
    assert_eq!(records.store.waiting_notices("operator", 10).await.unwrap(), []);
    gate.running.queue.wait_for(|queue| queue.list().len() == 1).await;
    assert_eq!(receiver.count(), 0);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operator_the_outbox_waits_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = format!("{}[spool]\nmode = \"always\"\n", upstream_toml(&receiver, &files));
    let gate = Simulated::start(START, &toml).await;
    let id = set_one_aside(&gate, 1).await;
    let notices = outbox(&gate).await;
    assert_eq!((notices.len(), notices[0].subject.as_str(), &notices[0].mail_id), (1, id.as_str(), &None));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_set_aside_before_anybody_could_be_told_is_told_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = format!("{}[spool]\nmode = \"always\"\n", upstream_toml(&receiver, &files));
    let node = Node::start(&toml);
    let mut client = node.client().await;
    let text = message(CHAIN_SE);
    client.send("a@example.net", &["unknown@example.org"], text.as_bytes()).await.unwrap();
    until("the message waits for the operator", || {
        node.json(&["spool", "list"])["messages"][0]["state"] == "aside"
    });
    let folder = node.terminate();
    // As if the node had died between setting it aside and the note of it.
    for file in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join("data").join(file));
    }
    let node = Node::start_in(folder, &toml);
    until("the outbox has it", || {
        let list = node.json(&["notices", "list"]);
        list[0]["kind"] == "message_aside" && list[0]["state"] == "waiting" && list[1].is_null()
    });
    node.terminate();
}

/// Sends one message with `chain` and lets the ladder's book take it in.
async fn send(gate: &Simulated, chain: &str) {
    let mut client = gate.client().await;
    let replies = client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    gate.running.records.as_ref().unwrap().writer.flush().await;
}

/// The messages to `to` that the server behind has, once there are `count`.
async fn mails_to(receiver: &Receiver, to: &str, count: usize) -> Vec<String> {
    let looking = async {
        loop {
            let is_to = |delivery: &&pc_testkit::Delivery| {
                delivery.envelope.recipients.iter().any(|recipient| recipient.forward_path.to_string() == to)
            };
            let deliveries = receiver.deliveries();
            let mails: Vec<_> = deliveries.iter().filter(is_to).collect();
            if mails.len() >= count {
                return mails.iter().map(|mail| String::from_utf8(mail.message.clone()).unwrap()).collect();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap_or_else(|_| panic!("no mail to {to}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_told_in_its_language_of_each_stage_once_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = format!(
        "{}{OPEN_AT_ONCE}[[tenant]]\nname = \"example\"\ncontacts = [\"admin@example.org\"]\nlanguage = \"de\"\n\
         [[connector]]\nname = \"partner\"\ntenant = \"example\"\naddresses = [\"127.0.0.0/8\"]\n",
        upstream_toml(&receiver, &files)
    );
    let gate = Simulated::start(START, &toml).await;
    send(&gate, CHAIN_2016).await;
    for moment in ["2026-11-02T12:01:00Z", "2026-11-02T12:02:00Z"] {
        gate.clock.set(moment.parse().unwrap());
        wait_for_notices(&gate, 1).await;
    }
    let first = mails_to(&receiver, "admin@example.org", 1).await.remove(0);
    assert!(first.contains("Subject: mail.example.net: dieser Mailserver ist veraltet\r\n"), "{first}");
    assert!(first.contains("Content-Type: multipart/alternative;"), "{first}");
    assert!(first.contains("15.1.2507.31") && first.contains("Noch wird nichts"), "{first}");
    // Heard of every week, it stays on its way; a day before stage 2 it is told, and looking again tells nothing.
    for moment in ["2026-11-20T12:00:00Z", "2026-12-01T12:00:00Z", "2026-12-01T13:00:00Z"] {
        gate.clock.set(moment.parse().unwrap());
        send(&gate, CHAIN_2016).await;
    }
    wait_for_notices(&gate, 2).await;
    gate.clock.set("2026-12-01T13:10:00Z".parse().unwrap());
    let second = mails_to(&receiver, "admin@example.org", 2).await.remove(1);
    assert!(second.contains("Stufe 2 beginnt am 2026-12-02"), "{second}");
    send(&gate, CHAIN_SE).await;
    gate.clock.set("2026-12-01T14:00:00Z".parse().unwrap());
    wait_for_notices(&gate, 3).await;
    gate.clock.set("2026-12-01T14:10:00Z".parse().unwrap());
    let third = mails_to(&receiver, "admin@example.org", 3).await.remove(2);
    assert!(third.contains("Subject: mail.example.net: auf aktuellem Stand\r\n"), "{third}");
    let notices = outbox(&gate).await;
    assert!(notices.iter().all(|notice| notice.addressee == "tenant example"), "{notices:?}");
    assert_eq!(notices.len(), 3);
    let listed = gate.json(&["notices", "list"]);
    let kinds: Vec<&str> =
        listed.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["server_released", "stage_ahead", "server_owing"]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postmaster_is_told_only_where_the_greeting_name_leads_to_the_address() {
    for (zone, mails) in [
        ("mail.example.net A 127.0.0.1\n", 1),
        // Somebody else's name: its owner would get mail over what others do.
        ("mail.example.net A 192.0.2.9\n", 0),
        ("", 0),
    ] {
        let dns = DnsServer::start(zone).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
        let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
        let toml = format!(
            "{}{OPEN_AT_ONCE}[dns]\nservers = [\"{}\"]\nspf = \"off\"\n[notify]\noperator = [\"operator@example.org\"]\n\
             via = \"receiver\"\nsending_side = \"on\"\nlanguage = \"it\"\n",
            upstream_toml(&receiver, &files),
            dns.address
        );
        let gate = Simulated::start(START, &toml).await;
        send(&gate, CHAIN_2016).await;
        gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
        wait_for_notices(&gate, 1 + mails).await;
        gate.clock.set("2026-11-02T12:03:00Z".parse().unwrap());
        let told = mails_to(&receiver, "operator@example.org", 1).await.remove(0);
        assert!(told.contains("Content-Language: it\r\n"), "{told}");
        let text = |notice: &StoredNotice| notice.addressee.clone();
        let addressees: Vec<String> = outbox(&gate).await.iter().map(text).collect();
        let postmasters = addressees.iter().filter(|text| *text == "postmaster@example.net").count();
        assert_eq!((addressees.len(), postmasters), (1 + mails, mails), "{zone}");
        if mails == 1 {
            let told = mails_to(&receiver, "postmaster@example.net", 1).await.remove(0);
            assert!(told.contains("Reply-To: operator@example.org\r\n"), "{told}");
        }
        gate.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounce_of_a_notice_makes_no_notice() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = format!(
        "{}{OPEN_AT_ONCE}[notify]\noperator = [\"operator@example.org\"]\n",
        upstream_toml(&receiver, &files)
    );
    let gate = Simulated::start(START, &toml).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    wait_for_notices(&gate, 1).await;
    gate.clock.set("2026-11-02T12:02:00Z".parse().unwrap());
    mails_to(&receiver, "operator@example.org", 1).await;
    // The server bounces what it was never to answer, again and again.
    for minute in 3..9 {
        let mut client = gate.client().await;
        let bounce = message(CHAIN_2016);
        let replies = client.send("", &["postmaster@example.org"], bounce.as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
        gate.clock.set(format!("2026-11-02T12:0{minute}:00Z").parse().unwrap());
        assert_eq!(outbox(&gate).await.len(), 1);
    }
    gate.clock.set("2026-11-02T14:00:00Z".parse().unwrap());
    mails_to(&receiver, "postmaster@example.org", 6).await;
    assert_eq!(outbox(&gate).await.len(), 1);
    gate.finish().await;
}

/// Waits until the outbox holds `count` notices, told or not.
async fn wait_for_notices(gate: &Simulated, count: usize) {
    let looking = async {
        while outbox(gate).await.len() < count {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), looking).await;
    assert!(waited.is_ok(), "{:?}", outbox(gate).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contacts_of_a_connector_are_told_of_its_servers_with_floor_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let toml = format!(
        "{}{OPEN_AT_ONCE}floor = \"kev\"\n[[tenant]]\nname = \"example\"\ncontacts = [\"tenant@example.org\"]\nlanguage = \"de\"\n\
         [[connector]]\nname = \"partner\"\ntenant = \"example\"\naddresses = [\"127.0.0.1\"]\nfloor = \"microsoft-2026-09\"\n\
         contact = [\"partner@example.org\", \"tenant@example.org\"]\n",
        upstream_toml(&receiver, &files)
    );
    let gate = Simulated::start(START, &toml).await;
    send(&gate, CHAIN_2016).await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    wait_for_notices(&gate, 2).await;
    gate.clock.set("2026-11-02T12:03:00Z".parse().unwrap());
    let told = mails_to(&receiver, "partner@example.org", 1).await.remove(0);
    assert!(told.contains("Content-Language: de\r\n"), "{told}");
    // Quoted-printable breaks lines, and the letter folds them.
    let words = told.replace("=\r\n", "").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("des Connectors partner genannt"), "{words}");
    assert!(words.contains("microsoft-2026-09, Version 1"), "{words}");
    // Whoever is the tenant's contact as well is told once.
    assert_eq!(mails_to(&receiver, "tenant@example.org", 1).await.len(), 1);
    let mut addressees: Vec<String> =
        outbox(&gate).await.iter().map(|notice| notice.addressee.clone()).collect();
    addressees.sort();
    assert_eq!(addressees, ["connector partner", "tenant example"]);
    gate.finish().await;
}
