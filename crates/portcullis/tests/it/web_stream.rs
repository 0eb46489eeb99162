//! Bodies in motion, logins that stick to a connection, servers that come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pc_testkit::{Exchange, WebClient};

use crate::support::{Node, Simulated, free_port, until};
use crate::web::{Certificates, NAME, Web, get, server_tls, start_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_chunk_reaches_the_client_before_the_next_is_sent() {
    let web = Web::start().await;
    let feed = web.exchange.feed();
    let mut client = web.client().await;
    client
        .write(
            format!("POST /mapi/emsmdb HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 4\r\n\r\nBODY").as_bytes(),
        )
        .await
        .unwrap();
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.values("X-PendingPeriod")), (200, vec!["15000"]));
    for text in ["PROCESSING\r\n", "PENDING\r\n", "PENDING\r\n", "DONE\r\n"] {
        feed.send(text.as_bytes().to_vec()).unwrap();
        assert_eq!(client.chunk().await.unwrap().unwrap(), text.as_bytes());
    }
    drop(feed);
    assert_eq!(client.chunk().await.unwrap(), None);
    assert_eq!(client.ask(&get("/owa/x")).await.unwrap().status, 200, "the connection goes on");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phones_ping_waits_for_its_answer_and_both_connections_end_when_the_phone_leaves() {
    let web = Web::start().await;
    let ping = format!(
        "POST /Microsoft-Server-ActiveSync?Cmd=Ping HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n"
    );
    let feed = web.exchange.feed();
    let mut phone = web.client().await;
    phone.write(ping.as_bytes()).await.unwrap();
    web.exchange.wait_for_requests(1).await;
    feed.send(b"mail".to_vec()).unwrap();
    drop(feed);
    assert_eq!(phone.response("POST").await.unwrap().text(), "mail");
    let feed = web.exchange.feed();
    phone.write(ping.as_bytes()).await.unwrap();
    web.exchange.wait_for_requests(2).await;
    drop(phone);
    // The server sees the end only when it writes.
    until("the end behind", || feed.send(b"x".to_vec()).is_err());
    web.exchange.wait_for_closed(1).await;
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_rpc_channel_of_a_gigabyte_is_passed_on_as_it_comes() {
    let web = Web::start().await;
    let mut client = web.client().await;
    let head = format!(
        "RPC_IN_DATA /rpc/rpcproxy.dll?ex01:6001 HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1073741824\r\n\r\n"
    );
    client.write(head.as_bytes()).await.unwrap();
    let part = vec![0; 1024 * 1024];
    for sent in 1..=8 {
        client.write(&part).await.unwrap();
        // All of it has arrived while the client holds the rest back: nothing waits in between.
        web.exchange.wait_for_upload(sent * 1024 * 1024).await;
        assert_eq!(web.exchange.uploaded(), sent * 1024 * 1024);
    }
    let request = &web.exchange.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.values("Content-Length")),
        ("RPC_IN_DATA", vec!["1073741824"])
    );
    drop(client);
    web.exchange.wait_for_closed(1).await;
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_the_server_does_not_take_is_held_back_at_the_client() {
    const UPLOAD: u64 = 256 * 1024 * 1024;
    let web = Web::start().await;
    web.exchange.read_bodies(false);
    let mut client = web.client().await;
    let written = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        let head = format!(
            "RPC_IN_DATA /rpc/rpcproxy.dll?ex01:6001 HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {UPLOAD}\r\n\r\n"
        );
        client.write(head.as_bytes()).await.unwrap();
        let part = vec![0; 64 * 1024];
        while counting.load(Ordering::Relaxed) < UPLOAD && client.write(&part).await.is_ok() {
            counting.fetch_add(64 * 1024, Ordering::Relaxed);
        }
    });
    web.exchange.wait_for_requests(1).await;
    // It stands still when it has not moved for twenty looks.
    let (mut looks, mut before) = (0, u64::MAX);
    tokio::task::block_in_place(|| {
        until("a standstill", || {
            let now = written.load(Ordering::Relaxed);
            looks = if now == before { looks + 1 } else { 0 };
            before = now;
            looks == 20
        });
    });
    // The sockets of the kernel on both sides take some 20 MiB.
    assert!(before < UPLOAD / 4, "{before} octets are held somewhere");
    assert_eq!(web.exchange.uploaded(), 0);
    writing.abort();
    web.exchange.read_bodies(true);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_upload_stays_chunked() {
    let web = Web::start().await;
    let request = format!(
        "POST /ews/x HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
    );
    let echo = web.ask(&request).await.text();
    assert!(echo.contains("body of 8 octets") && !echo.contains("Content-Length"), "{echo}");
    web.node.finish().await;
}

