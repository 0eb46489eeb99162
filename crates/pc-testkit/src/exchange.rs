//! An Exchange front end as a web server, as far as a proxy before it can tell.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pc_tls::{ServerStream, ServerTls};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::exchange_pages::{FOLDER, HOLD, LEAKS, Page, page};
use crate::ntlm::{Leg, Ntlm, Protection};
use crate::owa::{Asked, Owa, OwaAnswer};

/// A request that came, health checks left out.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// Counted from 1 in the order in which connections came.
    pub connection: usize,
    /// As it came.
    pub method: String,
    /// As it came.
    pub target: String,
    /// Names as they came.
    pub fields: Vec<(String, String)>,
    /// Who was logged in on the connection.
    pub user: Option<String>,
}

impl WebRequest {
    /// The values of a field, whatever its case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// The server. `exchange_pages` lists what it answers by path.
pub struct Exchange {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

pub(crate) struct Shared {
    tls: ServerTls,
    requests: Mutex<Vec<WebRequest>>,
    count: watch::Sender<usize>,
    health: Mutex<HashMap<String, u16>>,
    health_checks: watch::Sender<BTreeMap<String, usize>>,
    feed: Mutex<Option<mpsc::UnboundedReceiver<Vec<u8>>>>,
    uploaded: watch::Sender<u64>,
    is_reading: watch::Sender<bool>,
    closed: watch::Sender<usize>,
    connections: AtomicUsize,
    ntlm: Mutex<Option<Ntlm>>,
    owa: Mutex<Option<Owa>>,
    refusals: Mutex<Vec<String>>,
}

/// One connection, and who is logged in on it.
struct Connection {
    number: usize,
    stream: BufReader<ServerStream<TcpStream>>,
    user: Option<String>,
    challenge: Option<String>,
}

/// The connection is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Exchange {
    /// Starts it.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(tls: ServerTls) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            tls,
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            health: Mutex::default(),
            health_checks: watch::Sender::new(BTreeMap::new()),
            feed: Mutex::default(),
            uploaded: watch::Sender::new(0),
            is_reading: watch::Sender::new(true),
            closed: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            ntlm: Mutex::default(),
            owa: Mutex::default(),
            refusals: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Who may log in where real NTLM is asked for.
    pub fn log_in_by(&self, ntlm: Ntlm) {
        *lock(&self.shared.ntlm) = Some(ntlm);
    }

    /// `/owa/` becomes a mailbox in which this user signs in by a form.
    pub fn serve_owa(&self, user: &str, password: &str) {
        *lock(&self.shared.owa) = Some(Owa::new(user, password));
    }

    /// Why logins by real NTLM were refused.
    pub fn refusals(&self) -> Vec<String> {
        lock(&self.shared.refusals).clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<WebRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Returns when so many requests came in all.
    pub async fn wait_for_requests(&self, count: usize) {
        let _ = self.shared.count.subscribe().wait_for(|seen| *seen >= count).await;
    }

    /// Returns when so many connections that carried requests have ended.
    pub async fn wait_for_closed(&self, count: usize) {
        let _ = self.shared.closed.subscribe().wait_for(|seen| *seen >= count).await;
    }

    /// What `healthcheck.htm` of a directory answers from here on.
    pub fn set_health(&self, directory: &str, status: u16) {
        lock(&self.shared.health).insert(directory.to_owned(), status);
    }

    /// Returns when the health of a directory was asked for so many more times.
    pub async fn wait_for_health_checks(&self, directory: &str, more: usize) {
        let mut checks = self.shared.health_checks.subscribe();
        let seen = |checks: &BTreeMap<String, usize>| checks.get(directory).copied().unwrap_or(0);
        let before = seen(&checks.borrow());
        let _ = checks.wait_for(|checks| seen(checks) >= before + more).await;
    }

    /// What the next streamed answer sends, chunk by chunk; it ends when the sender is dropped.
    pub fn feed(&self) -> mpsc::UnboundedSender<Vec<u8>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *lock(&self.shared.feed) = Some(receiver);
        sender
    }

    /// Octets of bodies received so far.
    pub fn uploaded(&self) -> u64 {
        *self.shared.uploaded.borrow()
    }

    /// Returns when so many octets of bodies were received.
    pub async fn wait_for_upload(&self, octets: u64) {
        let _ = self.shared.uploaded.subscribe().wait_for(|seen| *seen >= octets).await;
    }

