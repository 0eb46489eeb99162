//! An https server with documents that behaves as badly as it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_tls::ServerTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Feed {
    /// A document.
    Document(Vec<u8>),
    /// Octets without end and without a length.
    Endless,
    /// The connection stays open and nothing comes.
    Hang,
    /// Another place.
    Redirect(String),
    /// A status without a document.
    Status(u16),
    /// A document with its entity tag: 304 for whoever has it.
    Tagged(Vec<u8>, String),
}

/// The server. It ends with this value.
pub struct FeedServer {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    feeds: Mutex<BTreeMap<String, Feed>>,
    asked: Mutex<Vec<String>>,
    spared: Mutex<Vec<String>>,
}

impl FeedServer {
    /// Starts it with the certificate of `tls`.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(tls: ServerTls) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { feeds: Mutex::default(), asked: Mutex::default(), spared: Mutex::default() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), Arc::clone(&serving)));
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Puts something at a path.
    pub fn publish(&self, path: &str, feed: Feed) {
        lock(&self.shared.feeds).insert(path.to_owned(), feed);
    }

    /// Paths so far whose document the client had.
    pub fn spared(&self) -> Vec<String> {
        lock(&self.shared.spared).clone()
    }

    /// Paths asked for so far.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, tls: ServerTls, shared: Arc<Shared>) {
    let Ok(accepted) = tls.accept(stream, Duration::from_secs(10)).await else { return };
    let mut stream = accepted.stream;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_OCTETS_MAX {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    lock(&shared.asked).push(path.clone());
    let feed = lock(&shared.feeds).get(&path).cloned();
    let answer = match feed {
        Some(Feed::Document(octets)) => {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", octets.len());
            [head.into_bytes(), octets].concat()
        }
        Some(Feed::Endless) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let piece = vec![b' '; 1024 * 1024];
            while stream.write_all(&piece).await.is_ok() {}
            return;
        }
        Some(Feed::Hang) => return std::future::pending().await,
        Some(Feed::Redirect(to)) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        }
        Some(Feed::Tagged(_, etag)) if has_tag(&head, &etag) => {
            lock(&shared.spared).push(path);
            format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\nConnection: close\r\n\r\n").into_bytes()
        }
        Some(Feed::Tagged(octets, etag)) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                octets.len()
            );
            [head.into_bytes(), octets].concat()
        }
        Some(Feed::Status(status)) => {
            format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").into_bytes()
        }
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    };
    // A client that went away is no matter.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

/// Whether the request says that it has the document with this tag.
fn has_tag(head: &str, etag: &str) -> bool {
    let fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let mut tags = fields.filter(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
    tags.any(|(_, value)| value == etag)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const HEAD_OCTETS_MAX: usize = 16 * 1024;
