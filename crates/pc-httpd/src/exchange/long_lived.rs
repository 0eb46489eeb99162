//! Exchanges that last as long as Exchange makes them, through all of the shell but sockets and TLS, under a clock that does not wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pc_http::disclosure::StrictTransportSecurity;
use pc_http::patches::Pack;
use pc_http::policy::PathPolicy;
use pc_net::{Clock, Stopper};
use pc_tls::{CertificateStore, ClientTls, Roots};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::behind::HostSettings;
use crate::client_page::SeenClients;
use crate::connection::converse;
use crate::edge::{SiteRules, SiteSettings};
use crate::limits::{BEHIND_BUFFER_OCTETS_MAX, STREAM_WINDOW_OCTETS};
use crate::response::Hsts;
use crate::stream::converse_http2;

const NAME: &str = "mail.example.org";
const PING: &str = "/Microsoft-Server-ActiveSync?Cmd=Ping";

/// One client connection through the edge, and the server's end of the connection behind.
struct Through {
    client: DuplexStream,
    server: DuplexStream,
    serving: JoinHandle<()>,
    _stopper: Stopper,
}

fn edge() -> Arc<Edge> {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::System;
    let files = pc_tls::self_made(folder.path(), NAME, clock.now()).unwrap();
    let certificates = CertificateStore::load(std::slice::from_ref(&files), clock.now()).unwrap();
    let tls = ClientTls::new(Roots::CaFile(files.chain), None).unwrap();
    let host = HostSettings {
        host: "ex01.example.org".to_owned(),
        port: 443,
        priority: 0,
        tls_name: NAME.to_owned(),
        tls,
    };
    let site = SiteSettings {
        name: "exchange".to_owned(),
        names: vec![NAME.parse().unwrap()],
        hosts: vec![host],
        connect_timeout: seconds(5),
        health_check: seconds(10),
    };
    let open = vec![Directory::Owa, Directory::Mapi, Directory::ActiveSync];
    let site_rules = SiteRules {
        name: "exchange".to_owned(),
        policy: PathPolicy { open, exceptions: Vec::new(), internal: Vec::new() },
        patches: PatchMode::Block,
        rules: BTreeMap::new(),
        http2: true,
        activesync_windows_logins: false,
    };
    let said = StrictTransportSecurity { max_age_seconds: 300, include_subdomains: false, preload: false };
    let rules = Rules {
        hsts: Hsts::new(&said),
        fields_kept: Vec::new(),
        forwarded_for_from: Vec::new(),
        pack: Pack::parse(include_str!("../../../../patches/exchange.toml")).unwrap(),
        report_only: Vec::new(),
        sites: vec![site_rules],
    };
    let seen = SeenClients { ask: Arc::new(|_, _, _| Box::pin(async { Vec::new() })), ports: Vec::new() };
    Edge::new((vec![site], &[]), rules, certificates, (clock, seen, None)).unwrap()
}

/// A connection behind whose server is the test.
async fn link(edge: &Edge) -> (Link, Driver, DuplexStream) {
    let (near, far) = duplex(64 * 1024);
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BEHIND_BUFFER_OCTETS_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(near)).await.unwrap();
    let link = edge.sites[0].hosts[0].link(sender);
    let driver = Box::pin(async move {
        let _ = connection.await;
    });
    (link, driver, far)
}

async fn through(version: Version) -> Through {
    let edge = edge();
    let (link, driver, server) = link(&edge).await;
    let (client, far) = duplex(64 * 1024);
    let (stopper, stop) = Stopper::new();
    let who = Arc::new(Client {
        listener: Arc::from("https test"),
        address: [192, 0, 2, 7].into(),
        local: ([192, 0, 2, 1], 443).into(),
        tls: "TLSv1.3",
        ja4: String::new(),
        server_name: Some(NAME.to_owned()),
        hello: None,
        is_own: false,
    });
    let wire = Arc::new(Wire::default());
    let serving = if version == Version::HTTP_2 {
        let conversation = Arc::new(Conversation::http2(edge, Arc::clone(&who), Arc::clone(&wire)));
        let Behind::Several(links) = &conversation.behind else { panic!("HTTP/2 has several") };
        links.lay_by(link, driver);
        let answer = move |request| {
            let conversation = Arc::clone(&conversation);
            async move { conversation.answer(request).await }
        };
        tokio::spawn(async move { converse_http2(far, (&who, wire), answer, stop).await })
    } else {
        let conversation = Arc::new(Conversation::new(edge, Arc::clone(&who), Arc::clone(&wire)));
        let Behind::One(one) = &conversation.behind else { panic!("HTTP/1 has one") };
        *one.link.lock().await = Some((0, link));
        *one.driver.lock().unwrap() = Some(driver);
        tokio::spawn(async move {
            let answering = Arc::clone(&conversation);
            let answer = move |request| {
                let conversation = Arc::clone(&answering);
                Box::pin(async move { conversation.answer(request).await })
            };
            let poll_behind = |context: &mut Context<'_>| conversation.poll_behind(context);
            converse(far, (&who, wire), answer, poll_behind, None, stop).await;
        })
    };
    Through { client, server, serving, _stopper: stopper }
}

