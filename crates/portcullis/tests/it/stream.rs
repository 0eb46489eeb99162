//! Mail programs through a real node, with servers behind that do what a test needs: injection on both
//! sides of STARTTLS, servers that cannot prove who they are, and who is told of whom.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use pc_net::{ProxyHeader, ProxySource, read_proxy_header};
use pc_tls::{ClientTls, Roots, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Node, receiver_tls, text, until};

/// A node with one stream to `server`; `more` stands before its upstream, `behind` in it.
fn node(protocol: &str, tls: &str, server: SocketAddr, ca: &Path, (more, behind): (&str, &str)) -> Node {
    Node::start(&format!(
        "[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n[[stream]]\nname = \"s\"\nprotocol = \"{protocol}\"\n\
         address = \"127.0.0.1:0\"\ntls = \"{tls}\"\n{more}[stream.upstream]\naddress = \"{server}\"\n\
         tls_name = \"mailbox.example.org\"\nca_file = \"{}\"\n{behind}",
        ca.with_file_name("maildir").display(),
        ca.display()
    ))
}

/// A server behind that says its lines, one for each that it gets, and hands back what it got.
async fn scripted(
    greeting: &'static str,
    answers: &'static [&'static str],
) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        let mut answers = answers.iter();
        // The gate closes when it has seen enough.
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            got.extend_from_slice(&buffer[..count]);
            if let Some(answer) = answers.next() {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
        String::from_utf8_lossy(&got).into_owned()
    });
    (address, task)
}

async fn tls_client(
    node: &Node,
    stream: tokio::net::TcpStream,
) -> pc_tls::ClientStream<tokio::net::TcpStream> {
    let tls = ClientTls::new(Roots::CaFile(node.certificate()), None).unwrap();
    tls.connect(stream, "edge.example.org", Duration::from_secs(10)).await.unwrap().stream
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut got = Vec::new();
    // A connection may end without TLS's goodbye.
    let _ = stream.read_to_end(&mut got).await;
    String::from_utf8_lossy(&got).into_owned()
}

#[test]
fn octets_of_the_client_behind_starttls_in_one_segment_end_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (_, files) = receiver_tls(folder.path(), "mailbox.example.org");
    for (protocol, said) in [
        ("imap", "a STARTTLS\r\nb LOGIN user secret\r\n"),
        ("pop3", "STLS\r\nUSER user\r\n"),
        ("submission", "EHLO c\r\nSTARTTLS\r\nMAIL FROM:<a@example.org>\r\n"),
    ] {
        let node = node(protocol, "starttls", ([127, 0, 0, 1], 9).into(), &files.chain, ("", ""));
        let mut stream = TcpStream::connect(node.stream("s")).unwrap();
        let mut greeting = [0; 512];
        assert!(stream.read(&mut greeting).unwrap() > 0);
        stream.write_all(said.as_bytes()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(!text(&rest).contains("begin TLS"), "{protocol}: {}", text(&rest));
        assert!(node.log().contains("octets behind STARTTLS"), "{protocol}: {}", node.log());
    }
}

#[test]
fn octets_of_the_client_behind_starttls_in_the_next_segment_are_no_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let (_, files) = receiver_tls(folder.path(), "mailbox.example.org");
    let node = node("imap", "starttls", ([127, 0, 0, 1], 9).into(), &files.chain, ("", ""));
    let mut stream = TcpStream::connect(node.stream("s")).unwrap();
    let mut octets = [0; 512];
    assert!(stream.read(&mut octets).unwrap() > 0);
    stream.write_all(b"a STARTTLS\r\n").unwrap();
    let count = stream.read(&mut octets).unwrap();
    assert_eq!(text(&octets[..count]), "a OK begin TLS\r\n");
    stream.write_all(b"b LOGIN user secret\r\n").unwrap();
    let mut rest = Vec::new();
    // The octets that were not read may reset the connection.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    until("the refusal in the log", || node.log().contains("not_tls"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_of_the_server_behind_its_consent_to_starttls_reach_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (_, files) = receiver_tls(folder.path(), "mailbox.example.org");
    for (protocol, greeting, answers, farewell) in [
        ("imap", "* OK hi\r\n", &["p OK go\r\n* OK injected\r\n"][..], "* BYE [UNAVAILABLE]"),
        ("pop3", "+OK hi\r\n", &["+OK go\r\n+OK injected\r\n"][..], "-ERR [SYS/TEMP]"),
        (
            "submission",
            "220 hi\r\n",
            &["250-hi\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"][..],
            "421 4.3.0",
        ),
    ] {
        let (server, task) = scripted(greeting, answers).await;
        let node = node(protocol, "implicit", server, &files.chain, ("", "tls = \"starttls\"\n"));
        let stream = tokio::net::TcpStream::connect(node.stream("s")).await.unwrap();
        let mut client = tls_client(&node, stream).await;
        let said = read_to_end(&mut client).await;
        assert!(said.starts_with(farewell) && !said.contains("injected"), "{protocol}: {said}");
        assert!(node.log().contains("starttls_injection"), "{protocol}: {}", node.log());
        assert!(!task.await.unwrap().contains('\u{16}'), "no hello was sent after it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_starttls_or_with_another_certificate_gets_no_client() {
    let folder = tempfile::tempdir().unwrap();
    let (_, files) = receiver_tls(folder.path(), "mailbox.example.org");
    let (server, task) = scripted("* OK hi\r\n", &["p BAD what\r\n"]).await;
    let plain = node("imap", "implicit", server, &files.chain, ("", "tls = \"starttls\"\n"));
    let stream = tokio::net::TcpStream::connect(plain.stream("s")).await.unwrap();
    let mut client = tls_client(&plain, stream).await;
    let said = read_to_end(&mut client).await;
    assert!(said.starts_with("* BYE [UNAVAILABLE]"), "{said}");
    assert_eq!(task.await.unwrap(), "p STARTTLS\r\n");

    let other = tempfile::tempdir().unwrap();
    let (other_tls, _) = receiver_tls(other.path(), "mailbox.example.org");
    let (server, _task) = failing_logins(other_tls, false).await;
    let stranger = node("imap", "implicit", server, &files.chain, ("", ""));
    let stream = tokio::net::TcpStream::connect(stranger.stream("s")).await.unwrap();
    let mut client = tls_client(&stranger, stream).await;
    let said = read_to_end(&mut client).await;
    assert!(said.starts_with("* BYE [UNAVAILABLE]"), "{said}");
    assert!(stranger.log().contains("could not prove itself"), "{}", stranger.log());
}

/// An IMAP server in TLS that takes no password; before TLS it may read a PROXY header, which it sends on.
async fn failing_logins(
    tls: ServerTls,
    is_proxied: bool,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<ProxySource>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, sources) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (tls, told) = (tls.clone(), told.clone());
            tokio::spawn(async move {
                if is_proxied {
                    let _ = told.send(proxy_source(&mut stream).await);
                }
                let Ok(accepted) = tls.accept(stream, Duration::from_secs(10)).await else { return };
                let mut stream = accepted.stream;
                let _ = stream.write_all(b"* OK hi\r\n").await;
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    let tag = line.split(' ').next().unwrap_or_default();
                    let _ =
                        stream.write_all(format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n").as_bytes()).await;
                    let _ = stream.flush().await;
                }
            });
        }
    });
    (address, sources)
}

