//! Peers that mean harm, or send too much: no peer is trusted.

use std::time::Duration;

use pc_smtp::client::UpstreamReply;
use pc_testkit::{Behaviour, Client, Receiver};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{CHAIN_SE, Node, Simulated, message, receiver_tls, until, upstream_toml};

/// Mail to anybody is taken into a Maildir.
fn maildir(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("maildir");
    format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n", path.display())
}

/// Starts with these lines in its only listener, then the rest.
fn node(listener: &str, rest: &str) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let maildir = maildir(&folder);
    Node::start_in(folder, &format!("{listener}\n{rest}\n{maildir}"))
}

/// The header of a balancer that connects for 192.0.2.`client`.
fn conveying(client: u8) -> Vec<u8> {
    let rest = [192, 0, 2, client, 192, 0, 2, 1, 0x30, 0x39, 0, 25];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &rest].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_through_a_balancer_is_judged_by_the_address_it_conveys() {
    let connector = "[[connector]]\nname = \"partner\"\naddresses = [\"192.0.2.7\"]\ntls_required = true";
    let node = node("proxy_protocol_from = [\"127.0.0.0/8\"]", connector);
    let (mut client, _) = Client::connect_through(&conveying(8), node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250);
    let traced = node.json(&["trace", "--ip", "192.0.2.8"]);
    assert_eq!(traced[0]["address"], "192.0.2.8", "{traced}");
    let (mut client, _) = Client::connect_through(&conveying(7), node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let refused = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!(refused.code, 530, "the connector of the conveyed address holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_conveys_nothing_gets_no_greeting() {
    let node = node("proxy_protocol_from = [\"127.0.0.0/8\"]", "");
    for octets in [&b"EHLO mail.example.net\r\n"[..], b"PROXY TCP4 192.0.2.7 192.0.2.1 12345 25\r\n"] {
        assert!(Client::connect_through(octets, node.smtp).await.is_err(), "{octets:?}");
    }
    let (_folder, log) = node.kill();
    assert_eq!(log.matches("proxy_missing").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_claim_an_address() {
    let node = node("proxy_protocol_from = [\"192.0.2.1\"]", "");
    let (mut client, greeting) = Client::connect_through(&conveying(7), node.smtp).await.unwrap();
    assert_eq!(greeting.code, 220);
    let mut codes = Vec::new();
    while let Ok(reply) = client.reply().await {
        codes.push(reply.code);
    }
    assert!(codes.iter().all(|code| *code >= 421), "a header is no command: {codes:?}");
}

const START: &str = "2026-11-02T12:00:00Z";

/// A node under the clock of the test, with these limits, and a Maildir.
async fn limited(limits: &str) -> Simulated {
    limited_in(&tempfile::tempdir().unwrap(), limits).await
}

/// The same with its Maildir in `folder`.
async fn limited_in(folder: &tempfile::TempDir, limits: &str) -> Simulated {
    Simulated::start(START, &format!("{limits}\n{}", maildir(folder))).await
}

fn words(reply: &UpstreamReply) -> String {
    format!("{} {}", reply.code, reply.lines.join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_in_a_minute_are_told_how_long_to_wait() {
    let gate = limited("[smtp.limits.client]\nconnections_per_minute = 3").await;
    for want in [220, 220, 220, 421, 421] {
        let (_, greeting) = Client::connect(gate.smtp()).await.unwrap();
        assert_eq!(greeting.code, want, "{greeting:?}");
    }
    let (_, refused) = Client::connect(gate.smtp()).await.unwrap();
    let want = "421 4.7.0 too many connections from your address, please come back in 21 seconds";
    assert_eq!(words(&refused), want);
    let (_, other) = Client::connect_from("127.0.0.2".parse().unwrap(), gate.smtp()).await.unwrap();
    assert_eq!(other.code, 220, "others are not concerned");
    gate.clock.set("2026-11-02T12:00:20Z".parse().unwrap());
    assert_eq!(Client::connect(gate.smtp()).await.unwrap().1.code, 220);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_messages_and_recipients_are_deferred_one_by_one() {
    let gate = limited("[smtp.limits.client]\nmessages_per_hour = 2\nrecipients_per_hour = 2").await;
    let mut client = gate.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for want in
        ["250", "250", "452 4.5.3 too many recipients from your address, please come back in 31 minutes"]
    {
        let reply = client.command("RCPT TO:<b@example.org>").await.unwrap();
        assert!(words(&reply).starts_with(want), "{reply:?}");
    }
    client.command("RSET").await.unwrap();
    assert_eq!(client.command("MAIL FROM:<a@example.net>").await.unwrap().code, 250);
    client.command("RSET").await.unwrap();
    let refused = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert!(words(&refused).starts_with("450 4.7.1 too many messages from your address"), "{refused:?}");
    assert_eq!(client.command("NOOP").await.unwrap().code, 250, "the session goes on");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_commands_end_the_connection_after_their_replies() {
    let gate = limited("[smtp.limits.client]\ncommands_per_minute = 3").await;
    let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
    for _ in 0..4 {
        assert_eq!(client.command("NOOP").await.unwrap().code, 250);
    }
    let refused = client.reply().await.unwrap();
    assert!(words(&refused).starts_with("421 4.7.0 too many commands from your address"), "{refused:?}");
    assert!(client.reply().await.is_err(), "and the connection is closed");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_of_a_tenant_have_a_limit_together() {
    let limits = "[smtp.limits.tenant]\nmessages_per_hour = 2\n[[tenant]]\nname = \"example\"\n\
                  [[connector]]\nname = \"one\"\ntenant = \"example\"\naddresses = [\"127.0.0.1\"]\n\
                  [[connector]]\nname = \"two\"\ntenant = \"example\"\naddresses = [\"127.0.0.2\"]";
    let gate = limited(limits).await;
    let mut words_to = Vec::new();
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3"] {
        let (mut client, _) = Client::connect_from(address.parse().unwrap(), gate.smtp()).await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        words_to.push(words(&client.command("MAIL FROM:<a@example.net>").await.unwrap()));
    }
    let [one, two, again, nobody] = words_to.as_slice() else { panic!("four answers") };
    assert!([one, two, nobody].into_iter().all(|words| words.starts_with("250 ")), "{words_to:?}");
    assert!(again.starts_with("450 4.7.1 too many messages from your organisation"), "{again}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_count_also_when_the_message_is_refused() {
    let gate = limited("[smtp.limits.client]\nmegabytes_per_hour = 1").await;
    let mut client = gate.client().await;
    let body = format!("{}{}", message(CHAIN_SE), "x".repeat(70).as_str().to_owned() + "\r\n");
    let line = format!("{}\r\n", "x".repeat(70));
    let large = format!("{body}{}a bare \n line end\r\n", line.repeat(20_000));
    let replies = client.send("a@example.net", &["b@example.org"], large.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 550, "{replies:?}");
    let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let refused = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert!(words(&refused).starts_with("450 4.7.1 too many megabytes from your address"), "{refused:?}");
    drop(client);
    let records = gate.running.records.as_ref().unwrap();
    let traced = async {
        loop {
            records.writer.flush().await;
            let query = pc_store::TraceQuery { outcome: Some("deferred".to_owned()), ..Default::default() };
            if let Some(row) = records.store.trace(&query).await.unwrap().rows.into_iter().next() {
                return row;
            }
        }
    };
    let row = tokio::time::timeout(Duration::from_secs(60), traced).await.unwrap();
    assert_eq!((row.reverse_path.as_str(), row.reply.as_str()), ("a@example.net", words(&refused).as_str()));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_makes_too_many_errors_is_not_greeted() {
    let gate = limited("[smtp.limits.client]\nerrors_per_hour = 5").await;
    let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
    for _ in 0..5 {
        assert_eq!(client.command("FETCH").await.unwrap().code / 100, 5);
    }
    let (_, refused) = Client::connect(gate.smtp()).await.unwrap();
    assert!(words(&refused).starts_with("421 4.7.0 too many errors from your address"), "{refused:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_without_limits_is_not_counted() {
    let limits = "[smtp.limits.client]\nconnections_per_minute = 1\n[smtp.limits.overall]\nconnections_per_minute = 1\n\
                  [[connector]]\nname = \"own\"\naddresses = [\"127.0.0.1\"]\nlimits = \"none\"";
    let gate = limited(limits).await;
    for _ in 0..5 {
        assert_eq!(Client::connect(gate.smtp()).await.unwrap().1.code, 220);
    }
    let other = "127.0.0.2".parse().unwrap();
    assert_eq!(Client::connect_from(other, gate.smtp()).await.unwrap().1.code, 220);
    assert_eq!(Client::connect_from(other, gate.smtp()).await.unwrap().1.code, 421);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_of_addresses_ends_at_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let limits = "[smtp.limits.client]\nunknown_recipients_per_hour = 3\n";
    let gate = Simulated::start(START, &format!("{limits}{}", upstream_toml(&receiver, &files))).await;
    let mut client = gate.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for want in
        ["550 5.1.1", "550 5.1.1", "550 5.1.1", "452 4.5.3 too many unknown recipients from your address"]
    {
        let reply = client.command("RCPT TO:<unknown@example.org>").await.unwrap();
        assert!(words(&reply).starts_with(want), "{reply:?}");
    }
    let known = client.command("RCPT TO:<b@example.org>").await.unwrap();
    assert_eq!(known.code, 452, "a known recipient is not told apart: {known:?}");
    client.command("RSET").await.unwrap();
    let refused = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert!(words(&refused).starts_with("450 4.7.1 too many unknown recipients"), "{refused:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_before_the_greeting_is_sent_away() {
    let node = node("[smtp]\ngreeting_delay_seconds = 10\n", "");
    let (_, reply) = Client::connect_through(b"EHLO mail.example.net\r\n", node.smtp).await.unwrap();
    assert!(words(&reply).starts_with("554 5.5.1 you spoke before the greeting"), "{reply:?}");
    let (_folder, log) = node.kill();
    assert!(log.contains("early_talker"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_and_a_named_one_are_greeted() {
    let listener = "[smtp]\ngreeting_delay_seconds = 1\n";
    let named = "[[connector]]\nname = \"own\"\naddresses = [\"127.0.0.2\"]";
    let gate = node(listener, named);
    assert_eq!(Client::connect(gate.smtp).await.unwrap().1.code, 220);
    let named = tokio::net::TcpSocket::new_v4().unwrap();
    named.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = named.connect(gate.smtp).await.unwrap();
    stream.write_all(b"QUIT\r\n").await.unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("220 ") && got.contains("\r\n221 "), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_an_offender_wait_and_only_so_many_at_once() {
    let gate = limited(
        "[smtp.limits]\ntarpit_seconds = 60\ntarpit_connections_max = 1\n[smtp.limits.client]\nerrors_per_hour = 3",
    )
    .await;
    let (mut first, _) = Client::connect(gate.smtp()).await.unwrap();
    let (mut second, _) = Client::connect(gate.smtp()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(first.command("FETCH").await.unwrap().code, 500);
    }
    // Both are over the limit with the next; one of them takes the only place.
    first.write(b"FETCH\r\nFETCH\r\n").await.unwrap();
    second.write(b"FETCH\r\nFETCH\r\n").await.unwrap();
    let reply = tokio::select! {
        reply = first.reply() => reply,
        reply = second.reply() => reply,
    };
    assert!(words(&reply.unwrap()).starts_with("421 4.7.0 too many errors"));
    gate.finish().await;
}

/// The first octets that a client hears.
fn heard(address: std::net::SocketAddr) -> (std::net::TcpStream, String) {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut octets = [0; 9];
    // What is cut off counts as silence.
    let count = stream.read(&mut octets).unwrap_or(0);
    let text = String::from_utf8_lossy(&octets[..count]).into_owned();
    (stream, text)
}

#[test]
fn with_no_file_handle_left_clients_are_told_and_the_node_recovers() {
    let mut node = node("[smtp.limits.client]\nconnections_per_minute = 0", "");
    let pid = node.pid().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open + 4);
    let limited = std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(limited.expect("needs prlimit: apt-get install util-linux").success());
    let mut held = Vec::new();
    until("the refusal", || {
        let (stream, text) = heard(node.smtp);
        held.push(stream);
        text == "421 4.3.2"
    });
    for _ in 0..20 {
        assert_eq!(heard(node.smtp).1, "421 4.3.2", "and so is everybody after that");
    }
    drop(held);
    until("room", || heard(node.smtp).1.starts_with("220 "));
    assert!(node.is_alive());
    let (_folder, log) = node.kill();
    assert!(log.contains("file_handles"), "{log}");
    let failures = log.matches("accept failed").count();
    assert!(failures < 200, "accepting spins: {failures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_disk_nearly_full_senders_keep_their_mail() {
    // More than any disk has.
    let gate = limited("[store]\nfree_space_min_megabytes = 1048576000").await;
    let mut client = gate.client().await;
    let refused = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!(words(&refused), "452 4.3.1 not enough room to take mail at present, please come back later");
    assert_eq!(client.command("NOOP").await.unwrap().code, 250, "the session goes on");
    gate.finish().await;
}

/// What a fresh client hears to MAIL.
async fn mail_code(gate: &Simulated) -> u16 {
    let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    client.command("MAIL FROM:<a@example.net>").await.unwrap().code
}

/// What was sent is read by the node in its own time; the bound only ends a hang.
async fn until_mail_hears(gate: &Simulated, want: u16) {
    let hears = async { while mail_code(gate).await != want {} };
    tokio::time::timeout(Duration::from_secs(60), hears).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_memory_short_further_messages_wait_and_those_under_way_arrive() {
    let maildir = tempfile::tempdir().unwrap();
    let gate = limited_in(
        &maildir,
        "[smtp]\nmessage_memory_max_megabytes = 1\n[smtp.limits.client]\nconnections_per_minute = 0\nerrors_per_hour = 0",
    )
    .await;
    let line = format!("{}\r\n", "x".repeat(70));
    let mut under_way = Vec::new();
    for _ in 0..3 {
        let mut client = gate.client().await;
        for (command, code) in
            [("MAIL FROM:<a@example.net>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)]
        {
            assert_eq!(client.command(command).await.unwrap().code, code);
        }
        under_way.push(client);
    }
    for client in &mut under_way {
        let begun = format!("{}{}", message(CHAIN_SE), line.repeat(9_000));
        client.write(begun.as_bytes()).await.unwrap();
    }
    until_mail_hears(&gate, 452).await;
    for client in &mut under_way {
        client.write(line.repeat(1_000).as_bytes()).await.unwrap();
        assert_eq!(client.command(".").await.unwrap().code, 250);
    }
    until_mail_hears(&gate, 250).await;
    let want = format!("{}{}", message(CHAIN_SE), line.repeat(10_000));
    let kept = std::fs::read_dir(maildir.path().join("maildir/new")).unwrap();
    let kept: Vec<_> = kept.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|text| text.ends_with(&want)), "each is whole");
    gate.finish().await;
}
