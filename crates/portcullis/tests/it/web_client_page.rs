//! What clients are told about themselves, and what the operator is told about those that were refused.

use pc_testkit::WebClient;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::web::{NAME, Web, get};

const PAGE: &str = "/.well-known/portcullis/client";
const TEST_PORT: &str = "[[https.client_test]]\naddress = \"127.0.0.1:0\"";

/// A hello from the corpus of `pc-tls`.
fn hello(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../pc-tls/corpus/client_hello/{name}.bin", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

async fn page(web: &Web) -> Value {
    let request = format!("GET {PAGE} HTTP/1.1\r\nHost: {NAME}\r\nAccept: application/json\r\n\r\n");
    let response = web.ask(&request).await;
    assert_eq!((response.status, response.values("Content-Type")), (200, vec!["application/json"]));
    serde_json::from_slice(&response.body).unwrap()
}

/// Sends octets to the test port; what comes back until it closes.
async fn test(web: &Web, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(web.node.running.web_addresses.client_test[0]).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_sees_what_it_offered_and_what_came_of_it() {
    let web = Web::start().await;
    let page = page(&web).await;
    assert_eq!(page["verdict"]["fit"], "good", "{page}");
    assert_eq!(page["negotiated"]["version"], "TLSv1.3");
    assert_eq!(page["negotiated"]["group"], "x25519");
    assert_eq!(page["offered"]["server_name"], NAME);
    assert_eq!(page["offered"]["suites"][0]["name"], "TLS_AES_256_GCM_SHA384");
    assert_eq!(page["others_at_this_address"], Value::Array(Vec::new()));
    assert!(web.exchange.requests().is_empty(), "the edge answers itself");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_for_people_is_safe_and_is_for_reading_only() {
    let web = Web::start().await;
    let response = web.get(PAGE).await;
    assert_eq!(response.values("Content-Type"), ["text/html; charset=utf-8"]);
    assert_eq!(response.values("Cache-Control"), ["no-store"]);
    assert_eq!(response.values("Strict-Transport-Security").len(), 1);
    assert!(response.values("Content-Security-Policy")[0].starts_with("default-src 'none'"));
    assert!(response.text().contains("This client is up to date") && !response.text().contains("<script"));
    let head = web.ask(&format!("HEAD {PAGE} HTTP/1.1\r\nHost: {NAME}\r\n\r\n")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (method, target, status) in [
        ("POST", PAGE, 405),
        ("GET", "/.well-known/portcullis/", 404),
        ("GET", "/.well-known//portcullis/client", 404),
    ] {
        let response = web
            .ask(&format!("{method} {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n"))
            .await;
        assert_eq!(response.status, status, "{method} {target}");
    }
    assert!(web.exchange.requests().is_empty());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_refused_everywhere_is_seen_at_the_test_port_and_shown_to_its_owner() {
    let web = Web::start_with(TEST_PORT, "").await;
    assert_eq!(test(&web, &hello("openssl3-tls10")).await, [21, 3, 1, 0, 2, 2, 70]);
    assert_eq!(test(&web, &hello("ssl2")).await, [21, 3, 1, 0, 2, 2, 70]);
    assert_eq!(test(&web, &hello("chromium")).await, [21, 3, 3, 0, 2, 2, 49]);
    assert_eq!(test(&web, b"GET / HTTP/1.1\r\n\r\n").await, b"");
    let page = page(&web).await;
    let others = page["others_at_this_address"].as_array().unwrap();
    let mut seen: Vec<(&str, &str)> = others
        .iter()
        .map(|other| (other["refusal"].as_str().unwrap_or("fits"), other["verdict"]["fit"].as_str().unwrap()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [("fits", "good"), ("not_tls", "unknown"), ("old_version", "refused"), ("ssl_v2", "refused")],
        "{page:#}"
    );
    let html = web.get(PAGE).await.text();
    assert!(html.contains("TLSv1.0 at most") && html.contains("Others at your address"), "{html}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_offered_is_shown_to_nobody_else() {
    let web = Web::start_with(TEST_PORT, "").await;
    test(&web, &hello("openssl3-tls10")).await;
    // PROXY v2: TCP over IPv4, from 192.0.2.7:1000 to 192.0.2.1:443.
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x03\xe8\x01\xbb";
    let mut other = WebClient::connect_through(([127, 0, 0, 9].into(), header), web.https(), &web.tls, NAME)
        .await
        .unwrap();
    let html = other.ask(&get(PAGE)).await.unwrap().text();
    assert!(html.contains("192.0.2.7") && !html.contains("Others at your address"), "{html}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_finds_refused_clients_by_what_they_are_and_by_site() {
    let web = Web::start_with(TEST_PORT, "").await;
    let mut stream = TcpStream::connect(web.https()).await.unwrap();
    stream.write_all(&hello("openssl3-tls10")).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, [21, 3, 1, 0, 2, 2, 70], "refused at the listener of the sites as well");
    test(&web, &hello("chromium")).await;
    test(&web, &hello("openssl3-tls12-cbc-rsa")).await;
    let admin = web.node.running.admin_address;
    let ask = async |path: &str| -> Value {
        let mut client = WebClient::connect(admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n");
        let response = client.ask(&request).await.unwrap();
        serde_json::from_slice(&response.body).unwrap()
    };
    let refusals = async |query: &str| -> Vec<String> {
        let rows = ask(&format!("/api/v1/tls/clients?{query}")).await;
        let rows = rows.as_array().unwrap_or_else(|| panic!("{rows}")).clone();
        let mut words: Vec<String> =
            rows.iter().map(|row| row["refusal"].as_str().unwrap().to_owned()).collect();
        // The clock stands still, so that they came at once.
        words.sort();
        words
    };
    assert_eq!(refusals("").await, ["no_common_suite", "old_version"]);
    assert_eq!(refusals("fitting=yes").await.len(), 3);
    assert_eq!(refusals("version=TLSv1.0").await, ["old_version"]);
    assert_eq!(refusals("product=openssl&ip=127.0.0.0/8").await.len(), 2);
    assert_eq!(refusals("product=openssl%201.0.0").await, ["old_version"]);
    assert_eq!(refusals("ip=192.0.2.0/24").await, Vec::<String>::new());
    assert_eq!(refusals("since=2026-11-25&until=2026-11-25&suite=0x0035").await.len(), 2);
    assert!(ask("/api/v1/tls/clients?ip=x").await["message"].as_str().unwrap().contains("192.0.2.0/24"));
    let summary = ask("/api/v1/tls/summary").await;
    assert_eq!(summary["days"], 7);
    assert_eq!(summary["sites"][0]["attempts"], 2, "{summary:#}");
    assert_eq!(summary["sites"][0]["refusals"]["old_version"], 1);
    assert!(ask("/api/v1/tls/summary?days=0").await["message"].is_string());
    web.node.finish().await;
}
