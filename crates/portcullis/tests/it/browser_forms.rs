//! The forms of the admin pages in a real browser, by keyboard alone.

use std::net::SocketAddr;
use std::process::Command;

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_2016, Simulated, message, text};

const PASSWORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_keyboard_one_signs_in_exempts_a_server_pauses_and_stops_the_ladder() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let hash = pc_web::hash_password(PASSWORD).unwrap();
    let gate = Simulated::start(
        "2026-02-05T12:00:00Z",
        &format!(
            "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n\
         [enforcement]\nopen_sightings = 1\nopen_hours = 0\n\
         [[admin.user]]\nname = \"auditor\"\npassword_hash = \"{hash}\"\n",
            receiver.address
        ),
    )
    .await;
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    let id = gate.json(&["servers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let admin = gate.running.admin_address;
    let seen = tokio::task::block_in_place(|| walk(admin, &id));
    for (step, wanted) in [
        ("wrong_password", "Name or password is wrong."),
        ("past", "until lies in the past"),
        ("exempt", "Exempt until 2099-02-01 00:00, nothing is held: moves to <b>Exchange SE</b>"),
        ("unexempt", "Stage 1, day 0"),
        ("paused", "running"),
        ("left", "7 of 90 days used or granted, 83 left"),
        ("over_budget", "83 of 90 days left"),
        ("stopped", "The ladder is stopped for everybody"),
        ("ended", "ended"),
    ] {
        assert!(seen[step].as_str().is_some_and(|text| text.contains(wanted)), "{step}: {seen:#}");
    }
    assert!(!seen["ended"].as_str().unwrap().contains("running"), "{seen:#}");
    let pauses = gate.json(&["pause", "list"]);
    assert!(pauses.as_array().unwrap().iter().all(|pause| pause["owner"] == "auditor"), "{pauses}");
    gate.finish().await;
}

/// What the browser saw, step by step. With `PORTCULLIS_PICTURES` set to a folder it takes pictures there.
fn walk(admin: SocketAddr, id: &str) -> serde_json::Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser_forms/pages.js"))
        .args([&format!("http://{admin}"), id, "auditor", PASSWORD])
        .arg(std::env::var("PORTCULLIS_PICTURES").unwrap_or_default())
        .env("NODE_PATH", format!("{root}/target/node/node_modules"))
        .output()
        .expect("needs node: apt-get install nodejs npm chromium");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
