//! OWA in a real browser through the edge, in HTTP/1.1 and in HTTP/2.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use pc_http::disclosure::DISCLOSING;
use serde_json::{Value, json};

use crate::web::{NAME, Web};

const USER: &str = "EXAMPLE\\alice";
const PASSWORD: &str = "Sehr-geheim-1";
const PIECES: [&str; 3] = ["[{\"id\":\"NewMail\"}]", "[{\"id\":\"Alive\"}]", "[{\"id\":\"Last\"}]"];

/// What the browser saw; each piece of a notification is sent when the one before has reached the page.
async fn use_owa(web: &Web) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut feed = Some(web.exchange.feed());
    let mut child = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser_owa/owa.js"))
        .args([&web.https().port().to_string(), NAME, USER, PASSWORD])
        .env("NODE_PATH", format!("{root}/target/node/node_modules"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("needs node: apt-get install nodejs npm chromium");
    let (out, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let mut pieces = PIECES.iter();
    let mut send = move || match pieces.next() {
        Some(piece) => feed.as_ref().unwrap().send(piece.as_bytes().to_vec()).unwrap(),
        None => feed = None,
    };
    send();
    let talking = move || {
        let mut told = Vec::new();
        let mut last = Value::Null;
        for line in BufReader::new(out).lines() {
            last = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(piece) = last["piece"].as_str() {
                told.push(piece.to_owned());
                send();
            }
        }
        let mut why = String::new();
        errors.read_to_string(&mut why).unwrap();
        assert!(child.wait().unwrap().success(), "{why}");
        assert_eq!(told, PIECES, "each as it came");
        last
    };
    tokio::task::spawn_blocking(talking).await.unwrap()
}

fn check_answers(seen: &Value, policies: [&str; 2]) {
    let answers = seen["answers"].as_array().unwrap();
    assert!(answers.len() >= 12, "{answers:#?}");
    for answer in answers {
        let fields = answer["fields"].as_array().unwrap();
        let values = |name: &str| -> Vec<&str> {
            let named =
                fields.iter().filter(|field| field["name"].as_str().unwrap().eq_ignore_ascii_case(name));
            named.map(|field| field["value"].as_str().unwrap()).collect()
        };
        assert_eq!(values("strict-transport-security"), ["max-age=31536000"], "{answer}");
        for (leak, _) in DISCLOSING {
            assert_eq!(values(leak), Vec::<&str>::new(), "{answer}");
        }
        assert!(!values("location").iter().any(|value| value.contains("ex01")), "{answer}");
        if answer["status"] == 200 && values("content-type").iter().any(|kind| kind.starts_with("text/html"))
        {
            let is_sign_in = answer["url"].as_str().unwrap().contains("/auth/");
            let policy = policies[usize::from(!is_sign_in)];
            assert_eq!(values("content-security-policy"), [policy], "{answer}");
        }
    }
}

fn check_cookies(web: &Web, seen: &Value) {
    let cookies = seen["cookies"].as_array().unwrap();
    let of = |name: &str| {
        cookies.iter().find(|cookie| cookie["name"] == name).unwrap_or_else(|| panic!("{name}: {cookies:#?}"))
    };
    for name in [
        "cadata",
        "cadataTTL",
        "cadataKey",
        "cadataIV",
        "cadataSig",
        "X-OWA-CANARY",
        "UC",
        "ClientId",
        "X-BackEndCookie",
    ] {
        let cookie = of(name);
        let same_site = if name == "cadataSig" { "Strict" } else { "Lax" };
        assert_eq!((&cookie["secure"], &cookie["sameSite"]), (&json!(true), &json!(same_site)), "{cookie}");
    }
    assert_eq!(
        (&of("cadata")["value"], &of("cadataKey")["value"]),
        (&json!("k0+/w=="), &json!("a%2Bb")),
        "as Exchange wrote them"
    );
    assert_eq!((&of("cadata")["httpOnly"], &of("X-OWA-CANARY")["httpOnly"]), (&json!(true), &json!(false)));
    let requests = web.exchange.requests();
    let upload = requests.iter().find(|request| request.target.contains("CreateAttachment")).unwrap();
    assert_eq!(upload.values("Action"), ["CreateAttachmentFromLocalFile"]);
    assert_eq!(upload.values("X-OWA-CANARY"), ["kxL9-3Zw_0aQ.~x+="]);
    assert_eq!(upload.values("Content-Length"), ["5242880"]);
    assert!(
        upload.values("Cookie")[0].contains("cadata=k0+/w==") && upload.values("Cookie").len() == 1,
        "{upload:?}"
    );
    let left = seen["cookies_left"].as_array().unwrap();
    assert!(!left.iter().any(|name| name.as_str().unwrap().starts_with("cadata")), "{left:?}");
}

async fn owa_works(site: &str, protocol: &str) {
    let web = Web::start_with("", site).await;
    web.exchange.serve_owa(USER, PASSWORD);
    let seen = use_owa(&web).await;
    assert_eq!(seen["faults"], json!([]), "a browser has nothing to complain of");
    for (step, wanted) in [
        ("wrong_password", json!("Name or password is wrong.")),
        ("user", json!(USER)),
        ("sum", json!("42")),
        ("items", json!("One, Two")),
        ("listened", json!(200)),
        ("file", json!("a.bin")),
        ("web_socket", json!("error")),
        ("signed_out", json!("You are signed out.")),
        ("protocol", json!(protocol)),
    ] {
        assert_eq!(seen[step], wanted, "{step}");
    }
    assert!(seen["protocols"].as_array().unwrap().iter().all(|one| one == protocol), "{}", seen["protocols"]);
    check_answers(&seen, ["frame-ancestors 'self'", "frame-ancestors 'self'; script-src-attr 'none'"]);
    check_cookies(&web, &seen);
    for request in web.exchange.requests() {
        assert_eq!(request.values("Upgrade"), Vec::<&str>::new(), "{request:?}");
    }
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owa_works_in_chromium_in_http_1_1() {
    owa_works("", "http/1.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owa_works_in_chromium_in_http_2() {
    owa_works("http2 = true", "h2").await;
}
