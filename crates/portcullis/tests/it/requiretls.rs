//! RFC 8689: mail that must stay under TLS on its whole way.

use pc_testkit::{Behaviour, DnsServer, Receiver};

use crate::support::{CHAIN_SE, Simulated, message, receiver_tls, upstream_toml};

const START: &str = "2026-11-02T12:00:00Z";

/// A receiver under TLS that does not offer `withheld`, and a node that hands over to it.
async fn pair(withheld: &[&str], rest: &str) -> (tempfile::TempDir, Receiver, Simulated) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    receiver.withhold(withheld);
    let gate = Simulated::start(START, &(upstream_toml(&receiver, &files) + rest)).await;
    (folder, receiver, gate)
}

async fn send(gate: &Simulated) -> Vec<(u16, String)> {
    let mut client = gate.client().await;
    let to = ["<b@example.org>".to_owned()];
    let replies =
        client.send_with("<a@example.net> REQUIRETLS", &to, message(CHAIN_SE).as_bytes()).await.unwrap();
    replies.into_iter().map(|reply| (reply.code, reply.lines.join(" "))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_passed_on_to_a_server_that_offers_it_at_once_and_from_the_spool() {
    for rest in ["", "[spool]\nmode = \"always\"\n"] {
        let (_folder, receiver, gate) = pair(&[], rest).await;
        assert_eq!(send(&gate).await.last().unwrap().0, 250);
        receiver.wait_for(1).await;
        assert!(receiver.deliveries()[0].envelope.parameters.requiretls);
        gate.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_offer_it_gets_no_such_mail() {
    let (_folder, receiver, gate) = pair(&["REQUIRETLS"], "").await;
    let replies = send(&gate).await;
    assert_eq!(replies[1].0, 550);
    assert!(replies[1].1.starts_with("5.7.30 REQUIRETLS support required"), "{replies:?}");
    assert_eq!(receiver.count(), 0);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_to_a_server_on_this_machine_is_no_tls() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let toml = format!(
        "[[upstream]]\nname = \"receiver\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    );
    let gate = Simulated::start(START, &toml).await;
    let replies = send(&gate).await;
    assert!(replies[1].1.starts_with("5.7.30 "), "{replies:?}");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_spool_its_sender_is_told_though_the_way_back_does_not_offer_it() {
    let dns = DnsServer::start("example.net TXT v=spf1 ip4:127.0.0.1 -all").await.unwrap();
    let rest = format!(
        "[spool]\nmode = \"always\"\nreports_via = \"receiver\"\n[dns]\nservers = [\"{}\"]\nprivate_addresses = \"ask\"\n",
        dns.address
    );
    let (_folder, receiver, gate) = pair(&["REQUIRETLS"], &rest).await;
    assert_eq!(send(&gate).await.last().unwrap().0, 250);
    receiver.wait_for(1).await;
    gate.running.queue.wait_for(|queue| queue.list().is_empty()).await;
    let report = receiver.deliveries().remove(0);
    assert_eq!(report.envelope.recipients[0].forward_path.to_string(), "a@example.net");
    let text = String::from_utf8(report.message).unwrap();
    assert!(text.contains("Action: failed\r\nStatus: 5.7.30\r\n"), "{text}");
    assert!(!text.contains("\r\nbody\r\n"), "{text}");
    gate.finish().await;
}
