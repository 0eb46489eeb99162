//! What the DNS says about a client and a sender: lists, SPF, and who is sent reports.

use pc_testkit::{Behaviour, Client, DnsBehaviour, DnsServer, Receiver};

use crate::support::{CHAIN_SE, Node, Simulated, message, receiver_tls, text, until, upstream_toml};

const START: &str = "2026-11-02T12:00:00Z";

/// `[dns]` that asks `server` about clients on loopback as well, since the tests are there.
fn dns_toml(server: &DnsServer) -> String {
    format!("[dns]\nservers = [\"{}\"]\nprivate_addresses = \"ask\"\n", server.address)
}

fn list_toml(zone: &str, rest: &str) -> String {
    format!("[[dns_list]]\nzone = \"{zone}\"\n{rest}\n")
}

struct Setup {
    receiver: Receiver,
    dns: DnsServer,
    node: Node,
    _folder: tempfile::TempDir,
}

/// A node before a receiver, with DNS from `zone`.
async fn setup(zone: &str, rest: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let dns = DnsServer::start(zone).await.unwrap();
    let node = Node::start(&format!("{}{rest}{}", upstream_toml(&receiver, &files), dns_toml(&dns)));
    Setup { receiver, dns, node, _folder: folder }
}

async fn recipient(client: &mut Client, to: &str) -> (u16, String) {
    let reply = client.command(&format!("RCPT TO:<{to}>")).await.unwrap();
    (reply.code, reply.lines.join(" "))
}

