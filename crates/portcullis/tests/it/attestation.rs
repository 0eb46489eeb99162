//! What owners attest of their servers, through the edge and by hand, beside what mail shows.

use std::collections::BTreeMap;

use pc_testkit::{Client, WebClient, WebResponse};
use pc_types::{base64, from_base64, hmac_sha256};
use serde_json::Value;

use crate::support::{CHAIN_2016, message};
use crate::web::{NAME, Web};

pub const PATH: &str = "/.well-known/portcullis/attestation";
/// Octets that are letters, for programs that take keys as text.
pub const KEY_TEXT: &str = "0123456789abcdef0123456789abcdef";
const TIME: &str = "2026-11-25T12:00:00Z";

/// An edge with a tenant that has a key; its server connects from 127.0.0.1.
pub async fn start(site: &str) -> (Web, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, base64(KEY_TEXT.as_bytes())).unwrap();
    let sections = format!(
        "{site}[[tenant]]\nname = \"example\"\nattestation_key_file = \"{}\"\n[[tenant]]\nname = \"other\"\n\
         [[connector]]\nname = \"own\"\ntenant = \"example\"\naddresses = [\"127.0.0.1\"]\n",
        key.display()
    );
    (Web::start_with("", &sections).await, folder)
}

pub type Fields = BTreeMap<&'static str, String>;

pub fn fields(host: &str, build: &str, time: &str) -> Fields {
    let nonce = pc_types::hex(&pc_types::sha256(format!("{host}{build}{time}").as_bytes()));
    [
        ("format", pc_enforce::FORMAT),
        ("tenant", "example"),
        ("host", host),
        ("build", build),
        ("time", time),
        ("nonce", &nonce[..32]),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.to_owned()))
    .collect()
}

pub fn canonical(fields: &Fields) -> String {
    pc_enforce::FIELDS.iter().map(|name| format!("{}\n", fields[name])).collect()
}

fn signed(mut fields: Fields, key: &str) -> String {
    let code = hmac_sha256(key.as_bytes(), &[canonical(&fields).as_bytes()]);
    fields.insert("signature", base64(&code));
    serde_json::to_string(&fields).unwrap()
}

async fn posted(web: &Web, body: &str) -> WebResponse {
    let length = body.len();
    web.ask(&format!("POST {PATH} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {length}\r\n\r\n{body}")).await
}

/// Status and code of the answer.
async fn answered(web: &Web, body: &str) -> (u16, String) {
    let response = posted(web, body).await;
    let value: Value =
        serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()));
    (response.status, value["error"].as_str().unwrap_or_default().to_owned())
}

