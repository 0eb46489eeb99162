use std::process::Command;

use crate::web::{Certificates, NAME, Web, start_node};

/// Runs curl against the edge for its name; what it printed.
async fn curl(web: &Web, roots: &std::path::Path, target: &str, arguments: &[&str]) -> String {
    let port = web.https().port();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--include", "--max-time", "60", "--cacert"])
        .arg(roots)
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .args(arguments)
        .arg(format!("https://{NAME}:{port}{target}"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("needs curl: apt-get install curl");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_gets_pages_uploads_and_refusals() {
    let certificates = Certificates::new();
    let exchange = pc_testkit::Exchange::start(certificates.server()).await.unwrap();
    let node = start_node(&certificates, &[exchange.address], "", "").await;
    let roots = certificates.roots.clone();
    let web = Web::from_parts(exchange, node, certificates);
    let shown = curl(&web, &roots, "/owa/leaky", &["--head"]).await.to_lowercase();
    assert!(shown.starts_with("http/1.1 200"), "{shown}");
    for leak in ["server:", "x-powered-by", "ex01", "ex02", "15.2."] {
        assert!(!shown.contains(leak), "{leak}: {shown}");
    }
    assert_eq!(shown.matches("strict-transport-security: max-age=31536000").count(), 1);
    let upload = web.folder().join("upload");
    std::fs::write(&upload, vec![b'x'; 5 * 1024 * 1024]).unwrap();
    let data = format!("@{}", upload.display());
    let shown = curl(&web, &roots, "/ews/expect", &["--data-binary", &data]).await;
    assert!(shown.contains("HTTP/1.1 100") && shown.ends_with("5242880"), "{shown}");
    let shown = curl(&web, &roots, "/owa/x", &["--http1.0"]).await;
    assert!(shown.contains("body of 0 octets"), "{shown}");
    let shown = curl(&web, &roots, "/owa/x", &["--header", "Host:"]).await;
    assert!(shown.contains("curl: (") && !shown.contains("HTTP/"), "closed without an octet: {shown}");
    web.node.finish().await;
}
