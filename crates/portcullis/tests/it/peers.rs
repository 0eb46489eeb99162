//! Peers that mean harm, or send too much: no peer is trusted.

use pc_testkit::Client;

use crate::support::{CHAIN_SE, Node, message};

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