/// The head of a message, as far as the empty line.
async fn head(stream: &mut DuplexStream) -> String {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        octets.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(octets).unwrap()
}

fn post(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n")
}

fn post_http2(target: &str) -> Request<()> {
    Request::post(format!("https://{NAME}{target}")).body(()).unwrap()
}

async fn http2_client(stream: DuplexStream) -> h2::client::SendRequest<Bytes> {
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_59_minutes_is_answered_in_http_1_1() {
    let Through { mut client, mut server, _stopper, .. } = through(Version::HTTP_11).await;
    let began = Instant::now();
    client.write_all(post(PING).as_bytes()).await.unwrap();
    assert!(head(&mut server).await.starts_with("POST /Microsoft-Server-ActiveSync?Cmd=Ping HTTP/1.1\r\n"));
    tokio::time::sleep(seconds(3_540)).await;
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmail").await.unwrap();
    let answer = head(&mut client).await;
    let mut body = [0; 4];
    client.read_exact(&mut body).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && &body == b"mail", "{answer}");
    assert_eq!(began.elapsed(), seconds(3_540));
    // The next one goes over the same connections.
    client.write_all(post(PING).as_bytes()).await.unwrap();
    assert!(head(&mut server).await.contains("Cmd=Ping"));
}

#[tokio::test(start_paused = true)]
async fn pings_of_59_minutes_are_answered_in_http_2() {
    let Through { client, mut server, _stopper, .. } = through(Version::HTTP_2).await;
    let mut sender = http2_client(client).await;
    let began = Instant::now();
    for _ in 0..2 {
        let (response, _) = sender.send_request(post_http2(PING), true).unwrap();
        let asked = head(&mut server).await;
        assert!(asked.starts_with("POST /Microsoft-Server-ActiveSync?Cmd=Ping HTTP/1.1\r\n"), "{asked}");
        tokio::time::sleep(seconds(3_540)).await;
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmail").await.unwrap();
        let mut answer = response.await.unwrap();
        assert_eq!(answer.body_mut().data().await.unwrap().unwrap(), "mail");
    }
    assert_eq!(began.elapsed(), seconds(7_080));
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_is_never_answered_is_cut_after_an_hour_on_both_sides() {
    let Through { mut client, mut server, serving, _stopper } = through(Version::HTTP_11).await;
    let began = Instant::now();
    client.write_all(post(PING).as_bytes()).await.unwrap();
    head(&mut server).await;
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "not an octet");
    assert_eq!((began.elapsed(), server.read(&mut [0]).await.unwrap()), (seconds(3_600), 0));
    serving.await.unwrap();
    let Through { client, mut server, _stopper, .. } = through(Version::HTTP_2).await;
    let mut sender = http2_client(client).await;
    let began = Instant::now();
    let (response, _) = sender.send_request(post_http2(PING), true).unwrap();
    head(&mut server).await;
    assert_eq!(response.await.unwrap_err().reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!((began.elapsed(), server.read(&mut [0]).await.unwrap()), (seconds(3_600), 0));
}

/// Sends numbered pieces, one each 15 seconds, each after the one before has been received.
async fn send_pieces(server: &mut DuplexStream, received: &mut mpsc::UnboundedReceiver<String>) {
    head(server).await;
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for number in 0..240 {
        tokio::time::sleep(seconds(15)).await;
        let sent = Instant::now();
        server.write_all(format!("6\r\nP{number:05}\r\n").as_bytes()).await.unwrap();
        assert_eq!(received.recv().await.unwrap(), format!("P{number:05}"));
        assert_eq!(sent.elapsed(), Duration::ZERO, "it lay somewhere");
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_of_mapi_arrive_as_they_are_sent_for_an_hour_and_silence_ends_them_after_three_minutes() {
    let Through { mut client, mut server, _stopper, .. } = through(Version::HTTP_11).await;
    let (told, mut received) = mpsc::unbounded_channel();
    client.write_all(post("/mapi/emsmdb/?MailboxId=x").as_bytes()).await.unwrap();
    let reading = tokio::spawn(async move {
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
        let mut chunk = [0; 11];
        while client.read_exact(&mut chunk).await.is_ok() {
            told.send(String::from_utf8(chunk[3..9].to_vec()).unwrap()).unwrap();
        }
    });
    send_pieces(&mut server, &mut received).await;
    let last = Instant::now();
    reading.await.unwrap();
    assert_eq!((last.elapsed(), server.read(&mut [0]).await.unwrap()), (seconds(180), 0));
}

#[tokio::test(start_paused = true)]
async fn pieces_of_a_notification_arrive_as_they_are_sent_in_http_2() {
    let Through { client, mut server, _stopper, .. } = through(Version::HTTP_2).await;
    let mut sender = http2_client(client).await;
    let (told, mut received) = mpsc::unbounded_channel();
    let target = "/owa/ev.owa2?ns=PendingRequest&ev=PendingNotificationRequest";
    let (response, _) = sender.send_request(post_http2(target), true).unwrap();
    let reading = tokio::spawn(async move {
        let mut body = response.await.unwrap().into_body();
        while let Some(Ok(piece)) = body.data().await {
            body.flow_control().release_capacity(piece.len()).unwrap();
            told.send(String::from_utf8(piece.to_vec()).unwrap()).unwrap();
        }
    });
    send_pieces(&mut server, &mut received).await;
    let last = Instant::now();
    reading.await.unwrap();
    assert_eq!((last.elapsed(), server.read(&mut [0]).await.unwrap()), (seconds(300), 0));
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_leaves_during_a_ping_takes_the_connection_behind_with_it() {
    let Through { mut client, mut server, serving, _stopper } = through(Version::HTTP_11).await;
    client.write_all(post(PING).as_bytes()).await.unwrap();
    head(&mut server).await;
    tokio::time::sleep(seconds(600)).await;
    let left = Instant::now();
    drop(client);
    assert_eq!((server.read(&mut [0]).await.unwrap(), left.elapsed()), (0, Duration::ZERO));
    serving.await.unwrap();
    // In HTTP/2 by the end of the stream, while the connection goes on.
    let Through { client, mut server, _stopper, .. } = through(Version::HTTP_2).await;
    let sender = http2_client(client).await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut stream) = sender.send_request(post_http2(PING), false).unwrap();
    stream.send_data(Bytes::new(), true).unwrap();
    head(&mut server).await;
    let mut end_of_body = [0; 5];
    server.read_exact(&mut end_of_body).await.unwrap();
    tokio::time::sleep(seconds(600)).await;
    let left = Instant::now();
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert_eq!((server.read(&mut [0]).await.unwrap(), left.elapsed()), (0, Duration::ZERO));
    assert!(sender.ready().await.is_ok(), "the connection goes on");
}

#[tokio::test(start_paused = true)]
async fn an_upload_in_http_2_that_the_server_does_not_take_stops_at_the_window_of_its_stream() {
    const UPLOAD: usize = 8 * 1024 * 1024;
    let Through { client, mut server, _stopper, .. } = through(Version::HTTP_2).await;
    let mut sender = http2_client(client).await;
    let target = "/owa/service.svc?action=CreateAttachmentFromLocalFile";
    let (response, mut stream) = sender.send_request(post_http2(target), false).unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&sent);
    let uploading = tokio::spawn(async move {
        let mut left = UPLOAD;
        while left > 0 {
            stream.reserve_capacity(left.min(16_384));
            let room = poll_fn(|context| stream.poll_capacity(context)).await.unwrap().unwrap();
            let part = room.min(left);
            left -= part;
            stream.send_data(vec![b'x'; part].into(), left == 0).unwrap();
            counting.fetch_add(part, Ordering::Relaxed);
        }
    });
    head(&mut server).await;
    tokio::time::sleep(seconds(60)).await;
    let stopped = sent.load(Ordering::Relaxed);
    // What waits is in the window, in the buffer towards the server, and in the pipe to it.
    let bound = STREAM_WINDOW_OCTETS as usize + BEHIND_BUFFER_OCTETS_MAX + 64 * 1024;
    assert!(stopped <= bound + 16_384, "{stopped} octets wait");
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(sent.load(Ordering::Relaxed), stopped, "it does not creep on");
    let mut taken = Vec::new();
    while !taken.ends_with(b"\r\n0\r\n\r\n") {
        server.read_buf(&mut taken).await.unwrap();
    }
    assert_eq!(taken.iter().filter(|octet| **octet == b'x').count(), UPLOAD);
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    uploading.await.unwrap();
}
