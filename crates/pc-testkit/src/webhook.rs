//! A receiver of webhooks over https that answers what it is told to and keeps what it got.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_tls::ServerTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a receiver answers.
#[derive(Clone, Debug)]
pub enum WebhookAnswer {
    /// Nothing, with the connection open.
    Hang,
    /// Nothing, and the connection is closed.
    Close,
    /// A status with further field lines, each with its CRLF, and a body without end.
    Status(u16, String),
}

/// What a receiver got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Request line and fields.
    pub head: String,
    /// As it came.
    pub body: String,
}

impl WebhookRequest {
    /// The value of a field, empty without one.
    pub fn field(&self, name: &str) -> &str {
        let named = self.head.lines().filter_map(|line| line.split_once(": "));
        named
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }
}

/// The receiver. It ends with this value.
pub struct WebhookReceiver {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answers: Mutex<VecDeque<WebhookAnswer>>,
    requests: watch::Sender<Vec<WebhookRequest>>,
}

impl WebhookReceiver {
    /// Starts one that gives these answers in turn, and 204 after them.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(tls: ServerTls, answers: Vec<WebhookAnswer>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let requests = watch::Sender::new(Vec::new());
        let shared = Arc::new(Shared { answers: Mutex::new(answers.into()), requests });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), Arc::clone(&serving)));
            }
        });
        Ok(Self { address, shared, task })
    }

    /// All that came so far.
    pub fn requests(&self) -> Vec<WebhookRequest> {
        self.shared.requests.borrow().clone()
    }

    /// What came, once it is `count` requests; panics when they do not come within a minute.
    pub async fn wait_for(&self, count: usize) -> Vec<WebhookRequest> {
        let mut requests = self.shared.requests.subscribe();
        let coming = requests.wait_for(|requests| requests.len() >= count);
        match tokio::time::timeout(Duration::from_secs(60), coming).await {
            Ok(Ok(requests)) => requests.clone(),
            _ => panic!("{count} webhooks did not come, but {:?}", self.requests()),
        }
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, tls: ServerTls, shared: Arc<Shared>) {
    let Ok(accepted) = tls.accept(stream, Duration::from_secs(10)).await else { return };
    let mut stream = accepted.stream;
    let Ok(request) = read(&mut stream).await else { return };
    let answer = shared.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    shared.requests.send_modify(|requests| requests.push(request));
    let head = match answer {
        Some(WebhookAnswer::Hang) => return std::future::pending().await,
        Some(WebhookAnswer::Close) => return,
        Some(WebhookAnswer::Status(status, fields)) => format!("HTTP/1.1 {status} x\r\n{fields}\r\n"),
        None => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    };
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    // A client that waited for the end of the body would wait for ever.
    let piece = [b' '; 16 * 1024];
    while stream.write_all(&piece).await.is_ok() {}
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<WebhookRequest> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_OCTETS_MAX {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let request = WebhookRequest { head, body: String::new() };
    let length = request.field("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(WebhookRequest { body: String::from_utf8_lossy(&body).into_owned(), ..request })
}

const HEAD_OCTETS_MAX: usize = 16 * 1024;
