//! The admin pages, and the page for clients, in a real browser.

use std::process::Command;

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_2016, Node, Simulated, message, text, until};
use crate::web::{NAME, Web};

fn dom(node: &Node, path: &str) -> String {
    dom_at(node.admin, path)
}

fn dom_at(admin: std::net::SocketAddr, path: &str) -> String {
    dom_of(&format!("http://{admin}{path}"), &[])
}

fn dom_of(url: &str, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(url)
        .output()
        .expect("needs chromium: apt-get install chromium");
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_and_a_servers_page_show_what_it_is_and_what_comes() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n\
         [enforcement]\nopen_sightings = 1\nopen_hours = 0\n",
        receiver.address
    ));
    let mut client = node.client().await;
    let hostile = CHAIN_2016.replace("(10.0.0.5) by", "(<script>alert(1)</script>) by");
    for chain in [CHAIN_2016, &hostile] {
        client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    }
    let id = node.json(&["servers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let list = dom(&node, "/servers");
    assert!(list.contains("mail.example.net") && list.contains("15.1.2507.31"), "{list}");
    let page = dom(&node, &format!("/servers/{id}"));
    assert!(page.contains("<svg") && page.contains("15.1.2507.31"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("CVE-"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_searched_for_and_its_way_is_shown_step_by_step() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    ));
    let mut client = node.client().await;
    client.send("a@example.net", &["b@EXAMPLE.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    let rows = node.json(&["trace", "--from", "@Example.NET", "--to", "example.org", "--outcome", "taken"]);
    assert_eq!(rows[0]["recipients"][0]["forward_path"], "b@example.org", "{rows}");
    let id = rows[0]["id"].as_str().unwrap();
    let timeline = text(&node.command(&["trace", "--id", id]).stdout);
    let order = [
        "connect",
        "tls",
        "greeting",
        "mail",
        "rcpt",
        "data",
        "end_of_data",
        "evidence",
        "hand_over",
        "upstream",
        "reply",
    ];
    let mut rest = timeline.split_once("WHAT WAS SAID").expect("steps").1;
    for step in order {
        rest = rest.split_once(&format!(" {step} ")).unwrap_or_else(|| panic!("{step}: {timeline}")).1;
    }
    assert!(timeline.contains("EHLO mail.example.net") && timeline.contains("TLSv1.3"), "{timeline}");
    let before = rows[0]["cursor"].as_str().unwrap();
    assert!(text(&node.command(&["trace", "--before", before]).stdout).contains("No transaction fits"));
    let mut silent = node.client().await;
    silent.command("QUIT").await.unwrap();
    // The row follows after the 221; the bound only ends a hang.
    let started = std::time::Instant::now();
    let rows = loop {
        let rows = node.json(&["trace", "--outcome", "no_mail"]);
        if rows[0].is_object() {
            break rows;
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "no row of the session");
    };
    assert_eq!(rows[0]["greeting"], "mail.example.net", "{rows}");
    let list = dom(&node, "/trace?from=example.net&outcome=taken&to=b%40example.org");
    assert!(list.contains(&format!("href=\"/trace/{id}\"")), "{list}");
    let page = dom(&node, &format!("/trace/{id}"));
    assert!(page.contains("<svg") && page.contains("taken by the server behind"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_sees_what_it_speaks_and_an_old_client_of_the_same_address() {
    let web = Web::start_with("[[https.client_test]]\naddress = \"127.0.0.1:0\"", "").await;
    let hello = format!("{}/../pc-tls/corpus/client_hello/openssl3-tls10.bin", env!("CARGO_MANIFEST_DIR"));
    let mut old =
        tokio::net::TcpStream::connect(web.node.running.web_addresses.client_test[0]).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut old, &std::fs::read(hello).unwrap()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut old, &mut answer).await;
    let url = format!("https://{NAME}:{}/.well-known/portcullis/client", web.https().port());
    let page = tokio::task::spawn_blocking(move || {
        dom_of(&url, &["--ignore-certificate-errors", &format!("--host-resolver-rules=MAP {NAME} 127.0.0.1")])
    });
    let page = page.await.unwrap();
    assert!(page.contains("This client is up to date") && page.contains("Chromium"), "{page}");
    assert!(page.contains("GREASE") && page.contains("TLS_AES_128_GCM_SHA256"), "{page}");
    assert!(page.contains("This client cannot connect") && page.contains("TLSv1.0 at most"), "{page}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_what_is_shown_and_leads_to_the_server() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let gate = Simulated::start(
        "2026-11-02T12:00:00Z",
        &format!(
            "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n[enforcement]\nopen_sightings = 1\nopen_hours = 0\n[notify]\n\
             operator = [\"operator@example.org\"]\n",
            receiver.address
        ),
    )
    .await;
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    gate.running.records.as_ref().unwrap().writer.flush().await;
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    until("a notice", || !gate.json(&["notices", "list"])[0].is_null());
    let id = gate.json(&["servers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let admin = gate.running.admin_address;
    let page = tokio::task::block_in_place(|| dom_at(admin, "/notices"));
    assert!(page.contains("it owes updates") && page.contains(&format!("href=\"/servers/{id}\"")), "{page}");
    assert!(page.contains("mail.example.net") && page.contains("waiting"), "{page}");
    gate.finish().await;
}