async fn proxy_source(stream: &mut tokio::net::TcpStream) -> ProxySource {
    let mut octets = Vec::new();
    loop {
        match read_proxy_header(&octets).unwrap() {
            ProxyHeader::Complete(source) => return source,
            ProxyHeader::Incomplete(more) => {
                let mut next = vec![0; more];
                stream.read_exact(&mut next).await.unwrap();
                octets.extend(next);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_logins_are_counted_by_network_and_the_server_is_told_who_the_client_is() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "mailbox.example.org");
    let (server, mut sources) = failing_logins(tls, true).await;
    let more = "login_failures_per_hour = 4\nproxy_protocol_from = [\"127.0.0.1\"]\n";
    let node = node("imap", "implicit", server, &files.chain, (more, "send_proxy = true\n"));
    let connect = async |client: &str| {
        let mut stream = tokio::net::TcpStream::connect(node.stream("s")).await.unwrap();
        let client: SocketAddr = client.parse().unwrap();
        stream.write_all(&pc_net::proxy_header(client, client, None)).await.unwrap();
        stream
    };
    // Two addresses of one /64, with two failures each, one of them pipelined.
    for (client, tag) in [("[2001:db8::1]:4711", "a"), ("[2001:db8::2]:4712", "b")] {
        let mut stream = tls_client(&node, connect(client).await).await;
        assert_eq!(sources.recv().await.unwrap(), ProxySource::Client(client.parse().unwrap()));
        stream.write_all(format!("{tag}1 LOGIN u p\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut said = String::new();
        let mut buffer = [0; 512];
        while !said.contains(&format!("{tag}1 NO")) {
            let count = stream.read(&mut buffer).await.unwrap();
            said.push_str(&text(&buffer[..count]));
        }
        stream.write_all(format!("{tag}2 LOGIN u p\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let last = if tag == "b" { "* BYE [CONTACTADMIN] too many failed logins" } else { "a2 NO" };
        let mut said = String::new();
        while !said.contains(last) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "{said}");
            said.push_str(&text(&buffer[..count]));
        }
    }
    // A third one of it is not even greeted by TLS, a neighbour is.
    let mut refused = connect("[2001:db8::3]:4713").await;
    assert_eq!(read_to_end(&mut refused).await, "");
    let _ = tls_client(&node, connect("[2001:db8:0:1::1]:4714").await).await;
    assert!(node.log().contains("code=\"login_failures\""), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_nodes_end_a_client_without_a_login_is_told_and_nothing_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "mailbox.example.org");
    let (server, _sources) = failing_logins(tls, false).await;
    let node = node("imap", "implicit", server, &files.chain, ("", ""));
    let stream = tokio::net::TcpStream::connect(node.stream("s")).await.unwrap();
    let mut client = tls_client(&node, stream).await;
    let mut greeting = [0; 512];
    let count = client.read(&mut greeting).await.unwrap();
    assert_eq!(text(&greeting[..count]), "* OK hi\r\n");
    node.tell_to_end();
    let said = read_to_end(&mut client).await;
    assert_eq!(said, "* BYE [UNAVAILABLE] the service ends, please connect again\r\n");
    node.terminate();
}