fn expecting(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: {NAME}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_expects_100_hears_the_servers_word() {
    let web = Web::start().await;
    let mut client = web.client().await;
    client.write(expecting("/ews/expect").as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 100);
    assert_eq!(web.exchange.uploaded(), 0);
    client.write(b"hello").await.unwrap();
    assert_eq!(client.response("POST").await.unwrap().text(), "5");
    let mut client = web.client().await;
    client.write(expecting("/ews/expect-refused").as_bytes()).await.unwrap();
    let refused = client.response("POST").await.unwrap();
    assert_eq!(
        (refused.status, refused.values("Connection")),
        (401, vec!["close"]),
        "before any octet of the body"
    );
    let mut client = web.client().await;
    client.write(expecting("/ews/expect-silent").as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 100, "ours, since the server says nothing");
    client.write(b"hello").await.unwrap();
    assert_eq!(client.response("POST").await.unwrap().text(), "5");
    let other = expecting("/ews/expect").replace("100-continue", "x");
    assert_eq!(web.ask(&other).await.status, 417);
    web.node.finish().await;
}

/// One client of the interleaving, and who it is logged in as.
struct User {
    client: WebClient,
    logged_in: Option<String>,
}

impl User {
    async fn ask(&mut self, authorization: &str) -> pc_testkit::WebResponse {
        let request =
            format!("POST /ews/login HTTP/1.1\r\nHost: {NAME}\r\n{authorization}Content-Length: 0\r\n\r\n");
        self.client.ask(&request).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_on_their_own_connections_never_see_each_other() {
    let web = Web::start().await;
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(User { client: web.client().await, logged_in: None });
    }
    // Challenges that were given and not answered yet, so that legs of several logins interleave.
    let mut challenges: Vec<Option<String>> = vec![None; users.len()];
    let mut state = 20_261_125_u64;
    for step in 0..10_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (number, action) = ((state >> 33) as usize % users.len(), (state >> 45) % 3);
        let user = &mut users[number];
        match (action, challenges[number].take()) {
            (0, None) => {
                let answer = user.ask("Authorization: NTLM TlRMTVNTUAAB\r\n").await;
                let offer = answer.values("WWW-Authenticate")[0].to_owned();
                challenges[number] = Some(offer.strip_prefix("NTLM ").unwrap().to_owned());
                user.logged_in = None;
            }
            (_, Some(challenge)) => {
                let name = format!("user{number}-{step}");
                let token = format!("Authorization: NTLM TlRMTVNTUAAD.{name}.{challenge}\r\n");
                let answer = user.ask(&token).await;
                assert_eq!((answer.status, answer.text()), (200, name.clone()), "step {step}");
                user.logged_in = Some(name);
            }
            (_, None) => {
                let answer = user.ask("").await;
                let seen = (answer.status == 200).then(|| answer.text());
                assert_eq!(seen, user.logged_in, "step {step}, connection {number}");
            }
        }
    }
    let logins = web.exchange.requests();
    let connections: std::collections::BTreeSet<usize> =
        logins.iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), users.len(), "one connection behind for each client");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_503_and_another_takes_over_before_any_octet_was_sent() {
    let certificates = Certificates::new();
    let nobody: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let node = start_node(&certificates, &[nobody], "", "").await;
    let ask = async |node: &Simulated| {
        let address = node.running.web_addresses.https[0];
        let mut client = WebClient::connect_in_tls(address, &certificates.client(), NAME).await.unwrap();
        client.ask(&get("/owa/x")).await.unwrap()
    };
    let answer = ask(&node).await;
    assert_eq!((answer.status, answer.values("Retry-After")), (503, vec!["30"]));
    assert!(answer.text().contains("try again"), "{}", answer.text());
    node.finish().await;
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let node = start_node(&certificates, &[nobody, exchange.address], "", "").await;
    for _ in 0..4 {
        assert_eq!(ask(&node).await.status, 200);
    }
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_certificate_gets_no_request() {
    let certificates = Certificates::new();
    // Trusted, but for another name.
    let impostor = Exchange::start(server_tls(&certificates.other)).await.unwrap();
    let node = start_node(&certificates, &[impostor.address], "", "").await;
    let address = node.running.web_addresses.https[0];
    let mut client = WebClient::connect_in_tls(address, &certificates.client(), NAME).await.unwrap();
    let answer = client.ask(&get("/owa/x")).await.unwrap();
    assert_eq!(answer.status, 502);
    assert!(impostor.requests().is_empty());
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_counts_for_each_protocol_and_connections_are_shared_among_the_healthy() {
    let certificates = Certificates::new();
    let first = Exchange::start(certificates.server()).await.unwrap();
    let second = Exchange::start(certificates.server()).await.unwrap();
    first.set_health("owa", 503);
    let node = start_node(&certificates, &[first.address, second.address], "", "").await;
    first.wait_for_health_checks("rpc", 2).await;
    second.wait_for_health_checks("rpc", 2).await;
    let address = node.running.web_addresses.https[0];
    let mut clients = Vec::new();
    for target in ["/owa/x", "/owa/x", "/owa/x", "/ews/x", "/ews/x", "/ews/x"] {
        let mut client = WebClient::connect_in_tls(address, &certificates.client(), NAME).await.unwrap();
        assert_eq!(client.ask(&get(target)).await.unwrap().status, 200);
        clients.push(client);
    }
    let of = |exchange: &Exchange, target: &str| {
        exchange.requests().iter().filter(|request| request.target == target).count()
    };
    assert_eq!((of(&first, "/owa/x"), of(&second, "/owa/x")), (0, 3));
    assert_eq!((of(&first, "/ews/x"), of(&second, "/ews/x")), (3, 0), "it has fewer connections");
    let sites = node.running.web.as_ref().unwrap().listed();
    let host = &sites[0].hosts[0];
    assert!(
        host.directories.contains(&("owa", "down")) && host.directories.contains(&("ews", "up")),
        "{host:?}"
    );
    assert_eq!(host.channel_binding, Some("partial"), "clients of the other name see another certificate");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_parsers_could_read_in_two_ways_is_refused_and_nothing_goes_on() {
    let web = Web::start().await;
    let post =
        |fields: &str, body: &str| format!("POST /ews/x HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n{body}");
    for (request, status) in [
        (format!("GET /owa/x HTTP/1.1\nHost: {NAME}\r\n\r\n"), 400),
        (format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\n\r\n"), 400),
        (format!("\r\nGET /owa/x HTTP/1.1\r\nHost: {NAME}\r\n\r\n"), 400),
        (format!("GET /owa/x#y HTTP/1.1\r\nHost: {NAME}\r\n\r\n"), 400),
        (format!("GET /owa\\x HTTP/1.1\r\nHost: {NAME}\r\n\r\n"), 400),
        (format!("GET /owa/<x> HTTP/1.1\r\nHost: {NAME}\r\n\r\n"), 400),
        (format!("GET /owa/x HTTP/1.2\r\nHost: {NAME}\r\n\r\n"), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        (format!("GET /{} HTTP/1.1\r\nHost: {NAME}\r\n\r\n", "a".repeat(9_000)), 414),
        (format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\n{}\r\n", "X: y\r\n".repeat(101)), 431),
        (format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\nX: {}\r\n\r\n", "a".repeat(70_000)), 431),
        (format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1\r\n\r\nx"), 400),
        (post("Content-Length: 001\r\n", "x"), 400),
        (post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), 400),
        (post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n\r\n"), 400),
        (post("X : y\r\nContent-Length: 0\r\n", ""), 400),
        (post("X: y\r\n z\r\nContent-Length: 0\r\n", ""), 400),
    ] {
        let answer = web.raw(&request).await;
        let shown: String = request.chars().take(90).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer: {shown:?}");
        assert!(
            answer.contains("Strict-Transport-Security: ") && answer.contains("Connection: close"),
            "{answer}"
        );
    }
    assert!(web.exchange.requests().is_empty());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_in_a_target_or_a_field_the_answer_is_ours_or_exchanges() {
    let web = Web::start().await;
    for octet in (1..=0x7e).map(char::from).filter(|octet| !matches!(octet, '\r' | '\n')) {
        for request in [
            format!("GET /owa/a{octet}b HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"),
            format!("GET /owa/ab?{octet} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"),
            format!("GET /owa/ab HTTP/1.1\r\nHost: {NAME}\r\nX{octet}: y\r\nConnection: close\r\n\r\n"),
            format!("GET /owa/ab HTTP/1.1\r\nHost: {NAME}\r\nX: y{octet}z\r\nConnection: close\r\n\r\n"),
        ] {
            let answer = web.raw(&request).await.to_lowercase();
            let hsts = answer.matches("strict-transport-security: ").count();
            assert_eq!(
                (answer.matches("http/1.1 ").count() >= 1, hsts),
                (true, 1),
                "{request:?}: {answer:?}"
            );
        }
    }
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_in_its_framing_ends_both_connections() {
    let web = Web::start().await;
    let mut client = web.client().await;
    let head =
        format!("POST /ews/x HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.write(head.as_bytes()).await.unwrap();
    web.exchange.wait_for_upload(3).await;
    client.write(b"3\nabc\r\n0\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    web.exchange.wait_for_closed(1).await;
    assert_eq!(web.exchange.uploaded(), 3);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_end_finishes_the_request_under_way() {
    let web = Web::start().await;
    let feed = web.exchange.feed();
    let mut client = web.client().await;
    client
        .write(format!("POST /mapi/emsmdb HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let idle = web.client().await;
    let ending = tokio::spawn(web.node.finish());
    let mut idle = idle;
    assert_eq!(idle.rest().await, b"", "a connection without a request is closed at once");
    feed.send(b"DONE".to_vec()).unwrap();
    drop(feed);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"DONE");
    assert_eq!(client.chunk().await.unwrap(), None);
    assert_eq!(client.rest().await, b"");
    ending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_node_logs_requests_shows_its_sites_and_takes_new_rules_at_a_signal() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let node = Node::start(&certificates.toml(&[exchange.address], "", ""));
    let ask = async |target: &str| {
        let address = node.https.unwrap();
        let mut client = WebClient::connect_in_tls(address, &certificates.client(), NAME).await.unwrap();
        client.ask(&get(target)).await.unwrap().status
    };
    assert_eq!(ask("/owa/x?secret").await, 200);
    let log = || std::fs::read_to_string(node.folder.path().join("log")).unwrap();
    until("the line of the access log", || log().contains("code=\"forwarded\""));
    let text = log();
    let line = text.lines().find(|line| line.contains("code=\"forwarded\"")).unwrap();
    for part in [
        "address=127.0.0.1",
        "tls=\"TLSv1.3\"",
        "client=\"t13",
        "path=/owa/x",
        "directory=\"owa\"",
        "status=200",
        &format!("host=\"{}\"", exchange.address),
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!text.contains("secret"), "queries may hold secrets");
    exchange.wait_for_health_checks("rpc", 1).await;
    let doctor = node.json(&["doctor"]);
    let sites: Vec<&str> = doctor
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["check"] == "site")
        .map(|check| check["text"].as_str().unwrap())
        .collect();
    assert!(sites.iter().any(|text| text.ends_with("answers")), "{doctor}");
    assert!(sites.iter().any(|text| text.contains("another certificate than clients see")), "{doctor}");
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(node.config(), format!("{config}open = [\"ews\"]\n")).unwrap();
    let told = std::process::Command::new("kill").args(["-HUP", &node.pid().to_string()]).status();
    assert!(told.unwrap().success());
    until("the reload", || log().contains("rules of [https]"));
    assert_eq!((ask("/owa/x").await, ask("/ews/x").await), (404, 200));
}
