//! The server behind: answers every request in TLS with a body of the length that its path names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pc_net::Clock;
use pc_tls::{CertificateFiles, CertificateStore, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A body that fits in one record.
pub const SMALL_OCTETS: usize = 1024;
/// An attachment.
pub const LARGE_OCTETS: usize = 10 * 1024 * 1024;
/// The path of the one, in a directory that every peer forwards.
pub const SMALL: &str = "/owa/small";
/// The path of the other.
pub const LARGE: &str = "/owa/large";

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_OCTETS_MAX: usize = 16 * 1024;

/// Whole answers.
struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
}

/// Serves until the process ends.
pub async fn start(certificate: &CertificateFiles) -> anyhow::Result<SocketAddr> {
    let store = CertificateStore::load(std::slice::from_ref(certificate), Clock::System.now())?;
    let tls = ServerTls::new("origin", &store)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answers = Arc::new(Answers { small: answer(SMALL_OCTETS), large: answer(LARGE_OCTETS) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, answers) = (tls.clone(), Arc::clone(&answers));
            // How a connection ends is the peer's matter, and its clients notice.
            tokio::spawn(async move { serve(stream, &tls, &answers).await });
        }
    });
    Ok(address)
}

fn answer(octets: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Type: application/octet-stream\r\nServer: \
         Microsoft-IIS/10.0\r\nX-Powered-By: ASP.NET\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nContent-Length: \
         {octets}\r\n\r\n"
    );
    let mut whole = head.into_bytes();
    whole.resize(whole.len() + octets, b'x');
    whole
}

async fn serve(stream: TcpStream, tls: &ServerTls, answers: &Answers) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let accepted = tls.accept(stream, HANDSHAKE_TIMEOUT).await.map_err(|(refusal, _)| refusal);
    let mut stream = accepted.ok().context("no handshake")?.stream;
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|octets| octets == b"\r\n\r\n") {
                break end + 4;
            }
            if read.len() > REQUEST_OCTETS_MAX {
                bail!("a request too long");
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let target = read.split(|octet| *octet == b' ').nth(1).unwrap_or_default();
        let answer = if target == LARGE.as_bytes() { &answers.large } else { &answers.small };
        stream.write_all(answer).await?;
        stream.flush().await?;
        read.drain(..end);
    }
}
