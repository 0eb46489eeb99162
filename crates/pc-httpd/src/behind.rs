//! # Purpose
//! The servers behind: which of them a client connection gets, and the connection to it.
//!
//! # Trust
//! A server has proven itself by a chain or a pin before it gets an octet. There is no way to reach one without TLS.
//!
//! # Standards
//! RFC 9112 as a client.
//!
//! # Invariants
//! A [`Link`] belongs to one client connection from its opening to its end. Another server is tried only while none has been
//! opened, so before any octet of a request was sent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use pc_http::health::{Binding, Candidate, ServerHealth, Service, order};
use pc_http::policy::Directory;
use pc_telemetry::Event;
use pc_tls::{ClientStream, ClientTls};
use pc_types::{Domain, Timestamp, hex};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body::RequestBody;
use crate::edge::SiteSettings;
use crate::guard::Timer;
use crate::limits::{BEHIND_BUFFER_OCTETS_MAX, HANDSHAKE_TIMEOUT, SERVER_KEEP_ALIVE};

/// One server behind.
pub struct HostSettings {
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The lowest is asked first; equal ones share the connections.
    pub priority: u16,
    /// The name its certificate must have.
    pub tls_name: String,
    /// How it is verified.
    pub tls: ClientTls,
}

/// A site, for listings.
#[derive(Clone, Debug, Serialize)]
pub struct ListedSite {
    /// From the configuration.
    pub site: String,
    /// Host names that it answers to.
    pub names: Vec<String>,
    /// The servers behind.
    pub hosts: Vec<ListedHost>,
}

/// A server behind, for listings.
#[derive(Clone, Debug, Serialize)]
pub struct ListedHost {
    /// Host and port.
    pub address: String,
    /// The lowest is asked first.
    pub priority: u16,
    /// Client connections that it has.
    pub connections: usize,
    /// Whether its certificate is the one that clients see: `match`, `mismatch`, `partial`; null before it was seen.
    pub channel_binding: Option<&'static str>,
    /// SHA-256 of its certificate.
    pub certificate_sha256: Option<String>,
    /// `up`, `down` or `unknown` by directory.
    pub directories: Vec<(&'static str, &'static str)>,
    /// What failed last.
    pub last_fault: Option<String>,
    /// When that was.
    pub last_fault_at: Option<Timestamp>,
}

/// See [`SiteSettings`].
pub(crate) struct Site {
    pub(crate) name: Arc<str>,
    pub(crate) names: Vec<Domain>,
    pub(crate) hosts: Vec<Arc<Host>>,
    pub(crate) health_check: Duration,
    turn: AtomicUsize,
}

/// See [`HostSettings`].
pub(crate) struct Host {
    site: Arc<str>,
    pub(crate) address: Arc<str>,
    settings: HostSettings,
    connect_timeout: Duration,
    known: Mutex<Known>,
    connections: AtomicUsize,
}

#[derive(Default)]
struct Known {
    health: ServerHealth,
    binding: Option<Binding>,
    leaf: Option<[u8; 32]>,
    last_fault: Option<(String, Timestamp)>,
}

/// What went wrong, with the step at which it did.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.detail)
    }
}

/// The connection behind one client connection.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) host: Arc<Host>,
    /// For the silence of both sides, from one request to the next.
    pub(crate) silence: Timer,
    _lease: Lease,
}

