//! `tls check` against our own listeners, an HTTPS server with HSTS under the standard, and OpenSSL servers that are
//! bad on purpose.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Node, certificate, free_port, receiver_tls, rsa_certificate, run, text, until};

/// The exit code and the answer.
fn check(arguments: &[&str]) -> (i32, Value) {
    let output = run(&[&["tls", "check", "--json"], arguments].concat());
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), answer)
}

fn finding<'a>(answer: &'a Value, practice: &str) -> &'a str {
    let items = answer["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["practice"] == practice);
    item.unwrap_or_else(|| panic!("{practice}: {answer:#}"))["finding"].as_str().unwrap()
}

#[test]
fn our_mail_listeners_meet_the_standard_and_hsts_has_no_meaning_there() {
    let folder = tempfile::tempdir().unwrap();
    let stream = |name: &str, protocol: &str, tls: &str| {
        format!(
            "[[stream]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
             [stream.upstream]\naddress = \"127.0.0.1:9\"\n"
        )
    };
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n{}{}{}",
        folder.path().join("maildir").display(),
        stream("imap", "imap", "starttls"),
        stream("pop3", "pop3", "starttls"),
        stream("imaps", "imap", "implicit"),
    ));
    let ca = node.certificate().display().to_string();
    let named = ["--server-name", "edge.example.org", "--ca-file", &ca];
    for (way, address) in
        [(Some("smtp"), node.smtp), (Some("imap"), node.stream("imap")), (Some("pop3"), node.stream("pop3"))]
    {
        let address = address.to_string();
        let way: Vec<&str> = way.iter().flat_map(|way| ["--starttls", way]).collect();
        let (code, answer) = check(&[&[address.as_str()], &named[..], &way].concat());
        assert_eq!((code, &answer["meets_standard"]), (0, &Value::Bool(true)), "{answer:#}");
        assert_eq!(answer["arithmetic"], "30 + 30 + 36 = 96", "{answer:#}");
        assert_eq!(answer["grade"], "A", "A+ needs HSTS: {answer:#}");
        assert_eq!(finding(&answer, "HSTS for 180 days or more"), "not applicable");
        assert_eq!(answer["suites"].as_array().unwrap().len(), 4, "the ECDSA half of the standard");
        assert_eq!(finding(&answer, "session resumption"), "pass", "{answer:#}");
    }
    let output = run(&[
        "tls",
        "check",
        &node.smtp.to_string(),
        "--starttls",
        "smtp",
        "--server-name",
        "other.example.org",
    ]);
    assert_eq!(output.status.code(), Some(1), "not trusted, and another name: {}", text(&output.stdout));
    assert!(text(&output.stdout).contains("grade  T"), "{}", text(&output.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_under_the_standard_with_hsts_is_an_a_plus() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "web.example.org");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(mut accepted) = tls.accept(stream, Duration::from_secs(10)).await else { return };
                let mut request = [0; 1024];
                if matches!(accepted.stream.read(&mut request).await, Ok(1..)) {
                    let answer = b"HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=31536000\r\n\r\n";
                    let _ = accepted.stream.write_all(answer).await;
                    let _ = accepted.stream.shutdown().await;
                }
            });
        }
    });
    let ca = files.chain.display().to_string();
    let asking = move || check(&[&address, "--server-name", "web.example.org", "--ca-file", &ca]);
    let (code, answer) = tokio::task::spawn_blocking(asking).await.unwrap();
    assert_eq!((code, &answer["grade"]), (0, &Value::from("A+")), "{answer:#}");
}

/// OpenSSL's server; stopped when dropped.
struct Server(Child, u16);

impl Server {
    fn start(chain: &Path, private: &Path, options: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"])
            .arg(chain)
            .arg("-key")
            .arg(private)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("needs openssl: apt-get install openssl");
        until("s_server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self(child, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_openssl_server_with_tls_1_0_and_cbc_and_a_self_signed_certificate_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["-www", "-min_protocol", "TLSv1", "-cipher", "ALL:@SECLEVEL=0"];
    let (chain, key) = (folder.path().join("bad.pem"), folder.path().join("bad.key"));
    rsa_certificate("bad.example.org", &chain, &key);
    let server = Server::start(&chain, &key, &options);
    let (code, answer) = check(&[&format!("127.0.0.1:{}", server.1), "--server-name", "bad.example.org"]);
    assert_eq!(code, 1);
    assert_eq!(answer["grade"], "T", "{answer:#}");
    assert_eq!(answer["arithmetic"], "28.5 + 27 + 36 = 91", "{answer:#}");
    for (version, want) in [
        ("SSL 3", "refused"),
        ("TLS 1.0", "accepted"),
        ("TLS 1.1", "accepted"),
        ("TLS 1.2", "accepted"),
        ("TLS 1.3", "accepted"),
    ] {
        assert_eq!(answer["versions"][version], want, "{answer:#}");
    }
    for practice in
        ["TLS 1.2 and 1.3 only", "secure suites", "a trusted issuer", "forward secrecy with every suite"]
    {
        assert_eq!(finding(&answer, practice), "fail", "{practice}: {answer:#}");
    }
    let suites: Vec<&str> =
        answer["suites"].as_array().unwrap().iter().map(|suite| suite["name"].as_str().unwrap()).collect();
    assert!(suites.contains(&"RSA_WITH_AES_128_CBC_SHA"), "{suites:?}");
    assert_eq!(finding(&answer, "the server chooses the suite"), "fail", "OpenSSL takes the client's order");
}

#[test]
fn an_openssl_server_with_tls_1_2_alone_is_an_a_minus_where_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "-www",
        "-tls1_2",
        "-serverpref",
        "-cipher",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
    ];
    let files = certificate(folder.path(), "bad.example.org");
    let server = Server::start(&files.chain, &files.key, &options);
    let ca = files.chain.display().to_string();
    let (code, answer) =
        check(&[&format!("127.0.0.1:{}", server.1), "--server-name", "bad.example.org", "--ca-file", &ca]);
    assert_eq!(answer["grade"], "A-", "{answer:#}");
    assert_eq!(code, 1, "HSTS was not seen: {answer:#}");
    let (code, answer) =
        check(&[&format!("127.0.0.1:{}", server.1), "--server-name", "other.example.org", "--ca-file", &ca]);
    assert_eq!((code, &answer["grade"]), (1, &Value::from("M")), "{answer:#}");
}

#[test]
fn nobody_there_and_a_wrong_place_are_told_apart() {
    let output = run(&["tls", "check", &format!("127.0.0.1:{}", free_port())]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = run(&["tls", "check", "mail.example.org"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