async fn mail(web: &Web, build: &str) {
    let (mut client, _) = Client::connect(web.node.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let text = message(&CHAIN_2016.replace("15.1.2507.31", build));
    let replies = client.send("a@example.net", &["b@example.org"], text.as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    web.node.running.records.as_ref().unwrap().writer.flush().await;
}

fn printed(web: &Web, arguments: &[&str]) -> String {
    let output = web.node.command(arguments);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn codes(shown: &Value) -> Vec<&str> {
    shown["events"].as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap()).collect()
}

async fn page(web: &Web, path: &str) -> String {
    let admin = web.node.running.admin_address;
    let mut client = WebClient::connect(admin).await.unwrap();
    client.ask(&format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n")).await.unwrap().text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contradiction_shows_everywhere_begins_and_ends_in_history_and_moves_nothing() {
    let (web, _key) = start("").await;
    mail(&web, "15.1.2507.31").await;
    let before = web.node.json(&["servers", "list"])[0].clone();
    let id = before["id"].as_str().unwrap().to_owned();
    assert_eq!((&before["tenant"], &before["attestation"]), (&"example".into(), &Value::Null));
    let response = posted(&web, &signed(fields("mail.example.net", "15.01.2507.039", TIME), KEY_TEXT)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.values("Content-Type"), ["application/json"]);
    let said = "contradicts: attested 15.1.2507.39, last mail showed 15.1.2507.31";
    let shown = web.node.json(&["servers", "show", &id]);
    let attested = &shown["server"]["attestation"];
    assert_eq!((&attested["state"], &attested["at"]), (&"contradicts".into(), &TIME.into()), "{attested}");
    assert!(attested["text"].as_str().unwrap().starts_with(said), "{attested}");
    web.node.running.records.as_ref().unwrap().writer.flush().await;
    assert_eq!(codes(&web.node.json(&["servers", "show", &id]))[0], "attestation_contradicted");
    let text = printed(&web, &["servers", "show", &id]);
    assert!(text.contains(said) && text.contains("see which server wrote the line"), "{text}");
    let html = page(&web, &format!("/servers/{id}")).await;
    assert!(html.contains("Attested by its owner") && html.contains(said), "{html}");
    let report: Value = serde_json::from_str(&page(&web, "/api/v1/report").await).unwrap();
    assert_eq!(report["servers"][0]["attestation"], *attested);
    assert!(printed(&web, &["report"]).contains(said));
    let text = printed(&web, &["attest", "list"]);
    assert!(text.contains("127.0.0.1") && text.contains(said), "{text}");
    for key in ["standing", "stage", "day", "sightings", "mode", "verdict", "build"] {
        assert_eq!(before[key], shown["server"][key], "{key}: an owner's word moves nothing");
    }
    mail(&web, "15.1.2507.39").await;
    web.node.running.attestor.look();
    web.node.running.records.as_ref().unwrap().writer.flush().await;
    let shown = web.node.json(&["servers", "show", &id]);
    assert_eq!(shown["server"]["attestation"]["state"], "agrees", "{shown}");
    assert!(codes(&shown).contains(&"attestation_settled"), "{shown}");
    assert_eq!(codes(&shown).iter().filter(|code| **code == "attestation_contradicted").count(), 1);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_proven_new_and_of_its_time_is_answered_with_its_status() {
    let (web, _key) = start("").await;
    let good = fields("ex01.example.net", "15.1.2507.39", TIME);
    let with = |name: &'static str, text: &str| {
        let mut fields = good.clone();
        fields.insert(name, text.to_owned());
        fields
    };
    let body = signed(good.clone(), KEY_TEXT);
    let other_key = "fedcba9876543210fedcba9876543210";
    for (body, want) in [
        (signed(good.clone(), other_key), (401, "unproven")),
        (signed(with("tenant", "other"), KEY_TEXT), (401, "unproven")),
        (signed(with("tenant", "nobody"), KEY_TEXT), (401, "unproven")),
        (body.replace("15.1.2507.39", "15.1.2507.55"), (401, "unproven")),
        (body.replace(TIME, "2026-11-25T12:00:01Z"), (401, "unproven")),
        (signed(with("time", "2026-11-25T11:49:00Z"), KEY_TEXT), (400, "stale")),
        (signed(with("time", "2026-11-25T12:11:00Z"), KEY_TEXT), (400, "future")),
        (body.replacen('{', "{\"more\":\"1\",", 1), (400, "bad_json")),
        (signed(with("build", "15"), KEY_TEXT), (400, "bad_field")),
        (" ".repeat(4_097), (413, "too_large")),
        (body.clone(), (200, "")),
        (body.clone(), (409, "replayed")),
    ] {
        assert_eq!(answered(&web, &body).await, (want.0, want.1.to_owned()), "{body:.200}");
    }
    let wrong = posted(&web, &signed(good.clone(), other_key)).await;
    let unknown = posted(&web, &signed(with("tenant", "nobody"), KEY_TEXT)).await;
    assert_eq!(wrong.text(), unknown.text(), "nobody learns which tenants there are");
    assert_eq!(web.get(PATH).await.status, 405);
    let list = web.node.json(&["attest", "list"]);
    assert_eq!((list.as_array().unwrap().len(), &list[0]["state"]), (1, &"fits no known server".into()));
    let mut last = (0, String::new());
    for _ in 0..60 {
        last = answered(&web, "{}").await;
    }
    assert_eq!(last, (429, "too_many".to_owned()));
    assert!(web.exchange.requests().is_empty(), "the edge answers itself");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_taken_in_by_hand_for_a_day_and_a_lost_key_is_told_to_the_operator_alone() {
    let (web, key) = start("").await;
    let file = key.path().join("attestation.json");
    let add = |body: String| {
        std::fs::write(&file, body).unwrap();
        printed(&web, &["attest", "add", file.to_str().unwrap()])
    };
    let body = signed(fields("ex01.example.net", "15.1.2507.39", "2026-11-24T13:00:00Z"), KEY_TEXT);
    assert_eq!(answered(&web, &body).await, (400, "stale".to_owned()), "by the web it is too old");
    let text = add(body.clone());
    assert!(text.contains("ex01.example.net") && text.contains("fits no known server"), "{text}");
    assert!(add(body).contains("is known already"));
    assert!(
        add(signed(fields("ex01.example.net", "15.1.2507.39", "2026-11-24T11:00:00Z"), KEY_TEXT))
            .contains("too far")
    );
    assert!(add("no".to_owned()).contains("attestation.json: "));
    let audit: Value = serde_json::from_str(&page(&web, "/api/v1/audit").await).unwrap();
    assert_eq!((&audit[0]["action"], &audit[0]["subject"]), (&"attest".into(), &"ex01.example.net".into()));
    std::fs::write(key.path().join("key"), "damaged").unwrap();
    let body = signed(fields("ex01.example.net", "15.1.2507.39", TIME), KEY_TEXT);
    assert_eq!(answered(&web, &body).await, (401, "unproven".to_owned()));
    let text = add(body);
    assert!(text.contains("attestation_key_file") && text.contains("portcullis attest key"), "{text}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_tenant_has_a_key_there_is_nothing() {
    let web = Web::start().await;
    assert_eq!(posted(&web, "{}").await.status, 404);
    web.node.finish().await;
}

#[test]
fn keys_and_the_script_are_printed() {
    let run = |word: &str| {
        let output =
            std::process::Command::new(crate::support::binary()).args(["attest", word]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, other) = (run("key"), run("key"));
    assert_eq!(from_base64(one.trim()).unwrap().len(), 32);
    assert_ne!(one, other);
    assert_eq!(run("script"), pc_enforce::SCRIPT);
}
