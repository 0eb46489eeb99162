//! A real OpenSMTPD sends through the gate.

use std::time::{Duration, Instant};

use pc_testkit::{Behaviour, Client, OpenSmtpd, Receiver};

use crate::support::{CHAIN_2016, Node, message, text};

fn gate(receiver: &Receiver) -> Node {
    Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    ))
}

/// OpenSMTPD puts its own line on top, so the chain below is that of another server and not judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opensmtpd_relays_over_starttls_and_is_told_from_exchange() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = gate(&receiver);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let smtpd = OpenSmtpd::start(port, node.smtp).unwrap();
    // Another process opens the port, so there is nothing to await; the bound only ends a hang.
    let started = Instant::now();
    let mut client = loop {
        if let Ok((client, _)) = Client::connect(([127, 0, 0, 1], port).into()).await {
            break client;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{}", smtpd.log());
        tokio::task::yield_now().await;
    };
    client.command("EHLO inside.example.net").await.unwrap();
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    receiver.wait_for(1).await;
    let got = text(&receiver.deliveries().remove(0).message);
    assert!(got.contains("by edge.example.org (Portcullis) with ESMTPS"), "{got}");
    assert!(got.contains("(OpenSMTPD)") && got.contains("build=none"), "{got}");
}
