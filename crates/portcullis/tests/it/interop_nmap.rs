//! nmap's look for inner addresses finds that of an IIS asked without a Host, and none at the edge; its look for versions finds
//! nothing of what is behind. The script speaks plain HTTP only, so that at the port of https the versions are what it can tell.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::web::Web;

async fn nmap(arguments: &[&str], port: u16) -> String {
    let mut command = Command::new("nmap");
    command.args(["-Pn", "-n", "-p", &port.to_string()]).args(arguments).arg("127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("needs nmap: apt-get install nmap");
    String::from_utf8(output.stdout).unwrap()
}

// `+`: the port is no usual one.
const INNER_ADDRESSES: [&str; 2] = ["--script", "+http-internal-ip-disclosure"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nmap_finds_the_inner_address_of_iis_and_none_at_the_edge() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let leaky = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: https://10.0.0.5/owa/\r\n\r\n").await;
        }
    });
    let shown = nmap(&INNER_ADDRESSES, leaky).await;
    assert!(shown.contains("Internal IP Leaked: 10.0.0.5"), "the script works: {shown}");
    serving.abort();
    let web = Web::start().await;
    let shown = nmap(&INNER_ADDRESSES, web.http().port()).await;
    assert!(shown.contains("open") && !shown.contains("Leaked"), "{shown}");
    let shown =
        nmap(&["-sV", "--version-light", "--script", "http-title,http-server-header"], web.https().port())
            .await;
    for leak in ["IIS", "Microsoft", "Windows", "Exchange", "10.0.0.5", "EX01", "15.2."] {
        assert!(!shown.contains(leak), "{leak}: {shown}");
    }
    assert!(web.exchange.requests().is_empty(), "nothing of the scans reached Exchange");
    // As the script does, within TLS: Exchange tells its inner address, the edge says nothing.
    let mut direct = pc_testkit::WebClient::connect_in_tls(web.exchange.address, &web.tls, crate::web::NAME)
        .await
        .unwrap();
    direct.write(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(String::from_utf8(direct.rest().await).unwrap().contains("Location: https://10.0.0.5/"));
    assert_eq!(web.raw("GET / HTTP/1.0\r\n\r\n").await, "");
    web.node.finish().await;
}
