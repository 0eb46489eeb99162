//! A node that is told to end while mail is on its way.

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_SE, Node, message, until};

/// Mail goes to the receiver without TLS.
fn plain(receiver: &Receiver) -> String {
    format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    )
}

/// A client inside DATA, the last line not sent.
async fn inside_data(node: &Node) -> pc_testkit::Client {
    let mut client = node.client().await;
    for (command, code) in
        [("MAIL FROM:<a@example.net>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)]
    {
        assert_eq!(client.command(command).await.unwrap().code, code);
    }
    client.write(message(CHAIN_SE).as_bytes()).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_ends_well_while_the_port_is_free_again() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let mut node = Node::start(&plain(&receiver));
    let mut between = node.client().await;
    let mut client = inside_data(&node).await;
    node.tell_to_end();
    // Between transactions a connection is closed with its reason.
    assert_eq!(between.reply().await.unwrap().code, 421);
    until("the end of the listener", || std::net::TcpStream::connect(node.smtp).is_err());
    let reply = client.command("\r\n.").await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    assert_eq!(client.reply().await.unwrap().code, 421);
    assert_eq!(receiver.count(), 1);
    assert!(node.ended().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_longer_than_the_drain_time_is_cut_without_250() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let toml = format!("[smtp]\ndrain_seconds = 0\n{}", plain(&receiver));
    let mut node = Node::start(&toml);
    let mut client = inside_data(&node).await;
    node.tell_to_end();
    assert!(client.command("\r\n.").await.is_err());
    assert!(node.ended().success());
    assert_eq!(receiver.count(), 0);
}
