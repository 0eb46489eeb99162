//! The end-of-data shapes of the 2023 disclosures and of Postfix's 2026 relapse, by DATA and BDAT, in
//! one segment and octet by octet, counted at the receiving end.

use pc_testkit::{Behaviour, Client, Receiver};

use crate::support::{Node, text};

const SHAPES: &[&str] = &[
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n.\r\r\n",
    "\r\n.\r\r\r\n",
    "\r\r\n.\r\n",
    "\r\n\r.\r\n",
];

const SMUGGLED: &str =
    "MAIL FROM:<admin@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";

async fn pair() -> (Receiver, Node) {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    ));
    (receiver, node)
}

async fn begun(node: &Node) -> Client {
    let (mut client, _) = Client::connect(node.smtp).await.unwrap();
    for line in ["EHLO mail.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>"] {
        assert_eq!(client.command(line).await.unwrap().code, 250);
    }
    client
}

async fn write(client: &mut Client, octets: &[u8], piece: usize) {
    for piece in octets.chunks(piece) {
        // The node may have closed already; what it said is read below.
        if client.write(piece).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_shape_but_crlf_dot_crlf_ends_data_and_each_costs_the_message() {
    let (receiver, node) = pair().await;
    for shape in SHAPES {
        for piece in [1, usize::MAX] {
            let mut client = begun(&node).await;
            assert_eq!(client.command("DATA").await.unwrap().code, 354);
            let body = format!("Subject: first\r\n\r\nx{shape}{SMUGGLED}\r\n.\r\n");
            write(&mut client, body.as_bytes(), piece).await;
            let reply = client.reply().await.unwrap();
            assert_eq!(reply.code, 550, "{shape:?}");
            assert!(reply.lines[0].starts_with("5.5.2 "), "{shape:?}");
            assert!(client.is_closed().await, "{shape:?}");
        }
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_with_those_shapes_cost_the_message_too() {
    let (receiver, node) = pair().await;
    for shape in SHAPES {
        for piece in [1, usize::MAX] {
            let mut client = begun(&node).await;
            let body = format!("Subject: first\r\n\r\nx{shape}{SMUGGLED}\r\n");
            let wire = format!("BDAT {} LAST\r\n{body}", body.len());
            write(&mut client, wire.as_bytes(), piece).await;
            assert_eq!(client.reply().await.unwrap().code, 550, "{shape:?}");
            assert!(client.is_closed().await, "{shape:?}");
        }
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_true_end_inside_a_chunk_is_content_and_arrives_as_one_message() {
    let (receiver, node) = pair().await;
    let body = format!("Subject: first\r\n\r\nx\r\n.\r\n{SMUGGLED}\r\n");
    for piece in [1, usize::MAX] {
        let mut client = begun(&node).await;
        write(&mut client, format!("BDAT {} LAST\r\n{body}", body.len()).as_bytes(), piece).await;
        assert_eq!(client.reply().await.unwrap().code, 250);
    }
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len(), 2, "one message each");
    assert!(deliveries.iter().all(|delivery| text(&delivery.message).ends_with(&body)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_behind_starttls_is_not_answered_inside_tls() {
    let (_receiver, node) = pair().await;
    let (mut client, _) = Client::connect(node.smtp).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    client.write(b"STARTTLS\r\nMAIL FROM:<injected@example.net>\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().code, 220);
    let tls = node.tls();
    // Both lines come in one segment, so the injected one is buffered and thrown away.
    let mut client = client.shake_hands(&tls, "edge.example.org").await.unwrap();
    assert_eq!(client.command("RCPT TO:<b@example.org>").await.unwrap().code, 503);
    assert_eq!(client.command("EHLO mail.example.net").await.unwrap().code, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_answered_with_5xx_and_bounded() {
    let (_receiver, node) = pair().await;
    let (mut client, _) = Client::connect(node.smtp).await.unwrap();
    let mut answers = 0;
    loop {
        let _ = client.write(b"\x16\x03\x01 garbage\r\n").await;
        match client.reply().await {
            Ok(reply) if reply.code == 500 => answers += 1,
            Ok(reply) => {
                assert_eq!(reply.code, 421);
                break;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(answers < 50);
    }
    assert!(client.is_closed().await);
}