/// The texts of one kind of step in the newest row of the trace.
fn steps(node: &Node, kind: &str) -> Vec<String> {
    let rows = node.json(&["trace", "--to", "example.org"]);
    let id = rows[0]["id"].as_str().unwrap_or_else(|| panic!("{rows}")).to_owned();
    let timeline = text(&node.command(&["trace", "--id", &id]).stdout);
    let words = timeline.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.get(1) == Some(&kind)).map(|words| words[2..].join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_client_is_refused_in_the_lists_words_but_reaches_postmaster() {
    let zone = "1.0.0.127.zen.example.org A 127.0.0.4\n1.0.0.127.zen.example.org TXT see https://example.org/?127.0.0.1";
    let rest = list_toml("zen.example.org", "kind = \"block\"\nmode = \"reject\"");
    let setup = setup(zone, &rest).await;
    let mut client = setup.node.client().await;
    assert_eq!(client.command("MAIL FROM:<a@example.net>").await.unwrap().code, 250);
    let refusal = "5.7.1 client [127.0.0.1] is listed by zen.example.org: see https://example.org/?127.0.0.1";
    assert_eq!(recipient(&mut client, "b@example.org").await, (550, refusal.to_owned()));
    assert_eq!(recipient(&mut client, "postmaster@example.org").await.0, 250);
    assert_eq!(recipient(&mut client, "abuse@example.org").await.0, 250);
    client.command("RSET").await.unwrap();
    assert_eq!(steps(&setup.node, "dns_list"), ["zen.example.org: listed (127.0.0.4)"]);
    // One connection, one question.
    assert_eq!(setup.dns.count_of("1.0.0.127.zen.example.org"), 2);
    let (mut other, _) = Client::connect_from("127.0.0.9".parse().unwrap(), setup.node.smtp).await.unwrap();
    other.command("EHLO mail.example.net").await.unwrap();
    other.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!(recipient(&mut other, "b@example.org").await.0, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_is_asked_about_the_nodes_own_look_at_its_listener() {
    let rest = list_toml("zen.example.org", "kind = \"block\"\nmode = \"reject\"");
    let setup = setup("", &rest).await;
    until("the look", || setup.node.log().contains("listener is not seen to meet the TLS standard"));
    assert_eq!(setup.dns.count_of("1.0.0.127.zen.example.org"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferring_list_says_450_and_a_reporting_one_nothing() {
    let zone = "1.0.0.127.defer.example.org A 127.0.0.2\n2.0.0.127.report.example.org A 127.0.0.2";
    let rest = list_toml("defer.example.org", "kind = \"block\"\nmode = \"defer\"")
        + &list_toml("report.example.org", "kind = \"block\"");
    let setup = setup(zone, &rest).await;
    for (from, code, said) in [
        ("127.0.0.1", 450, "4.7.1 client [127.0.0.1] is listed by defer.example.org"),
        ("127.0.0.2", 250, "2.1.5 recipient OK"),
    ] {
        let (mut client, _) = Client::connect_from(from.parse().unwrap(), setup.node.smtp).await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        client.command("MAIL FROM:<a@example.net>").await.unwrap();
        assert_eq!(recipient(&mut client, "b@example.org").await, (code, said.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allow_list_outweighs_and_silence_does_neither() {
    let zone = "1.0.0.127.zen.example.org A 127.0.0.2\n1.0.0.127.allow.example.org A 127.0.0.2";
    let rest = list_toml("zen.example.org", "kind = \"block\"\nmode = \"reject\"")
        + &list_toml("allow.example.org", "kind = \"allow\"");
    let setup = setup(zone, &rest).await;
    let mut client = setup.node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!(recipient(&mut client, "b@example.org").await.0, 250);
    // The block list is away for this address: nothing is known, nothing is refused.
    setup.dns.publish("5.0.0.127.zen.example.org SERVFAIL -");
    let (mut client, _) = Client::connect_from("127.0.0.5".parse().unwrap(), setup.node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!(recipient(&mut client, "b@example.org").await.0, 250);
    client.command("RSET").await.unwrap();
    let steps = steps(&setup.node, "dns_list");
    assert!(steps[0].starts_with("zen.example.org: unknown: the server answers"), "{steps:?}");
    assert!(steps[0].ends_with("; allow.example.org: not listed"), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_refuses_to_answer_blocks_nobody_and_is_told_once() {
    let zone = "1.0.0.127.zen.example.org A 127.255.255.254";
    let rest = list_toml(
        "zen.example.org",
        "kind = \"block\"\nmode = \"reject\"\nanswers = [\"127.0.0.0-127.255.255.255\"]",
    );
    let setup = setup(zone, &rest).await;
    for _ in 0..2 {
        let mut client = setup.node.client().await;
        client.command("MAIL FROM:<a@example.net>").await.unwrap();
        assert_eq!(recipient(&mut client, "b@example.org").await.0, 250);
    }
    let (_folder, log) = setup.node.kill();
    assert_eq!(log.matches("a DNS list refuses to answer").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_tries_the_lists_at_their_test_entries() {
    let zone = "2.0.0.127.good.example.org A 127.0.0.2\n2.0.0.127.all.example.org A 127.0.0.2\n\
                1.0.0.127.all.example.org A 127.0.0.2\n2.0.0.127.closed.example.org A 127.255.255.254\n\
                2.0.0.127.away.example.org SERVFAIL -";
    let zones = ["good", "all", "closed", "away", "other"];
    let lists = zones.map(|zone| list_toml(&format!("{zone}.example.org"), "kind = \"block\""));
    let setup = setup(zone, &lists.concat()).await;
    let checks = setup.node.json(&["doctor"]);
    let found = checks.as_array().unwrap().iter().filter(|check| check["check"] == "DNS list");
    let found: Vec<_> =
        found.map(|check| (check["finding"].as_str().unwrap(), check["text"].as_str().unwrap())).collect();
    for ((finding, text), expected) in found.iter().zip([
        ("good", "good.example.org: answers"),
        ("bad", "all.example.org: names even 127.0.0.1"),
        ("bad", "closed.example.org: refuses to answer"),
        ("bad", "away.example.org: unknown: "),
        ("warn", "other.example.org: does not name its test entry"),
    ]) {
        assert!(*finding == expected.0 && text.starts_with(expected.1), "{finding} {text}");
    }
    assert_eq!(found.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_a_connector_names_is_not_looked_up() {
    let rest = list_toml("zen.example.org", "kind = \"block\"\nmode = \"reject\"")
        + "[[connector]]\nname = \"partner\"\naddresses = [\"127.0.0.1\"]\n";
    let setup = setup("1.0.0.127.zen.example.org A 127.0.0.2", &rest).await;
    let mut client = setup.node.client().await;
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(setup.dns.count(), 0);
}

const SPF_ZONE: &str = "
    example.net TXT v=spf1 ip4:127.0.0.0/8 -all
    fail.example.net TXT v=spf1 -all
    broken.example.net SERVFAIL -
    mail.example.net TXT v=spf1 a -all
    mail.example.net A 127.0.0.1
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_result_of_spf_stands_in_trace_and_header_and_forged_ones_are_gone() {
    let setup = setup(SPF_ZONE, "").await;
    let forged = format!(
        "Authentication-Results: edge.example.org; spf=pass smtp.mailfrom=forged\r\n{}",
        message(CHAIN_SE)
    );
    let cases = [
        ("a@example.net", "spf=pass smtp.mailfrom=example.net", "pass for example.net: ip4:127.0.0.0/8"),
        ("a@fail.example.net", "spf=fail smtp.mailfrom=fail.example.net", "fail for fail.example.net: -all"),
        ("a@none.example.net", "spf=none smtp.mailfrom=none.example.net", "none for none.example.net: "),
        (
            "a@broken.example.net",
            "spf=temperror smtp.mailfrom=broken.example.net",
            "temperror for broken.example.net: ",
        ),
        ("", "spf=pass smtp.helo=mail.example.net", "pass for mail.example.net: a of"),
    ];
    for (index, (from, field, step)) in cases.into_iter().enumerate() {
        let mut client = setup.node.client().await;
        let replies = client.send(from, &["b@example.org"], forged.as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{from}: {replies:?}");
        setup.receiver.wait_for(index + 1).await;
        let text = String::from_utf8(setup.receiver.deliveries().remove(index).message).unwrap();
        assert!(
            text.contains(&format!("Authentication-Results: edge.example.org;\r\n\t{field}\r\n")),
            "{text}"
        );
        assert!(!text.contains("forged"), "{text}");
        let steps = steps(&setup.node, "spf");
        assert!(steps[0].starts_with(step), "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_that_fails_refuses_no_mail_and_proves_no_sender() {
    let rest = list_toml("zen.example.org", "kind = \"block\"\nmode = \"reject\"");
    let setup = setup("", &rest).await;
    setup.dns.behave(DnsBehaviour::ServerFailure);
    let mut client = setup.node.client().await;
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert!(steps(&setup.node, "spf")[0].starts_with("temperror"));
}

/// A node whose server behind is away and whose reports go to a relay that is there.
async fn with_relay(dns: &DnsServer, folder: &std::path::Path) -> (Simulated, Receiver) {
    let (tls, files) = receiver_tls(folder, "receiver.example.org");
    let relay = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let away = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let upstreams = upstream_toml(&away, &files)
        + &upstream_toml(&relay, &files)
            .replace("\"receiver\"", "\"relay\"")
            .replace("[\"example.org\"]", "[\"example.com\"]");
    drop(away);
    let toml =
        format!("{upstreams}[spool]\ndelay_report_hours = 0\nreports_via = \"relay\"\n{}", dns_toml(dns));
    (Simulated::start(START, &toml).await, relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_mail_that_expires_a_sender_that_spf_proves_is_told_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let dns = DnsServer::start(SPF_ZONE).await.unwrap();
    let (gate, relay) = with_relay(&dns, folder.path()).await;
    let mut client = gate.client().await;
    let senders = ["a@example.net", "a@fail.example.net", "a@none.example.net", "a@broken.example.net"];
    for from in senders {
        let replies = client.send(from, &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{from}: {replies:?}");
    }
    let queue = &gate.running.queue;
    assert_eq!(queue.list().len(), 4);
    gate.clock.set("2026-11-08T12:00:00Z".parse().unwrap());
    relay.wait_for(1).await;
    queue
        .wait_for(|queue| {
            queue.list().len() == 3 && queue.list().iter().all(|listed| listed.state == "aside")
        })
        .await;
    let mut left: Vec<String> = queue.list().into_iter().map(|listed| listed.reverse_path).collect();
    left.sort();
    assert_eq!(left, ["a@broken.example.net", "a@fail.example.net", "a@none.example.net"]);
    let report = relay.deliveries().remove(0);
    assert_eq!(report.envelope.reverse_path.to_string(), "");
    assert_eq!(report.envelope.recipients[0].forward_path.to_string(), "a@example.net");
    let text = String::from_utf8(report.message).unwrap();
    assert!(text.contains("Action: failed\r\nStatus: 4.4.7\r\n"), "{text}");
    assert_eq!(relay.count(), 1);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_sender_that_asked_hears_that_its_mail_was_passed_on_to_a_server_without_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    receiver.withhold(&["DSN"]);
    let dns = DnsServer::start(SPF_ZONE).await.unwrap();
    let toml = upstream_toml(&receiver, &files) + "[spool]\nreports_via = \"receiver\"\n" + &dns_toml(&dns);
    let gate = Simulated::start(START, &toml).await;
    let mut client = gate.client().await;
    let to = ["<b@example.org> NOTIFY=SUCCESS".to_owned(), "<c@example.org>".to_owned()];
    for from in ["<a@fail.example.net>", "<a@example.net>"] {
        let replies = client.send_with(from, &to, message(CHAIN_SE).as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    receiver.wait_for(3).await;
    gate.running.queue.wait_for(|queue| queue.list().is_empty()).await;
    let reports: Vec<_> = receiver
        .deliveries()
        .into_iter()
        .filter(|delivery| delivery.envelope.reverse_path.to_string().is_empty())
        .collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].envelope.recipients[0].forward_path.to_string(), "a@example.net");
    let text = String::from_utf8(reports[0].message.clone()).unwrap();
    assert!(
        text.contains("Final-Recipient: rfc822; b@example.org\r\nAction: relayed\r\nStatus: 2.0.0"),
        "{text}"
    );
    assert!(!text.contains("Final-Recipient: rfc822; c@example.org"), "{text}");
    // A server that sends reports itself is left to do so.
    receiver.withhold(&[]);
    let fresh = Simulated::start(START, &toml).await;
    let mut client = fresh.client().await;
    let replies = client.send_with("<a@example.net>", &to, message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(receiver.count(), 4);
    assert!(fresh.running.queue.list().is_empty());
    fresh.finish().await;
    gate.finish().await;
}