    /// Whether bodies are read.
    pub fn read_bodies(&self, is_reading: bool) {
        self.shared.is_reading.send_replace(is_reading);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Far beyond what a handshake takes.
            let deadline = std::time::Duration::from_secs(60);
            let Ok(accepted) = shared.tls.accept(stream, deadline).await else { return };
            let stream = BufReader::new(accepted.stream);
            let mut connection = Connection { number: 0, stream, user: None, challenge: None };
            // Its end is what the peer sees too.
            let _ = connection.serve(&shared).await;
            let is_counted = connection.number > 0;
            drop(connection);
            if is_counted {
                shared.closed.send_modify(|count| *count += 1);
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Connection {
    async fn serve(&mut self, shared: &Shared) -> Result<(), Over> {
        loop {
            let (request, is_http10) = self.head().await?;
            let path = request.target.split('?').next().unwrap_or_default().to_ascii_lowercase();
            if let Some(directory) = path.strip_suffix("/healthcheck.htm") {
                let directory = directory.trim_start_matches('/').to_owned();
                let status = lock(&shared.health).get(&directory).copied().unwrap_or(200);
                self.reply(status, "Content-Type: text/html\r\n", b"200 OK<br/>EX01.corp.example.org")
                    .await?;
                shared.health_checks.send_modify(|checks| *checks.entry(directory).or_default() += 1);
                continue;
            }
            if self.number == 0 {
                self.number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
            }
            let request = WebRequest { connection: self.number, user: self.user.clone(), ..request };
            lock(&shared.requests).push(request.clone());
            shared.count.send_modify(|count| *count += 1);
            if is_http10 && request.values("Host").is_empty() {
                // IIS knows no other name of itself.
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nServer: Microsoft-IIS/10.0\r\nLocation: https://10.0.0.5{}\r\nContent-Length: 0\r\n\r\n",
                    request.target
                );
                self.write(answer.as_bytes()).await?;
                return Err(Over);
            }
            self.answer(shared, &request, &path).await?;
        }
    }

    /// A request, and whether it is of HTTP/1.0.
    async fn head(&mut self) -> Result<(WebRequest, bool), Over> {
        let line = self.line().await?;
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(Over) };
        let is_http10 = words.next().as_deref() == Some("HTTP/1.0");
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                let request = WebRequest { connection: 0, method, target, fields, user: None };
                return Ok((request, is_http10));
            }
            let (name, value) = line.split_once(':').ok_or(Over)?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    async fn line(&mut self) -> Result<String, Over> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(1..) if line.ends_with("\r\n") => Ok(line.trim_end().to_owned()),
            _ => Err(Over),
        }
    }

    async fn answer(&mut self, shared: &Shared, request: &WebRequest, path: &str) -> Result<(), Over> {
        if path.starts_with("/owa/") && lock(&shared.owa).is_some() {
            return self.answer_as_owa(shared, request).await;
        }
        let authorization = request.values("Authorization").first().map(|value| (*value).to_owned());
        match page(path) {
            Page::BreakAfterHead => {
                self.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten octets").await?;
                Err(Over)
            }
            Page::Drop => Err(Over),
            Page::Echo => {
                let body = self.body(shared, request).await?;
                let mut text = format!("{} {}\n", request.method, request.target);
                for (name, value) in &request.fields {
                    text.push_str(&format!("{name}: {value}\n"));
                }
                text.push_str(&format!("\nbody of {} octets\n", body));
                self.reply(200, "Content-Type: text/plain\r\n", text.as_bytes()).await
            }
            Page::ExpectRefused => self.reply(401, "WWW-Authenticate: NTLM\r\n", b"").await,
            Page::ExpectSilent => {
                let body = self.body(shared, request).await?;
                self.reply(200, "", format!("{body}").as_bytes()).await
            }
            Page::Expect => {
                if !request.values("Expect").is_empty() {
                    self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
                let body = self.body(shared, request).await?;
                self.reply(200, "", format!("{body}").as_bytes()).await
            }
            Page::Fixed(head, body) => self.reply(200, head, body).await,
            Page::Last => {
                self.reply(200, "", b"last").await?;
                self.stream.shutdown().await?;
                Err(Over)
            }
            Page::Leaky => self.reply(200, &LEAKS.concat(), b"leaky").await,
            Page::Login => self.log_in(shared, request, authorization.as_deref()).await,
            Page::Held => {
                self.body(shared, request).await?;
                tokio::time::sleep(HOLD).await;
                self.reply(200, "Content-Type: application/vnd.ms-sync.wbxml\r\n", b"nothing came").await
            }
            Page::Folder => {
                self.body(shared, request).await?;
                self.log_in_really(shared, (Protection::Allow, FOLDER), authorization.as_deref()).await
            }
            Page::Ntlm(protection) => {
                self.body(shared, request).await?;
                self.log_in_really(shared, (protection, "{user}"), authorization.as_deref()).await
            }
            Page::Old => {
                self.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nuntil the end").await?;
                self.stream.shutdown().await?;
                Err(Over)
            }
            Page::Redirect(head) => self.reply(302, head, b"").await,
            Page::Streamed => {
                self.body(shared, request).await?;
                self.streamed(shared).await
            }
            Page::Unauthorised => {
                let offers = "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Basic \
                              realm=\"10.0.0.5\"\r\n";
                self.reply(401, offers, b"").await
            }
            Page::Upgrade => {
                self.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
                )
                .await
            }
        }
    }

