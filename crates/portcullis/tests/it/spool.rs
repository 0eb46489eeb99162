//! Mail that the server behind cannot take: kept, offered again, answered for.

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_SE, Node, Simulated, message, receiver_tls, until, upstream_toml};

const START: &str = "2026-11-02T12:00:00Z";

/// A receiver under TLS, and the configuration that hands mail to it.
async fn receiver(behaviour: Behaviour) -> (tempfile::TempDir, Receiver, String) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(behaviour, Some(tls)).await.unwrap();
    let toml = upstream_toml(&receiver, &files);
    (folder, receiver, toml)
}

fn marked(mark: &str) -> String {
    message(CHAIN_SE).replace("Subject: test", &format!("Subject: {mark}"))
}

async fn send(node: &Node, to: &[&str], mark: &str) -> Vec<u16> {
    let mut client = node.client().await;
    let replies = client.send("a@example.net", to, marked(mark).as_bytes()).await.unwrap();
    replies.iter().map(|reply| reply.code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_kept_while_the_server_behind_is_away_and_delivered_when_it_is_back() {
    let (_folder, receiver, toml) = receiver(Behaviour::ResetAtEnd).await;
    let node = Node::start(&toml);
    assert_eq!(send(&node, &["b@example.org", "c@example.org"], "one").await, [250, 250, 250, 354, 250]);
    assert_eq!(receiver.count(), 0);
    // It is tried once more at once; a message under way cannot be changed.
    until("the second attempt", || node.json(&["spool", "list"])["messages"][0]["attempts"] == 1);
    let list = node.json(&["spool", "list"]);
    assert_eq!(list["messages"][0]["recipients_pending"], 2, "{list}");
    let id = list["messages"][0]["id"].as_str().unwrap().to_owned();
    // A message that is tried at this moment is nobody else's.
    until("the first attempt", || {
        let message = &node.json(&["spool", "list"])["messages"][0];
        message["attempts"] == 1 && message["state"] == "waiting"
    });
    receiver.behave(Behaviour::Accept);
    assert!(node.command(&["spool", "retry", &id]).status.success());
    receiver.wait_for(1).await;
    let delivery = receiver.deliveries().remove(0);
    assert_eq!(delivery.envelope.recipients.len(), 2);
    let text = String::from_utf8(delivery.message).unwrap();
    assert!(text.starts_with("Received: from mail.example.net") && text.ends_with(&marked("one")), "{text}");
    assert_eq!(text.matches("X-Portcullis-Trace-Id").count(), 1);
}

/// The outcome that the trace shows, and the events of the spool.
async fn story(gate: &Simulated, id: &str) -> (String, Vec<(String, String)>) {
    let records = gate.running.records.as_ref().unwrap();
    records.writer.flush().await;
    let row = records.store.transaction(id).await.unwrap().unwrap();
    let events = row.deliveries.into_iter().map(|event| (event.code.into_owned(), event.detail));
    (row.outcome, events.collect())
}

fn codes(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(code, _)| code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_tells_what_became_of_spooled_mail() {
    let (_folder, _receiver, toml) = receiver(Behaviour::Accept).await;
    let gate = Simulated::start(START, &format!("{toml}[spool]\nmode = \"always\"\n")).await;
    let queue = &gate.running.queue;
    queue.hold_target("receiver", "maintenance").await.unwrap();
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], marked("one").as_bytes()).await.unwrap();
    let id = queue.list().remove(0).id;
    assert_eq!(story(&gate, &id).await.0, "waiting");
    queue.release_target("receiver").await.unwrap();
    queue.wait_for(|queue| queue.list().is_empty()).await;
    let (outcome, events) = story(&gate, &id).await;
    assert_eq!((outcome.as_str(), codes(&events)), ("taken", vec!["queued", "delivered", "ended"]));
    assert!(events[1].1.starts_with("1 of 1 recipients: 2.0.0 "), "{events:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_250_survives_a_restart_and_is_delivered_once() {
    let (_folder, receiver, toml) = receiver(Behaviour::ResetAtEnd).await;
    let node = Node::start(&toml);
    for mark in ["one", "two", "three"] {
        assert_eq!(send(&node, &["b@example.org"], mark).await.last(), Some(&250));
    }
    let folder = node.terminate();
    receiver.behave(Behaviour::Accept);
    let node = Node::start_in(folder, &toml);
    node.command(&["spool", "retry", "--all"]);
    receiver.wait_for(3).await;
    node.terminate();
    assert_eq!(receiver.count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_server_is_away_for_an_hour_and_then_gets_its_mail() {
    let (folder, away, toml) = receiver(Behaviour::Accept).await;
    let address = away.address;
    drop(away);
    let gate = Simulated::start(START, &toml).await;
    let queue = &gate.running.queue;
    let mut client = gate.client().await;
    for mark in ["one", "two"] {
        let replies =
            client.send("a@example.net", &["b@example.org"], marked(mark).as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    let hour_later = gate.clock.now().as_second() + 3_600;
    // Each time the gate opens, one message is tried and the gate shuts again, for longer.
    while let Some(until) = queue.targets()[0].shut_until.filter(|until| until.as_second() < hour_later) {
        gate.clock.set(until);
        queue.wait_for(|queue| queue.targets()[0].shut_until > Some(until)).await;
    }
    assert_eq!(queue.list().len(), 2);
    assert!(queue.list().iter().all(|listed| listed.attempts == 0), "the server's absence is not theirs");
    let (tls, _) = receiver_tls(folder.path(), "receiver.example.org");
    let back = Receiver::start_at(address, Behaviour::Accept, Some(tls)).await.unwrap();
    gate.clock.set(queue.targets()[0].shut_until.unwrap());
    back.wait_for(2).await;
    queue.wait_for(|queue| queue.list().is_empty()).await;
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_of_a_clock_that_ran_ahead_goes_out_when_the_clock_is_set_right() {
    let (_folder, receiver, toml) = receiver(Behaviour::ResetAtEnd).await;
    let gate = Simulated::start("2026-12-02T12:00:00Z", &format!("{toml}[spool]\nmode = \"always\"\n")).await;
    let queue = &gate.running.queue;
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], marked("one").as_bytes()).await.unwrap();
    queue.wait_for(|queue| queue.list().iter().any(|listed| listed.attempts == 1)).await;
    queue.hold_target("receiver", "maintenance").await.unwrap();
    client.send("a@example.net", &["b@example.org"], marked("two").as_bytes()).await.unwrap();
    receiver.behave(Behaviour::Accept);
    gate.clock.set(START.parse().unwrap());
    queue.release_target("receiver").await.unwrap();
    receiver.wait_for(2).await;
    queue.wait_for(|queue| queue.list().is_empty()).await;
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_are_answered_for_one_by_one() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let gate = Simulated::start(START, &format!("{toml}[spool]\nmode = \"always\"\n")).await;
    let queue = &gate.running.queue;
    queue.hold_target("receiver", "maintenance").await.unwrap();
    let mut client = gate.client().await;
    let to = ["b@example.org", "unknown@example.org"];
    let replies = client.send("a@example.net", &to, marked("one").as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!((receiver.connections(), queue.targets()[0].state), (0, "held"));
    queue.release_target("receiver").await.unwrap();
    receiver.wait_for(1).await;
    queue.wait_for(|queue| queue.list().iter().any(|listed| listed.state == "aside")).await;
    let left = queue.list().remove(0);
    assert_eq!((left.recipients, left.recipients_pending), (2, 0));
    let why = left.last_reply.unwrap();
    assert!(why.contains("its sender was not told: 550 5.1.1"), "{why}");
    assert_eq!(receiver.deliveries()[0].envelope.recipients.len(), 1);
    // The operator lets it go again: only the recipient that failed is asked.
    queue.release(&left.id).await.unwrap();
    queue.wait_for(|queue| queue.list().iter().any(|listed| listed.attempts == 2)).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(story(&gate, &left.id).await.0, "aside");
    queue.remove(&left.id).await.unwrap();
    assert!(queue.list().is_empty());
    let (outcome, events) = story(&gate, &left.id).await;
    let expected = ["queued", "refused", "aside", "released", "refused", "aside", "removed"];
    assert_eq!((outcome.as_str(), codes(&events)), ("removed", expected.to_vec()));
    assert!(events[1].1.contains("unknown@example.org: 550 5.1.1"), "{events:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_whom_a_connector_proves_is_told_and_nobody_else() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let known = "[[connector]]\nname = \"partner\"\naddresses = [\"127.0.0.1\"]\n";
    let spool = "[spool]\nmode = \"always\"\nreports_via = \"receiver\"\n";
    let gate = Simulated::start(START, &format!("{toml}{known}{spool}")).await;
    let mut client = gate.client().await;
    let to = ["unknown@example.org"];
    let replies = client.send("a@example.net", &to, marked("one").as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    receiver.wait_for(1).await;
    gate.running.queue.wait_for(|queue| queue.list().is_empty()).await;
    let report = receiver.deliveries().remove(0);
    assert_eq!(report.envelope.reverse_path.to_string(), "");
    assert_eq!(report.envelope.recipients[0].forward_path.to_string(), "a@example.net");
    let text = String::from_utf8(report.message).unwrap();
    assert!(
        text.contains("Final-Recipient: rfc822; unknown@example.org\r\nAction: failed\r\nStatus: 5.1.1"),
        "{text}"
    );
    let records = gate.running.records.as_ref().unwrap();
    records.writer.flush().await;
    let query = pc_store::TraceQuery { outcome: Some("undelivered".to_owned()), ..Default::default() };
    let id = records.store.trace(&query).await.unwrap().rows.remove(0).id;
    let (_, events) = story(&gate, &id).await;
    assert_eq!(codes(&events), ["queued", "refused", "report", "reported", "ended", "report", "report"]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_makes_the_server_break_off_does_not_stop_the_others() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let gate = Simulated::start(START, &format!("{toml}[spool]\nmode = \"always\"\n")).await;
    let mut client = gate.client().await;
    for (to, mark) in [("drop@example.org", "poison"), ("b@example.org", "good")] {
        let replies = client.send("a@example.net", &[to], marked(mark).as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    receiver.wait_for(1).await;
    let queue = &gate.running.queue;
    queue.wait_for(|queue| queue.list().len() == 1 && queue.list()[0].attempts == 1).await;
    assert_eq!(queue.targets()[0].state, "open");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_goes_away_half_way_does_not_lose_a_message_for_the_queue() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let gate = Simulated::start(START, &format!("{toml}[spool]\nmode = \"always\"\n")).await;
    let queue = &gate.running.queue;
    queue.hold_target("receiver", "maintenance").await.unwrap();
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], marked("one").as_bytes()).await.unwrap();
    let id = queue.list().remove(0).id;
    // The request is begun, and nobody waits for its end.
    for _ in 0..20 {
        let _ = tokio::time::timeout(std::time::Duration::ZERO, queue.hold(&id)).await;
        queue.wait_for(|queue| queue.list().iter().any(|listed| listed.state == "held")).await;
        let _ = tokio::time::timeout(std::time::Duration::ZERO, queue.release(&id)).await;
        queue.wait_for(|queue| queue.list().iter().any(|listed| listed.state == "waiting")).await;
    }
    queue.release_target("receiver").await.unwrap();
    receiver.wait_for(1).await;
    queue.wait_for(|queue| queue.list().is_empty()).await;
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_outlives_a_restart() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let node = Node::start(&toml);
    assert!(node.command(&["spool", "hold", "--upstream", "receiver"]).status.success());
    assert_eq!(send(&node, &["b@example.org"], "one").await.last(), Some(&250));
    let node = Node::start_in(node.terminate(), &toml);
    assert_eq!(node.json(&["spool", "list"])["targets"][0]["state"], "held");
    assert_eq!(receiver.connections(), 0);
    assert!(node.command(&["spool", "release", "--upstream", "receiver"]).status.success());
    receiver.wait_for(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_in_the_same_folder_is_refused() {
    let (_folder, _receiver, toml) = receiver(Behaviour::Accept).await;
    let node = Node::start(&toml);
    let second = node.command(&["serve"]);
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(70), "{words}");
    assert!(words.contains("in use by another Portcullis process"), "{words}");
    node.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_we_fail_over_twice_is_kept_for_the_operator_and_stops_nobody() {
    let (_folder, receiver, toml) = receiver(Behaviour::Accept).await;
    let node = Node::start_failing_on("poison", &toml);
    let mut client = node.client().await;
    let mut last = Vec::new();
    for mark in ["one", "poison", "two", "poison"] {
        let replies =
            client.send("a@example.net", &["b@example.org"], marked(mark).as_bytes()).await.unwrap();
        last.push(replies.last().unwrap().code);
    }
    assert_eq!(last, [250, 451, 250, 250], "one connection goes through it all");
    receiver.wait_for(2).await;
    let list = node.json(&["spool", "list"]);
    let message = &list["messages"][0];
    assert_eq!(message["state"], "aside", "{list}");
    let id = message["id"].as_str().unwrap().to_owned();
    let row = node.json(&["trace", "--id", &id]);
    assert_eq!(row[0]["outcome"], "aside", "{row}");
    // Neither a restart nor time lets it go unasked.
    let node = Node::start_in(node.terminate(), &toml);
    assert_eq!(node.json(&["spool", "list"])["messages"][0]["state"], "aside");
    assert!(node.command(&["spool", "release", &id]).status.success());
    receiver.wait_for(3).await;
    assert!(receiver.deliveries()[2].message.ends_with(marked("poison").as_bytes()));
    node.terminate();
}
