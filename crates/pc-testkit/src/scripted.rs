use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Where a [`Scripted`] server makes trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the steps of a transaction")]
pub enum Step {
    Greeting,
    Ehlo,
    StartTls,
    Mail,
    Rcpt,
    Data,
    EndOfData,
}

/// What trouble it makes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Says nothing more, and keeps the connection.
    Hang,
    /// Answers with this line instead of its own, and goes on.
    Reply(&'static str),
    /// Closes without a word.
    Reset,
}

/// A receiving server in plain text that makes one kind of trouble at one step. It offers STARTTLS only where that is the
/// step, since it cannot do it.
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    trouble: Mutex<Option<(Step, Trouble)>>,
    connections: watch::Sender<usize>,
    messages: watch::Sender<usize>,
}

/// The connection is over.
struct Over;

impl Scripted {
    /// Starts it.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(trouble: Option<(Step, Trouble)>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            trouble: Mutex::new(trouble),
            connections: watch::Sender::new(0),
            messages: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Makes other trouble, or none, from the next step on.
    pub fn behave(&self, trouble: Option<(Step, Trouble)>) {
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Messages answered 2xx so far.
    pub fn count(&self) -> usize {
        *self.shared.messages.borrow()
    }

    /// Returns when `count` connections were taken in all.
    pub async fn wait_for_connections(&self, count: usize) {
        // The sender lives as long as `self`.
        let _ = self.shared.connections.subscribe().wait_for(|taken| *taken >= count).await;
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.send_modify(|count| *count += 1);
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    // Only the end matters here; the peer sees it too.
    let _ = converse(&mut stream, &shared).await;
}

async fn converse(stream: &mut BufReader<TcpStream>, shared: &Shared) -> Result<(), Over> {
    shared.answer(stream, Step::Greeting, "220 scripted.example.org").await?;
    loop {
        let line = read_line(stream).await?;
        let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let offers_tls = shared.trouble().is_some_and(|(step, _)| step == Step::StartTls);
                let offer =
                    if offers_tls { "250-scripted\r\n250 STARTTLS" } else { "250-scripted\r\n250 8BITMIME" };
                shared.answer(stream, Step::Ehlo, offer).await?;
            }
            "STARTTLS" => shared.answer(stream, Step::StartTls, "454 4.7.0 no TLS").await?,
            "MAIL" => shared.answer(stream, Step::Mail, "250 2.1.0 OK").await?,
            "RCPT" => shared.answer(stream, Step::Rcpt, "250 2.1.5 OK").await?,
            "DATA" => {
                shared.answer(stream, Step::Data, "354 go on").await?;
                if matches!(shared.trouble(), Some((Step::Data, Trouble::Reply(_)))) {
                    continue;
                }
                while read_line(stream).await? != ".\r\n" {}
                // Before the answer: who has that may look at once.
                if !matches!(shared.trouble(), Some((Step::EndOfData, _))) {
                    shared.messages.send_modify(|count| *count += 1);
                }
                shared.answer(stream, Step::EndOfData, "250 2.0.0 taken").await?;
            }
            "QUIT" => {
                write(stream, "221 bye").await?;
                return Ok(());
            }
            _ => write(stream, "250 2.0.0 OK").await?,
        }
    }
}

impl Shared {
    fn trouble(&self) -> Option<(Step, Trouble)> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, stream: &mut BufReader<TcpStream>, step: Step, usual: &str) -> Result<(), Over> {
        match self.trouble().filter(|(at, _)| *at == step) {
            None => write(stream, usual).await,
            Some((_, Trouble::Hang)) => std::future::pending().await,
            Some((_, Trouble::Reply(line))) => write(stream, line).await,
            Some((_, Trouble::Reset)) => Err(Over),
        }
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String, Over> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Ok(line),
        _ => Err(Over),
    }
}

async fn write(stream: &mut BufReader<TcpStream>, line: &str) -> Result<(), Over> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.map_err(|_| Over)
}
