//! Recipients that are known before the message.

use std::path::Path;
use std::process::{Command, Stdio};

use pc_testkit::{Behaviour, Receiver, Scripted, Step, Trouble};

use crate::support::{CHAIN_SE, Node, Simulated, free_port, message, until};

const START: &str = "2026-11-02T12:00:00Z";

/// A receiver in plain text, and the lines of its upstream with some more.
async fn receiver(more: &str) -> (Receiver, String) {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let toml = upstream(receiver.address.port(), more);
    (receiver, toml)
}

fn upstream(port: u16, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"exchange\"\ndomains = [\"example.org\"]\ntls = \"none\"\naddress = \"127.0.0.1:{port}\"\n{more}\n"
    )
}

/// The settings for a list in `folder`.
fn listed(folder: &Path, text: &str) -> String {
    let file = folder.join("recipients");
    std::fs::write(&file, text).unwrap();
    format!("recipients_file = \"{}\"\nrecipients_subaddress = \"+\"", file.display())
}

/// The codes for recipients that are offered one by one.
async fn codes(client: &mut pc_testkit::Client, recipients: &[&str]) -> Vec<u16> {
    let mut codes = Vec::new();
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for recipient in recipients {
        codes.push(client.command(&format!("RCPT TO:<{recipient}>")).await.unwrap().code);
    }
    client.command("RSET").await.unwrap();
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_listed_is_refused_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, toml) = receiver(&listed(folder.path(), "# staff\nB@Example.org\n")).await;
    let node = Node::start(&toml);
    let mut client = node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    let reply = client.command("RCPT TO:<nobody@example.org>").await.unwrap();
    assert_eq!(
        (reply.code, reply.lines[0].as_str()),
        (550, "5.1.1 there is no such recipient here, please check the address")
    );
    assert_eq!(receiver.connections(), 0);
    client.command("RSET").await.unwrap();
    let to = ["b@example.org", "b+tag@example.org", "nobody@example.org", "Postmaster@example.org"];
    assert_eq!(codes(&mut client, &to).await, [250, 250, 550, 250]);
    let mail = message(CHAIN_SE);
    let replies = client
        .send("a@example.net", &["nobody@example.org", "b@example.org"], mail.as_bytes())
        .await
        .unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(receiver.deliveries()[0].envelope.recipients.len(), 1);
    let metrics = pc_web_metrics(&node).await;
    assert!(metrics.contains("pc_recipients_unknown_total{code=\"list\"} 3"), "{metrics}");
    let doctor = node.json(&["doctor"]);
    assert!(doctor.to_string().contains("exchange: 1 lines in the list"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_hashed_as_the_guide_says_works_as_the_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let guide = include_str!("../../../../docs/operations.md");
    let begin = guide.find("    tr A-Z a-z").expect("the guide's command");
    let script =
        guide[begin..].lines().take_while(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.path().join("addresses.txt"), "Jane@Example.org\nb@example.org\n").unwrap();
    let made = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).status().unwrap();
    assert!(made.success(), "{script}");
    let list = std::fs::read_to_string(folder.path().join("recipients.txt")).unwrap();
    assert!(list.lines().count() == 2 && !list.contains("example"), "{list}");
    let (_receiver, toml) = receiver(&listed(folder.path(), &list)).await;
    let node = Node::start(&toml);
    let to = ["jane@example.org", "B@example.org", "c@example.org"];
    assert_eq!(codes(&mut node.client().await, &to).await, [250, 250, 550]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_takes_a_good_list_and_leaves_the_old_one_in_place_of_a_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let (_receiver, toml) = receiver(&listed(folder.path(), "b@example.org\n")).await;
    let node = Node::start(&toml);
    let file = folder.path().join("recipients");
    let hang_up = |told: &str| {
        assert!(Command::new("kill").args(["-HUP", &node.pid().to_string()]).status().unwrap().success());
        let log = node.folder.path().join("log");
        until(told, || std::fs::read_to_string(&log).unwrap().contains(told));
    };
    let mut client = node.client().await;
    let to = ["b@example.org", "c@example.org"];
    assert_eq!(codes(&mut client, &to).await, [250, 550]);
    std::fs::write(&file, "").unwrap();
    hang_up("it lists no recipient");
    assert_eq!(codes(&mut client, &to).await, [250, 550]);
    std::fs::remove_file(&file).unwrap();
    hang_up("recipients of exchange not reloaded, the old ones stay: ");
    hang_up("No such file");
    assert_eq!(codes(&mut client, &to).await, [250, 550]);
    std::fs::write(&file, "b@example.org\nc@example.org\n").unwrap();
    hang_up("2 recipients of exchange reloaded");
    assert_eq!(codes(&mut client, &to).await, [250, 250]);
    std::fs::write(&file, "c@example.org\n").unwrap();
    hang_up("1 recipients of exchange reloaded");
    assert_eq!(codes(&mut client, &to).await, [550, 250]);
}

#[test]
fn a_node_does_not_start_without_its_list() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let text = format!(
        "[node]\nname = \"edge.example.org\"\ndata = \"{}\"\n[admin]\naddress = \"127.0.0.1:0\"\n[[smtp.listener]]\naddress = \
         \"127.0.0.1:0\"\n{}",
        folder.path().join("data").display(),
        upstream(free_port(), "recipients_file = \"/no/such/list\"")
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(crate::support::binary())
        .args(["serve", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    assert!(error.contains("[[upstream]] exchange: recipients_file /no/such/list: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_of_the_server_behind_is_remembered_for_its_minutes_and_only_that_no() {
    let server = Scripted::start(Some((Step::Rcpt, Trouble::Reply("550 5.1.1 nobody here")))).await.unwrap();
    let toml = upstream(server.address.port(), "recipients_cache_negative_minutes = 2");
    let gate = Simulated::start(START, &toml).await;
    let mut client = gate.client().await;
    assert_eq!(codes(&mut client, &["jane@example.org", "postmaster@example.org"]).await, [550, 550]);
    for reply in ["550 5.7.1 not from you", "450 5.1.1 not at present"] {
        server.behave(Some((Step::Rcpt, Trouble::Reply(reply))));
        assert!(codes(&mut client, &["john@example.org"]).await[0] >= 450);
    }
    // From here on whoever is asked for exists.
    server.behave(None);
    let to = ["Jane@Example.org", "\"jane\"@example.org", "john@example.org", "postmaster@example.org"];
    assert_eq!(codes(&mut client, &to).await, [550, 550, 250, 250]);
    gate.clock.set("2026-11-02T12:02:00Z".parse().unwrap());
    assert_eq!(codes(&mut client, &["jane@example.org"]).await, [250]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_its_remembered_recipients_are_taken_and_others_keep_their_mail() {
    let (receiver, toml) = receiver("recipients_cache_positive_minutes = 60").await;
    let gate = Simulated::start(START, &toml).await;
    let mut client = gate.client().await;
    let to = ["b@example.org", "unknown1@example.org"];
    assert_eq!(codes(&mut client, &to).await, [250, 550]);
    gate.running.queue.hold_target("exchange", "maintenance").await.unwrap();
    let to = ["b@example.org", "unknown1@example.org", "never-seen@example.org", "postmaster@example.org"];
    assert_eq!(codes(&mut client, &to).await, [250, 550, 450, 250]);
    let mail = message(CHAIN_SE);
    let replies = client.send("a@example.net", &to, mail.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(gate.running.queue.list()[0].recipients, 2);
    gate.running.queue.release_target("exchange").await.unwrap();
    receiver.wait_for(1).await;
    // An hour after it was last taken nobody can say any more.
    gate.running.queue.wait_for(|queue| queue.list().is_empty()).await;
    gate.running.queue.hold_target("exchange", "maintenance").await.unwrap();
    gate.clock.set("2026-11-02T13:00:01Z".parse().unwrap());
    assert_eq!(codes(&mut client, &["b@example.org"]).await, [450]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_list_and_memory_all_are_taken_while_the_server_is_away() {
    let (_receiver, toml) = receiver("").await;
    let gate = Simulated::start(START, &toml).await;
    gate.running.queue.hold_target("exchange", "maintenance").await.unwrap();
    assert_eq!(codes(&mut gate.client().await, &["never-seen@example.org"]).await, [250]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_decides_also_while_the_server_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let (_receiver, toml) = receiver(&listed(folder.path(), "@example.org\n")).await;
    let gate = Simulated::start(START, &toml).await;
    gate.running.queue.hold_target("exchange", "maintenance").await.unwrap();
    assert_eq!(codes(&mut gate.client().await, &["anybody@example.org"]).await, [250]);
    gate.finish().await;
}

async fn pc_web_metrics(node: &Node) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(node.admin).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", node.admin);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