    async fn answer_as_owa(&mut self, shared: &Shared, request: &WebRequest) -> Result<(), Over> {
        let length = request.values("Content-Length").first().and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).await?;
        let first = |name| request.values(name).first().copied().unwrap_or_default();
        let asked = Asked {
            method: &request.method,
            target: &request.target,
            cookies: first("Cookie"),
            canary: first("X-OWA-CANARY"),
            body,
        };
        let Some(answer) = lock(&shared.owa).as_mut().map(|owa| owa.answer(asked)) else { return Err(Over) };
        match answer {
            OwaAnswer::Streamed => self.streamed(shared).await,
            OwaAnswer::Whole(status, head, body) => self.reply(status, &head, &body).await,
        }
    }

    /// Three legs as in NTLM; afterwards the connection is the user's, with or without the field.
    async fn log_in(
        &mut self,
        shared: &Shared,
        request: &WebRequest,
        authorization: Option<&str>,
    ) -> Result<(), Over> {
        self.body(shared, request).await?;
        let token = authorization.and_then(|value| value.strip_prefix("NTLM "));
        match token {
            Some("TlRMTVNTUAAB") => {
                let challenge = format!("TlRMTVNTUAAC{}", self.number);
                let offer = format!("WWW-Authenticate: NTLM {challenge}\r\n");
                (self.user, self.challenge) = (None, Some(challenge));
                return self.reply(401, &offer, b"").await;
            }
            Some(token) => {
                // `TlRMTVNTUAAD`, the user, the challenge that this connection gave.
                let parts: Vec<&str> = token.split('.').collect();
                let [_, user, challenge] = parts.as_slice() else { return Err(Over) };
                if self.challenge.as_deref() != Some(challenge) {
                    return self
                        .reply(401, "WWW-Authenticate: NTLM\r\n", b"another connection's challenge")
                        .await;
                }
                self.user = Some((*user).to_owned());
            }
            None => {}
        }
        match self.user.clone() {
            Some(user) => self.reply(200, "Persistent-Auth: true\r\n", user.as_bytes()).await,
            None => self.reply(401, "WWW-Authenticate: NTLM\r\n", b"").await,
        }
    }

    /// The same with real NTLM.
    async fn log_in_really(
        &mut self,
        shared: &Shared,
        (protection, answer): (Protection, &str),
        authorization: Option<&str>,
    ) -> Result<(), Over> {
        const OFFER: &str = "WWW-Authenticate: NTLM\r\n";
        if let Some(token) = authorization.and_then(|value| value.strip_prefix("NTLM ")) {
            self.user = None;
            let leg = match &mut *lock(&shared.ntlm) {
                Some(ntlm) => ntlm.step(self.number, protection, token)?,
                None => return Err(Over),
            };
            match leg {
                Leg::Challenge(token) => {
                    let offer = format!("WWW-Authenticate: NTLM {token}\r\n");
                    return self.reply(401, &offer, b"").await;
                }
                Leg::Refused(why) => {
                    lock(&shared.refusals).push(why);
                    return self.reply(401, OFFER, b"refused").await;
                }
                Leg::User(user) => self.user = Some(user),
            }
        }
        match &self.user {
            Some(user) => {
                let body = answer.replace("{user}", user);
                let fields = "Persistent-Auth: true\r\nContent-Type: text/xml; charset=utf-8\r\n";
                self.reply(200, fields, body.as_bytes()).await
            }
            None => self.reply(401, OFFER, b"").await,
        }
    }

    async fn streamed(&mut self, shared: &Shared) -> Result<(), Over> {
        let Some(mut feed) = lock(&shared.feed).take() else { return self.reply(500, "", b"no feed").await };
        self.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-PendingPeriod: 15000\r\n\r\n")
            .await?;
        while let Some(chunk) = feed.recv().await {
            self.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            self.write(&chunk).await?;
            self.write(b"\r\n").await?;
        }
        self.write(b"0\r\n\r\n").await
    }

    /// Reads a body, counts it, and forgets it.
    async fn body(&mut self, shared: &Shared, request: &WebRequest) -> Result<u64, Over> {
        if let Some(length) = request.values("Content-Length").first() {
            let length = length.parse().map_err(|_| Over)?;
            return self.octets(shared, length).await;
        }
        if request.values("Transfer-Encoding").is_empty() {
            return Ok(0);
        }
        let mut whole = 0;
        loop {
            let line = self.line().await?;
            let length = u64::from_str_radix(&line, 16).map_err(|_| Over)?;
            whole += self.octets(shared, length).await?;
            self.line().await?;
            if length == 0 {
                return Ok(whole);
            }
        }
    }

    async fn octets(&mut self, shared: &Shared, length: u64) -> Result<u64, Over> {
        let mut reading = shared.is_reading.subscribe();
        let mut left = length;
        let mut buffer = vec![0; 16 * 1024];
        while left > 0 {
            let _ = reading.wait_for(|is_reading| *is_reading).await;
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.stream.read(buffer.get_mut(..part).unwrap_or_default()).await?;
            if count == 0 {
                return Err(Over);
            }
            left -= count as u64;
            shared.uploaded.send_modify(|octets| *octets += count as u64);
        }
        Ok(length)
    }

    async fn reply(&mut self, status: u16, head: &str, body: &[u8]) -> Result<(), Over> {
        let head = format!("HTTP/1.1 {status} Status\r\n{head}Content-Length: {}\r\n\r\n", body.len());
        self.write(&[head.as_bytes(), body].concat()).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), Over> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await?;
        Ok(())
    }
}
