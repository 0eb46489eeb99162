use pc_testkit::{Behaviour, Client, Receiver};

use crate::support::{CHAIN_2016, CHAIN_SE, Node, certificate, message, receiver_tls, text, upstream_toml};

/// What the sender hears when nothing is spooled.
fn without_spool(receiver: &Receiver, files: &pc_tls::CertificateFiles) -> String {
    format!("[spool]\nmode = \"off\"\n{}", upstream_toml(receiver, files))
}

/// A node in front of a receiving server under TLS.
async fn pair(behaviour: Behaviour) -> (tempfile::TempDir, Receiver, Node) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(behaviour, Some(tls)).await.unwrap();
    let enforcement = "[enforcement]\nopen_sightings = 1\nopen_hours = 0\n";
    let node = Node::start(&format!("{}{enforcement}", without_spool(&receiver, &files)));
    (folder, receiver, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_through_with_our_fields_and_without_forged_ones() {
    let (_folder, receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    let forged = format!(
        "X-Portcullis-Score: -10\r\nAuthentication-Results: edge.example.org; spf=pass\r\n{}",
        message(CHAIN_2016)
    );
    let replies = client.send("a@example.net", &["b@example.org"], forged.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    let delivery = receiver.deliveries().remove(0);
    assert_eq!(delivery.envelope.reverse_path.to_string(), "a@example.net");
    let got = text(&delivery.message);
    assert!(got.starts_with("Received: from mail.example.net ([127.0.0.1])\r\n\tby edge.example.org (Portcullis) with ESMTPS\r\n\t(version=TLSv1.3 cipher=TLS_AES_"), "{got}");
    assert!(got.contains(
        "\r\nX-Portcullis-Enforcement: pass; verdict=unsupported; build=15.1.2507.31; stage=none; server="
    ));
    assert!(!got.contains("Score: -10") && !got.contains("Authentication-Results"));
    assert!(got.ends_with(&message(CHAIN_2016)), "the rest is unchanged");

    let trace = node.json(&["trace", "--id", "<1@example.net>"]);
    assert_eq!(trace[0]["outcome"], "taken");
    assert_eq!(trace[0]["verdict"], "unsupported");
    assert_eq!(trace[0]["recipients"][0]["forward_path"], "b@example.org");
    let servers = node.json(&["servers", "list"]);
    assert_eq!(servers[0]["build"], "15.1.2507.31");
    assert_eq!(servers[0]["stage"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_the_server_behind_are_reused() {
    let (_folder, receiver, node) = pair(Behaviour::Accept).await;
    for _ in 0..3 {
        let mut client = node.client().await;
        for _ in 0..2 {
            let replies =
                client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
            assert_eq!(replies.last().unwrap().code, 250);
        }
        client.command("QUIT").await.unwrap();
    }
    assert_eq!((receiver.count(), receiver.connections()), (6, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reused_connection_that_was_closed_meanwhile_costs_nothing() {
    let (_folder, receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    receiver.behave(Behaviour::ResetAtEnd);
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 451, "no 250 without a 250");
    receiver.behave(Behaviour::Accept);
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_come_in_the_words_of_the_server_behind() {
    let (_folder, receiver, node) = pair(Behaviour::Refuse).await;
    let mut client = node.client().await;
    let replies = client
        .send("a@example.net", &["unknown@example.org", "b@example.org"], message("").as_bytes())
        .await
        .unwrap();
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 550, 250, 354, 550]);
    assert_eq!(replies[1].lines, ["5.1.1 no such mailbox here"]);
    assert_eq!(replies[4].lines, ["5.7.1 not wanted"]);
    receiver.behave(Behaviour::Defer);
    let replies = client.send("a@example.net", &["b@example.org"], message("").as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().lines, ["4.3.2 not now"]);
    receiver.behave(Behaviour::Accept);
    let replies = client.send("a@example.net", &["b@example.org"], message("").as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "the state of the failed ones is gone");
    assert_eq!(receiver.deliveries()[0].envelope.recipients.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_that_is_down_or_not_itself_defers() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, _) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    // The same name, but not the certificate that the configuration trusts.
    let node = Node::start(&without_spool(&receiver, &certificate(&other, "receiver.example.org")));
    let mut client = node.client().await;
    let replies = client.send("a@example.net", &["b@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies[1].code, 451, "{replies:?}");
    assert!(replies[1].lines[0].starts_with("4.3.0 the mail server behind is not available"));
    drop(receiver);
    let replies = client.send("a@example.net", &["b@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies[1].code, 451);
    let trace = node.json(&["trace", "--to", "b@example.org"]);
    assert_eq!(trace.as_array().unwrap().len(), 2);
    assert!(trace.as_array().unwrap().iter().all(|row| row["outcome"] == "deferred"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_without_starttls_gets_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "receiver.example.org");
    // Offers STARTTLS, but cannot do it: the handshake fails, and nothing goes in plain text.
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&without_spool(&receiver, &files));
    let mut client = node.client().await;
    let replies = client.send("a@example.net", &["b@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies[1].code, 451);
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_domains_are_not_relayed_for() {
    let (_folder, _receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for path in ["b@example.com", "b@sub.example.org", "b@[192.0.2.1]", "b%example.com@example.net"] {
        let reply = client.command(&format!("RCPT TO:<{path}>")).await.unwrap();
        assert_eq!((reply.code, reply.lines[0].starts_with("5.7.1 relaying denied")), (550, true), "{path}");
    }
    assert_eq!(client.command("RCPT TO:<Postmaster>").await.unwrap().code, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_can_demand_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let connector =
        "[[connector]]\nname = \"partner\"\naddresses = [\"127.0.0.5/32\"]\ntls_required = true\n";
    let node = Node::start(&format!("{}{connector}", without_spool(&receiver, &files)));
    let (mut client, _) = Client::connect_from("127.0.0.5".parse().unwrap(), node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let reply = client.command("MAIL FROM:<a@example.net>").await.unwrap();
    assert_eq!((reply.code, reply.lines[0].as_str()), (530, "5.7.0 Must issue a STARTTLS command first"));
    let (mut client, _) = Client::connect_from("127.0.0.6".parse().unwrap(), node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    assert_eq!(client.command("MAIL FROM:<a@example.net>").await.unwrap().code, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_told_end_lets_the_open_transaction_finish_and_keeps_the_records() {
    let (_folder, receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    let mut idle = node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    client.command("RCPT TO:<b@example.org>").await.unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &node.pid().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(idle.reply().await.unwrap().code, 421, "the idle one is told to come back");
    client.command("DATA").await.unwrap();
    client.write(format!("{}.\r\n", message(CHAIN_2016)).as_bytes()).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code, 250);
    assert_eq!(client.reply().await.unwrap().code, 421);
    assert_eq!(receiver.count(), 1);
    let folder = node.terminate();
    let maildir = folder.path().join("maildir").display().to_string();
    let node = Node::start_in(
        folder,
        &format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{maildir}\"\n"),
    );
    assert_eq!(node.json(&["servers", "list"])[0]["stage"], 1, "the row is there after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_passes_and_a_too_large_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let node = Node::start(&format!(
        "[smtp]\nmessage_size_max_bytes = 3000000\n{}",
        without_spool(&receiver, &files)
    ));
    let mut client = node.client().await;
    let large = format!("{}{}", message(""), ".a line with a dot\r\n".repeat(100_000));
    let replies = client.send("a@example.net", &["b@example.org"], large.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250);
    assert!(receiver.deliveries()[0].message.ends_with(large.as_bytes()));
    let too_large = format!("{large}{large}");
    let replies = client.send("a@example.net", &["b@example.org"], too_large.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 552);
    let replies = client.send("a@example.net", &["b@example.org"], message("").as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "the session goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_taken_before_a_failure_are_not_left_out_of_a_250() {
    let (_folder, receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    let mut codes = Vec::new();
    for recipient in ["first", "drop", "third"] {
        codes.push(client.command(&format!("RCPT TO:<{recipient}@example.org>")).await.unwrap().code);
    }
    // The server behind forgot the first one with its connection, so a 250 to it would be a lie.
    assert_eq!(codes, [250, 451, 451]);
    assert_eq!(client.command("DATA").await.unwrap().code, 354);
    client.write(b"x\r\n.\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().code, 451);
    assert_eq!(receiver.count(), 0);
    let replies = client.send("a@example.net", &["first@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "the next transaction is a new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_hold_all_connections_to_the_server_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let node = Node::start(&format!("{}connections_max = 4\n", without_spool(&receiver, &files)));
    let source = |last: u8| std::net::Ipv4Addr::new(127, 0, 0, last).into();
    let mut silent = Vec::new();
    for _ in 0..4 {
        let (mut client, _) = Client::connect_from(source(7), node.smtp).await.unwrap();
        client.write(b"EHLO mail.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\n").await.unwrap();
        silent.push(client);
    }
    for _ in 0..3 {
        silent[0].reply().await.unwrap();
    }
    let (mut client, _) = Client::connect_from(source(8), node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let replies = client.send("a@example.net", &["b@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_in_local_parts_are_not_passed_on() {
    let (_folder, _receiver, node) = pair(Behaviour::Accept).await;
    let mut client = node.client().await;
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for path in ["a%example.com@example.org", "example.com!a@example.org", "\"a@example.com\"@example.org"] {
        assert_eq!(client.command(&format!("RCPT TO:<{path}>")).await.unwrap().code, 550, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_that_does_not_answer_in_time_defers() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let node = Node::start(&format!("{}command_timeout_seconds = 1\n", without_spool(&receiver, &files)));
    let mut client = node.client().await;
    let replies = client.send("a@example.net", &["hang@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies[1].code, 451, "{replies:?}");
    let replies = client.send("a@example.net", &["b@example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "the next transaction gets a connection of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_domain_goes_before_any_domain_and_the_two_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("maildir");
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let any =
        format!("[[upstream]]\nname = \"any\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n", maildir.display());
    let node = Node::start(&format!("{any}{}", without_spool(&receiver, &files)));
    let mut client = node.client().await;
    let replies =
        client.send("a@example.net", &["b@example.org", "c@sub.example.org"], b"x\r\n").await.unwrap();
    assert_eq!((replies[1].code, replies[2].code, replies[4].code), (250, 452, 250), "{replies:?}");
    let replies = client.send("a@example.net", &["c@sub.example.org"], b"x\r\n").await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250);
    assert_eq!(receiver.count(), 1);
    assert_eq!(std::fs::read_dir(maildir.join("new")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_does_not_keep_others_from_the_server_behind() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\nconnections_max = 1\n\
         [spool]\nmode = \"off\"\n",
        receiver.address
    ));
    let mut slow = node.client().await;
    for command in
        ["MAIL FROM:<slow@example.net>", "RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>", "DATA"]
    {
        assert!(slow.command(command).await.unwrap().code < 400, "{command}");
    }
    slow.write(message(CHAIN_SE).as_bytes()).await.unwrap();
    // It stands on the only connection there may be.
    let mut quick = node.client().await;
    let replies =
        quick.send("quick@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(slow.command("\r\n.").await.unwrap().code, 250);
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries[0].envelope.reverse_path.to_string(), "quick@example.net");
    assert_eq!(deliveries[1].envelope.reverse_path.to_string(), "slow@example.net");
    assert_eq!(deliveries[1].envelope.recipients.len(), 2, "asked anew for both");
    assert_eq!(deliveries.len(), 2);
}
