//! # Purpose
//! The server behind: chooses among its hosts, opens a connection for one client and brings it to the
//! point where the client can be joined.
//!
//! # Trust
//! A host is proven by its certificate. What it says before is used for nothing but to begin TLS.
//!
//! # Standards
//! See `pc_stream::Behind`; the PROXY protocol version 2.
//!
//! # Invariants
//! There is no way to connect without TLS or without verification. Health orders the hosts and forbids
//! none.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pc_net::{Clock, ProxyTls, proxy_header};
use pc_queue::{Health, HealthFault, HealthState};
use pc_stream::{Behind, BehindNext, Protocol};
use pc_telemetry::Event;
use pc_tls::{ClientStream, ClientTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::ListenerTls;
use crate::limits::{COMMAND_READ_OCTETS, GREETING_TIMEOUT, HANDSHAKE_TIMEOUT, OPEN_TIMEOUT};

/// Where and how to reach a server behind.
pub struct ServerSettings {
    /// The stream's name, for logs.
    pub name: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// At least one.
    pub hosts: Vec<HostSettings>,
    /// When TLS begins.
    pub tls: ListenerTls,
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// Whether the server is told who the client is.
    pub send_proxy: bool,
    /// We greet with this name.
    pub node_name: String,
    /// Where `now` comes from for health.
    pub clock: Clock,
}

/// One host of a server behind.
pub struct HostSettings {
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The lowest is asked first; equal ones take turns.
    pub priority: u16,
    /// The name its certificate must have.
    pub tls_name: String,
    /// Whom it is trusted by.
    pub tls: ClientTls,
}

/// A server behind with its hosts.
pub struct Server {
    settings: ServerSettings,
    states: Vec<HostState>,
    turn: AtomicU64,
}

struct HostState {
    health: Mutex<Health>,
    /// When it was last asked, counted in connections.
    turn: AtomicU64,
}

/// Whom a connection is for.
pub(crate) struct Client<'a> {
    pub(crate) address: SocketAddr,
    /// Where it connected to.
    pub(crate) local: SocketAddr,
    pub(crate) tls: ProxyTls<'a>,
}

/// A connection that can be joined.
pub(crate) struct Opened {
    pub(crate) stream: ClientStream<TcpStream>,
    /// Host and port.
    pub(crate) host: String,
    /// For a client that waits for one.
    pub(crate) greeting: Vec<u8>,
    /// What the server said behind it.
    pub(crate) rest: Vec<u8>,
}

/// What went wrong with a host.
struct Fault {
    code: &'static str,
    detail: String,
}

