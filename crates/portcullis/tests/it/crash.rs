//! The real binary is broken and killed: at every step of its disk, one after the other, and under
//! load. Whatever it answered 250 to must arrive, and nothing more than twice.
//!
//! `cargo xtask crash --minutes N` runs the part under load for longer, with new seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pc_testkit::{Behaviour, Receiver};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{CHAIN_SE, Node, message, receiver_tls, try_greeted, upstream_toml};

/// Seeds of the part under load in the everyday run.
const SEEDS: u64 = 3;
const SENDERS: u64 = 4;
const MESSAGES_PER_SENDER: u64 = 10;

fn marked(mark: &str) -> String {
    message(CHAIN_SE).replace("Subject: test", &format!("Subject: {mark}"))
}

/// Every message that waits was offered once, or the node is dead.
fn offered(node: &mut Node) {
    while node.is_alive() {
        let list = node.command(&["spool", "list", "--json"]).stdout;
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap_or_default();
        let messages = list["messages"].as_array();
        if messages.is_some_and(|messages| messages.iter().all(|message| message["attempts"] != 0)) {
            return;
        }
    }
}

/// Everything that waits is tried until nothing waits, or the node is dead.
fn settle(node: &mut Node) {
    while node.is_alive() {
        let _ = node.command(&["spool", "retry", "--all"]);
        let list = node.command(&["spool", "list", "--json"]).stdout;
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap_or_default();
        if list["messages"].as_array().is_some_and(|messages| messages.is_empty()) {
            return;
        }
    }
}

/// What arrived, and how often.
fn arrived(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for delivery in receiver.deliveries() {
        let text = String::from_utf8(delivery.message).unwrap();
        let mark = text.split("Subject: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
        *arrived.entry(mark.to_owned()).or_default() += 1;
    }
    arrived
}

fn check(receiver: &Receiver, taken: &BTreeSet<String>, what: &str) {
    let arrived = arrived(receiver);
    for mark in taken {
        assert!(arrived.contains_key(mark), "{what}: {mark} got 250 and is lost");
    }
    for (mark, count) in &arrived {
        assert!(*count <= 2, "{what}: {mark} arrived {count} times");
    }
}

/// Two messages, one attempt that fails, one that succeeds, with one fault. Returns whether it struck.
async fn one_fault(fault: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::ResetAtEnd, Some(tls)).await.unwrap();
    let toml = format!("[spool]\nmode = \"always\"\n{}", upstream_toml(&receiver, &files));
    let mut node = Node::start_broken(&toml, fault);
    let tls = node.tls();
    let mut taken = BTreeSet::new();
    for mark in ["one", "two"] {
        // The node may be dead already; then nobody heard a 250.
        let Ok(mut client) = try_greeted(node.smtp, &tls).await else { break };
        let Ok(replies) = client.send("a@example.net", &["b@example.org"], marked(mark).as_bytes()).await
        else {
            break;
        };
        if replies.last().is_some_and(|reply| reply.code == 250) {
            taken.insert(mark.to_owned());
        }
    }
    offered(&mut node);
    receiver.behave(Behaviour::Accept);
    settle(&mut node);
    let died = !node.is_alive();
    let (folder, log) = node.kill();
    let struck = died || log.contains("a fault that a test asked for");
    let mut node = Node::start_in(folder, &toml);
    settle(&mut node);
    check(&receiver, &taken, fault);
    struck
}

/// 1, 2, 3, until a run gets through without the fault.
async fn every_step(word: &str) {
    let mut number = 1;
    while one_fault(&format!("{word}:{number}")).await {
        number += 1;
    }
    assert!(number > 20, "each operation on the disk is a step; there were {number}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_any_step_of_its_disk_it_loses_nothing() {
    every_step("kill").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_any_step_of_its_disk_failing_it_loses_nothing() {
    every_step("fail").await;
}

/// Many senders, a server behind that breaks off until the middle, SIGKILL after as many 250s as the
/// seed says.
async fn killed_under_load(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::ResetAtEnd, Some(tls)).await.unwrap();
    let toml = upstream_toml(&receiver, &files);
    let node = Node::start(&toml);
    let tls = node.tls();
    let (taken, mut heard) = watch::channel(BTreeSet::new());
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (smtp, tls, taken) = (node.smtp, tls.clone(), taken.clone());
        senders.spawn(async move {
            for number in 0..MESSAGES_PER_SENDER {
                let mark = format!("m{sender}-{number}");
                let Ok(mut client) = try_greeted(smtp, &tls).await else { return };
                let sent = client.send("a@example.net", &["b@example.org"], marked(&mark).as_bytes()).await;
                let Ok(replies) = sent else { return };
                if replies.last().is_some_and(|reply| reply.code == 250) {
                    taken.send_modify(|taken| {
                        taken.insert(mark);
                    });
                }
            }
        });
    }
    drop(taken);
    // A linear congruential step spreads the seeds over all counts.
    let kill_at = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 33;
    let kill_at = usize::try_from(kill_at % (SENDERS * MESSAGES_PER_SENDER - 2) + 1).unwrap();
    let half = kill_at / 2;
    heard.wait_for(|taken| taken.len() >= half).await.unwrap();
    receiver.behave(Behaviour::Accept);
    let everybody_done = heard.wait_for(|taken| taken.len() >= kill_at).await.is_err();
    assert!(!everybody_done, "seed {seed}: the senders gave up before the kill");
    let (folder, _) = node.kill();
    while senders.join_next().await.is_some() {}
    let taken = heard.borrow().clone();
    let mut node = Node::start_in(folder, &toml);
    settle(&mut node);
    check(&receiver, &taken, &format!("seed {seed}, killed after {kill_at} of {}", taken.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing() {
    let minutes: u64 =
        std::env::var("PORTCULLIS_CRASH_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seed = 0;
    while seed < SEEDS || Instant::now() < until {
        println!("seed {seed}");
        killed_under_load(seed).await;
        seed += 1;
    }
}