/// Moves the octets of a [`Link`]; ends with it.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Counts a client connection while it holds a server.
struct Lease(Arc<Host>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Site {
    pub(crate) fn new(settings: SiteSettings) -> Self {
        let name: Arc<str> = settings.name.into();
        let hosts = settings.hosts.into_iter().map(|host| {
            let address = if host.host.contains(':') {
                format!("[{}]:{}", host.host, host.port)
            } else {
                format!("{}:{}", host.host, host.port)
            };
            Arc::new(Host {
                site: Arc::clone(&name),
                address: address.into(),
                settings: host,
                connect_timeout: settings.connect_timeout,
                known: Mutex::default(),
                connections: AtomicUsize::new(0),
            })
        });
        Self {
            hosts: hosts.collect(),
            names: settings.names,
            health_check: settings.health_check,
            turn: AtomicUsize::new(0),
            name,
        }
    }

    pub(crate) fn listed(&self) -> ListedSite {
        ListedSite {
            site: self.name.to_string(),
            names: self.names.iter().map(ToString::to_string).collect(),
            hosts: self.hosts.iter().map(|host| host.listed()).collect(),
        }
    }

    /// Opens a connection for a client that begins with `directory`.
    ///
    /// # Errors
    /// No server can be reached: the faults of all.
    pub(crate) async fn open(
        &self,
        directory: Directory,
        now: Timestamp,
    ) -> Result<(Link, Driver), Vec<Fault>> {
        let candidates: Vec<Candidate> = self.hosts.iter().map(|host| host.candidate(directory)).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut faults = Vec::new();
        for host in order(&candidates, turn).into_iter().filter_map(|number| self.hosts.get(number)) {
            match host.open().await {
                Ok(opened) => return Ok(opened),
                Err(fault) => {
                    host.failed(&fault, now);
                    faults.push(fault);
                }
            }
        }
        Err(faults)
    }
}

impl Host {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn candidate(&self, directory: Directory) -> Candidate {
        Candidate {
            service: self.known().health.of(directory),
            priority: self.settings.priority,
            connections: self.connections.load(Ordering::Relaxed),
        }
    }

    async fn open(self: &Arc<Self>) -> Result<(Link, Driver), Fault> {
        let (stream, _) = self.connect().await?;
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .max_buf_size(BEHIND_BUFFER_OCTETS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault { code: "http", detail: error.to_string() })?;
        let driver = Box::pin(async move {
            // How it ends is told to whoever waits for an answer.
            let _ = connection.await;
        });
        Ok((self.link(sender), driver))
    }

    pub(crate) fn link(self: &Arc<Self>, sender: SendRequest<RequestBody>) -> Link {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (host, lease) = (Arc::clone(self), Lease(Arc::clone(self)));
        Link { sender, host, silence: Timer::default(), _lease: lease }
    }

    /// Connects and verifies; with SHA-256 of the leaf that was shown.
    pub(crate) async fn connect(&self) -> Result<(ClientStream<TcpStream>, [u8; 32]), Fault> {
        let target = (self.settings.host.as_str(), self.settings.port);
        let stream = match timeout(self.connect_timeout, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault { code: "connect", detail: error.to_string() }),
            Err(_) => return Err(Fault { code: "connect", detail: "no answer in time".to_owned() }),
        };
        // Chunks go on as they come.
        let _ = stream.set_nodelay(true);
        SERVER_KEEP_ALIVE.set(&stream);
        match self.settings.tls.connect(stream, &self.settings.tls_name, HANDSHAKE_TIMEOUT).await {
            Ok(connected) => Ok((connected.stream, connected.leaf_sha256)),
            Err(error) => Err(Fault { code: "tls", detail: error.to_string() }),
        }
    }

    /// It could not be reached for a client, so that none of its protocols can.
    pub(crate) fn failed(&self, fault: &Fault, now: Timestamp) {
        self.tell(fault);
        self.mark_down(fault, now);
    }

    /// The same at a look. A server that stays away is told of once.
    pub(crate) fn missed(&self, fault: &Fault, now: Timestamp) {
        let is_known = {
            let known = self.known();
            let is_same = known.last_fault.as_ref().is_some_and(|(text, _)| *text == fault.to_string());
            is_same && known.health.iter().all(|(_, service)| service == Service::Down)
        };
        if !is_known {
            self.tell(fault);
        }
        self.mark_down(fault, now);
    }

    fn tell(&self, fault: &Fault) {
        let (site, host) = (&self.site, &self.address);
        Event::WebServerFailed { site, host, code: fault.code, error: &fault.detail }.emit();
    }

    fn mark_down(&self, fault: &Fault, now: Timestamp) {
        let directories: Vec<Directory> = {
            let mut known = self.known();
            known.last_fault = Some((fault.to_string(), now));
            known.health.iter().map(|(directory, _)| directory).collect()
        };
        for directory in directories {
            self.checked(directory, Service::Down, &fault.detail);
        }
    }

    /// Remembers the outcome of a check, and tells when it is news.
    pub(crate) fn checked(&self, directory: Directory, service: Service, error: &str) {
        if !self.known().health.checked(directory, service) {
            return;
        }
        Event::WebServerChanged {
            site: &self.site,
            host: &self.address,
            directory: directory.as_str(),
            code: service.code(),
            error,
        }
        .emit();
    }

    /// Compares its certificate with `ours`, and tells when the result is news.
    pub(crate) fn showed(&self, leaf: [u8; 32], ours: &[[u8; 32]]) {
        let binding = Binding::of(ours, leaf);
        {
            let mut known = self.known();
            if known.binding == Some(binding) && known.leaf == Some(leaf) {
                return;
            }
            (known.binding, known.leaf) = (Some(binding), Some(leaf));
        }
        let ours: Vec<String> = ours.iter().map(|leaf| hex(leaf)).collect();
        Event::WebBindingSeen {
            site: &self.site,
            host: &self.address,
            code: binding.code(),
            ours: &ours.join(","),
            theirs: &hex(&leaf),
        }
        .emit();
    }

    fn listed(&self) -> ListedHost {
        let known = self.known();
        ListedHost {
            address: self.address.to_string(),
            priority: self.settings.priority,
            connections: self.connections.load(Ordering::Relaxed),
            channel_binding: known.binding.map(Binding::code),
            certificate_sha256: known.leaf.map(|leaf| hex(&leaf)),
            directories: known
                .health
                .iter()
                .map(|(directory, service)| (directory.as_str(), service.code()))
                .collect(),
            last_fault: known.last_fault.as_ref().map(|(fault, _)| fault.clone()),
            last_fault_at: known.last_fault.as_ref().map(|(_, at)| *at),
        }
    }
}