impl Fault {
    fn new(code: &'static str, detail: impl ToString) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

impl Server {
    /// A server behind, not yet connected to.
    pub fn new(settings: ServerSettings) -> Self {
        let now = settings.clock.now();
        let state = |_| HostState { health: Mutex::new(Health::new(now)), turn: AtomicU64::new(0) };
        Self { states: settings.hosts.iter().map(state).collect(), settings, turn: AtomicU64::new(1) }
    }

    /// Tries one host after the other.
    pub(crate) async fn open(&self, client: &Client<'_>) -> Option<Opened> {
        let deadline = Instant::now() + OPEN_TIMEOUT;
        for (attempt, (settings, state)) in self.in_order().into_iter().enumerate() {
            state.turn.store(self.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            self.note(state, |health, now| health.tried(now));
            let host = address_of(settings);
            let opened = timeout_at(deadline, self.open_host(settings, client)).await;
            let opened = opened.unwrap_or_else(|_| Err(Fault::new("timeout", "no answer in time")));
            match opened {
                Ok(opened) => {
                    self.answered(state, &host, attempt);
                    return Some(opened);
                }
                Err(fault) => self.failed(state, &host, &fault),
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        None
    }

    /// Connects to each host as for a client, for `doctor`.
    pub async fn probe(&self) -> Vec<(String, Result<(), String>)> {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let tls = ProxyTls { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", authority: None };
        let client = Client { address: nobody, local: nobody, tls };
        let mut looks = Vec::new();
        for settings in &self.settings.hosts {
            let looked = timeout(OPEN_TIMEOUT, self.open_host(settings, &client)).await;
            let looked = looked.unwrap_or_else(|_| Err(Fault::new("timeout", "no answer in time")));
            let looked = looked.map(drop).map_err(|fault| format!("{}: {}", fault.code, fault.detail));
            looks.push((address_of(settings), looked));
        }
        looks
    }

    fn in_order(&self) -> Vec<(&HostSettings, &HostState)> {
        let now = self.settings.clock.now();
        let mut hosts: Vec<_> = self.settings.hosts.iter().zip(&self.states).collect();
        hosts.sort_by_cached_key(|(settings, state)| {
            let health = state.health.lock().unwrap_or_else(PoisonError::into_inner).state(now);
            let is_up = !matches!(health, HealthState::Down(_));
            (Reverse(is_up), settings.priority, state.turn.load(Ordering::Relaxed))
        });
        hosts
    }

    async fn open_host(&self, settings: &HostSettings, client: &Client<'_>) -> Result<Opened, Fault> {
        let target = (settings.host.as_str(), settings.port);
        let mut stream = match timeout(self.settings.connect_timeout, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault::new("connect", error)),
            Err(_) => return Err(Fault::new("connect", "no answer in time")),
        };
        // Commands are small and wait for replies.
        let _ = stream.set_nodelay(true);
        let greet = async {
            if self.settings.send_proxy {
                let header = proxy_header(client.address, client.local, Some(client.tls));
                stream.write_all(&header).await.map_err(|error| Fault::new("connect", error))?;
            }
            let (protocol, name) = (self.settings.protocol, &self.settings.node_name);
            let is_plain = self.settings.tls == ListenerTls::StartTls;
            if is_plain {
                converse(&mut stream, Behind::plain(protocol, name)).await?;
            }
            let connected = settings.tls.connect(stream, &settings.tls_name, HANDSHAKE_TIMEOUT).await;
            let mut stream = connected.map_err(|error| Fault::new("tls", error))?.stream;
            let (greeting, rest) = if is_plain {
                (Behind::greeting_of_ours(protocol, name), Vec::new())
            } else {
                converse(&mut stream, Behind::in_tls(protocol, name)).await?
            };
            Ok(Opened { stream, host: address_of(settings), greeting, rest })
        };
        timeout(GREETING_TIMEOUT, greet)
            .await
            .unwrap_or_else(|_| Err(Fault::new("greeting", "no greeting in time")))
    }

    fn note(
        &self,
        state: &HostState,
        change: impl FnOnce(Health, pc_types::Timestamp) -> Health,
    ) -> (HealthState, HealthState) {
        let now = self.settings.clock.now();
        let mut health = state.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = health.state(now);
        *health = change(health.clone(), now);
        (before, health.state(now))
    }

    fn answered(&self, state: &HostState, host: &str, attempt: usize) {
        let (before, after) = self.note(state, Health::answered);
        let upstream = self.settings.name.as_str();
        // One that is tried counts as down until it has answered.
        if matches!(before, HealthState::Down(_) | HealthState::Due) {
            Event::UpstreamHostChanged { upstream, host, code: after.code(), error: "" }.emit();
        }
        if attempt > 0 {
            Event::UpstreamFailedOver { upstream, host, error: "the hosts before it failed" }.emit();
        }
    }

    fn failed(&self, state: &HostState, host: &str, fault: &Fault) {
        let (upstream, error) = (self.settings.name.as_str(), fault.detail.as_str());
        Event::UpstreamFailed { upstream, host, code: fault.code, error }.emit();
        let changed =
            self.note(state, |health, now| health.failed(HealthFault::Unreachable, error, host, now));
        if let (HealthState::Up, after @ HealthState::Down(_)) = changed {
            Event::UpstreamHostChanged { upstream, host, code: after.code(), error }.emit();
        }
    }
}

fn address_of(settings: &HostSettings) -> String {
    let HostSettings { host, port, .. } = settings;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Brings a mail server's connection to the point where TLS begins, for a check of it.
///
/// # Errors
/// The connection's, or the server does not begin TLS.
pub async fn begin_tls(stream: &mut TcpStream, protocol: Protocol, node_name: &str) -> std::io::Result<()> {
    let begun = timeout(GREETING_TIMEOUT, converse(stream, Behind::plain(protocol, node_name))).await;
    match begun {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(fault)) => Err(std::io::Error::other(fault.detail)),
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

/// Reads and answers until the server is ready for TLS or for the client; then what it said.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut behind: Behind,
) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let mut buffer = [0; COMMAND_READ_OCTETS];
    loop {
        let count = stream.read(&mut buffer).await.map_err(|error| Fault::new("greeting", error))?;
        if count == 0 {
            return Err(Fault::new("greeting", "the server closed the connection"));
        }
        let (next, out) = behind.handle(buffer.get(..count).unwrap_or_default());
        let write = async {
            stream.write_all(&out).await?;
            stream.flush().await
        };
        write.await.map_err(|error| Fault::new("greeting", error))?;
        match next {
            BehindNext::Await(next) => behind = next,
            BehindNext::Failed(fault) => return Err(Fault::new(fault.code(), fault)),
            BehindNext::Ready { greeting, rest } => return Ok((greeting, rest)),
            BehindNext::StartTls => return Ok((Vec::new(), Vec::new())),
        }
    }
}
