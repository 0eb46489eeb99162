//! Attestations signed by Python and OpenSSL, and posted by curl over both versions of HTTP.

use std::io::Write;
use std::process::{Command, Stdio};

use pc_types::base64;

use crate::attestation::{Fields, KEY_TEXT, PATH, canonical, fields, start};
use crate::web::{NAME, Web};

/// What a program makes of the text it reads.
fn piped(program: &str, arguments: &[&str], text: &str) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("needs {program}: {error}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn by_openssl(fields: &Fields) -> String {
    base64(&piped("openssl", &["dgst", "-sha256", "-hmac", KEY_TEXT, "-binary"], &canonical(fields)))
}

/// Builds the text from the fields by itself.
fn by_python(fields: &Fields) -> String {
    let script = "import sys, json, hmac, base64\nf = json.load(sys.stdin)\n\
                  text = ''.join(f[n] + '\\n' for n in ['format', 'tenant', 'host', 'build', 'time', 'nonce'])\n\
                  sys.stdout.write(base64.b64encode(hmac.new(sys.argv[1].encode(), text.encode(), 'sha256').digest()).decode())\n";
    let fields = serde_json::to_string(fields).unwrap();
    String::from_utf8(piped("python3", &["-c", script, KEY_TEXT], &fields)).unwrap()
}

async fn curl(web: &Web, version: &str, fields: &Fields, signature: String) -> String {
    let mut fields = fields.clone();
    fields.insert("signature", signature);
    let port = web.https().port();
    let roots = web.folder().join("roots.pem");
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            version,
            "--write-out",
            " %{http_version} %{http_code}",
            "--cacert",
        ])
        .arg(roots)
        .args([
            "--resolve",
            &format!("{NAME}:{port}:127.0.0.1"),
            "--header",
            "Content-Type: application/json",
        ])
        .args(["--data-binary", &serde_json::to_string(&fields).unwrap()])
        .arg(format!("https://{NAME}:{port}{PATH}"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("needs curl: apt-get install curl");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_python_and_openssl_sign_is_taken_from_curl_by_both_versions_of_http() {
    let (web, _key) = start("http2 = true\n").await;
    let one = fields("ex01.example.net", "15.1.2507.39", "2026-11-25T12:00:00Z");
    assert_eq!(by_openssl(&one), by_python(&one));
    let shown = curl(&web, "--http1.1", &one, by_python(&one)).await;
    assert!(shown.ends_with(" 1.1 200") && shown.contains("15.1.2507.39"), "{shown}");
    let two = fields("ex02.example.net", "15.2.2562.56", "2026-11-25T12:00:00Z");
    let shown = curl(&web, "--http2", &two, by_openssl(&two)).await;
    assert!(shown.ends_with(" 2 200"), "{shown}");
    let shown = curl(&web, "--http2", &two, by_openssl(&one)).await;
    assert!(shown.ends_with(" 2 401") && shown.contains("unproven"), "{shown}");
    let mut large = two.clone();
    large.insert("tenant", "x".repeat(5_000));
    let shown = curl(&web, "--http2", &large, by_openssl(&large)).await;
    assert!(shown.ends_with(" 2 413") && shown.contains("too_large"), "{shown}");
    web.node.finish().await;
}
