//! # Purpose
//! Hands mail to the server behind by SMTP: chooses among its hosts, opens connections under the TLS
//! standard, keeps idle ones for reuse, runs one transaction at a time over each.
//!
//! # Trust
//! The server behind is proven by its certificate; its octets are bounded all the same.
//!
//! # Standards
//! RFC 5321 client side, 2920, 3030 (BDAT when offered), 3207. Plain text only where the
//! configuration allows it, which is on loopback.
//!
//! # Invariants
//! 250 to our client is built from the `Accepted` that the final reply mints. Every fault before
//! that is a 4xx. A connection whose state is in doubt is closed, never reused. A transaction goes to
//! another host only while no host has answered its first recipient, so before any octet of the message
//! is sent. A host whose certificate is not the configured one gets no mail; another may.
//!
//! # See also
//! `pc_queue::Health`, which decides in which order hosts are asked.

mod connection;
mod host;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_net::{Clock, Stop};
use pc_smtp::client::{Capabilities, UpstreamReply, final_reply, relayed};
use pc_smtp::custody::Accepted;
use pc_smtp::header::Screened;
use pc_smtp::{BodyType, EnhancedCode, Envelope, ForwardPath, Recipient, Reply, ReversePath};
use pc_telemetry::Event;
use pc_tls::ClientTls;
use pc_types::Domain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{OPEN_TIMEOUT, UPSTREAM_SEAT_TIMEOUT, UPSTREAM_SHARE_PARTS, UPSTREAM_SHARES_MAX};
use crate::message::MessageBuffer;
use crate::recipients::{self, Known, RecipientCache, RecipientCacheSettings};
use connection::Connection;
pub use connection::Fault;
pub use host::ListedHost;
use host::{Host, Shared};

/// How a connection to the server behind is secured.
pub enum UpstreamTls {
    /// TLS from the first octet.
    Implicit(ClientTls),
    /// Not at all; for loopback.
    Plain,
    /// STARTTLS, which the server must offer.
    StartTls(ClientTls),
}

/// Where and how to reach a server behind, which may be several hosts.
pub struct UpstreamSettings {
    /// For logs and the trace.
    pub name: String,
    /// At least one.
    pub hosts: Vec<HostSettings>,
    /// We greet with this name.
    pub node_name: Domain,
    /// Connect from this address instead of the one the system chooses.
    pub source_address: Option<IpAddr>,
    /// For connect and handshake together.
    pub connect_timeout: Duration,
    /// For each reply but the last.
    pub command_timeout: Duration,
    /// For a message, from its first octet to the answer to its last.
    pub hand_over_timeout: Duration,
    /// How often hosts that answer are looked at; `None` leaves it to mail to find out how they are.
    pub health_check: Option<Duration>,
    /// What is remembered of its answers to RCPT.
    pub recipients: RecipientCacheSettings,
    /// Where `now` comes from for health and memory.
    pub clock: Clock,
}

/// One host of a server behind.
pub struct HostSettings {
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The lowest is asked first; equal ones share the mail.
    pub priority: u16,
    /// The name its certificate must have.
    pub tls_name: String,
    /// How the connection is secured.
    pub tls: UpstreamTls,
    /// At once.
    pub connections_max: usize,
}

/// A server behind with its hosts.
pub struct Upstream {
    settings: Arc<Shared>,
    hosts: Vec<Arc<Host>>,
    /// Seats of each client network, so that one client cannot take them all.
    shares: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    connections_max: usize,
    /// Counts the transactions, so that equal hosts take turns.
    turn: AtomicU64,
    /// Counts the hosts that came back.
    returned: watch::Sender<u64>,
}

/// A transaction that the server behind has begun.
pub struct UpstreamTransaction {
    host: Arc<Host>,
    connection: Connection,
    /// Recipients that the server behind took in this transaction.
    recipients: usize,
    _seats: [OwnedSemaphorePermit; 2],
}

/// What came of offering the first recipient.
pub enum Opened {
    /// The transaction stands; the reply is to this recipient, positive or not.
    Begun(Box<UpstreamTransaction>, Reply),
    /// The server refused the sender, or cannot take what the message needs.
    Refused(Reply),
    /// The server could not be reached or broke off.
    Unavailable(Fault),
}

/// Why a message was not handed over.
#[derive(Debug)]
pub enum HandOverError {
    /// The server's word.
    Refused(Reply),
    /// It could not be reached, or broke off.
    Unavailable(Fault),
}

/// A message on its way to the server behind. Made of what was [`Screened`], at once or when it was
/// spooled.
pub struct Content<'a> {
    octets: u64,
    pieces: Vec<&'a [u8]>,
    rest: Option<&'a mut std::fs::File>,
}

impl<'a> Content<'a> {
    /// `prefix` (our own header fields), then what was screened.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn screened(
        prefix: &'a [u8],
        screened: &'a Screened,
        message: &'a mut MessageBuffer,
    ) -> std::io::Result<Self> {
        let octets = screened.octets_after(message.octets()) + prefix.len() as u64;
        let (head, rest) = message.parts()?;
        let pieces = std::iter::once(prefix).chain(screened.pieces(head)).collect();
        Ok(Self { octets, pieces, rest })
    }

    /// A spooled message, whose file stands at its first octet.
    pub fn spooled(octets: u64, file: &'a mut std::fs::File) -> Self {
        Self { octets, pieces: Vec::new(), rest: Some(file) }
    }
}

impl Upstream {
    /// A server behind, not yet connected to.
    pub fn new(settings: UpstreamSettings) -> Arc<Self> {
        // Those that mail goes to on a good day; a reserve makes nobody's share larger.
        let best = settings.hosts.iter().map(|host| host.priority).min();
        let first = settings.hosts.iter().filter(|host| Some(host.priority) == best);
        let connections_max = first.map(|host| host.connections_max).sum();
        let shared = Arc::new(Shared {
            name: settings.name,
            node_name: settings.node_name,
            source_address: settings.source_address,
            connect_timeout: settings.connect_timeout,
            command_timeout: settings.command_timeout,
            hand_over_timeout: settings.hand_over_timeout,
            health_check: settings.health_check,
            recipients: Mutex::new(RecipientCache::new(settings.recipients)),
            clock: settings.clock,
        });
        let hosts = settings.hosts.into_iter().map(|host| Host::new(host, Arc::clone(&shared))).collect();
        Arc::new(Self {
            settings: shared,
            hosts,
            shares: Mutex::new(HashMap::new()),
            connections_max,
            turn: AtomicU64::new(1),
            returned: watch::Sender::new(0),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Connects, greets and closes, for each host: whether mail would go through now.
    pub async fn probe(&self) -> Vec<(String, Result<(), Fault>)> {
        let mut looks = Vec::new();
        for host in &self.hosts {
            looks.push((host.address(), host.look().await));
        }
        looks
    }

    /// How its hosts are.
    pub fn hosts(&self) -> Vec<ListedHost> {
        self.hosts.iter().map(|host| host.listed()).collect()
    }

    /// What it has said lately about a recipient.
    pub(crate) fn remembered(&self, path: &ForwardPath) -> Option<Known> {
        self.settings.remembered(path)
    }

    /// The answer to a recipient while it is away. Where it is remembered who exists, nobody else's mail is taken: it
    /// could only bounce later, and the sender can keep it.
    pub(crate) fn answers_while_away(&self, path: &ForwardPath) -> Option<Reply> {
        let undecided = self.settings.recipients().knows_existing()
            && !path.is_postmaster()
            && self.remembered(path) != Some(Known::Exists);
        undecided.then(recipients::undecided)
    }

    /// Looks at hosts until `stop`: at those that are down when their pause ends, at the others after a silence.
    pub async fn watch(self: Arc<Self>, stop: Stop) {
        let Some(every) = self.settings.health_check else { return };
        let mut looking = JoinSet::new();
        for host in &self.hosts {
            looking.spawn(host::watch(Arc::clone(host), Arc::clone(&self), every, stop.clone()));
        }
        while looking.join_next().await.is_some() {}
    }

    /// Changes whenever a host comes back.
    pub fn returned(&self) -> watch::Receiver<u64> {
        self.returned.subscribe()
    }

    /// Begins a transaction of a client from `network` with its first recipient, on the first host that
    /// answers it. A host that says no has answered.
    pub async fn open(
        self: &Arc<Self>,
        network: IpAddr,
        envelope: &Envelope,
        recipient: &Recipient,
    ) -> Opened {
        let deadline = Instant::now() + OPEN_TIMEOUT;
        // The share first: who waits for it holds nothing that others need.
        let share = timeout(UPSTREAM_SEAT_TIMEOUT, self.share_of(network).acquire_owned()).await;
        let Ok(Ok(share)) = share else {
            return Opened::Unavailable(self.report(Fault::busy()));
        };
        let mut faults = Vec::new();
        for host in self.in_order() {
            match timeout_at(deadline, host.offer(envelope, recipient)).await {
                Ok(Ok(begun)) => {
                    self.note_answer(&host);
                    if let Some(fault) = faults.first() {
                        let (upstream, host, error) = (self.name(), host.address(), Fault::to_string(fault));
                        Event::UpstreamFailedOver { upstream, host: &host, error: &error }.emit();
                    }
                    return host.opened(begun, recipient, share);
                }
                Ok(Err(fault)) => faults.push(fault),
                Err(_) => {
                    faults.push(host.failed(Fault::new("slow", "no answer while our own client waits")));
                    break;
                }
            }
        }
        Opened::Unavailable(Fault::of_all(faults))
    }

    /// All hosts: those that may be asked by priority and load, then those that are down. Health orders
    /// hosts and forbids none, since nothing is gained by not asking the last one.
    fn in_order(&self) -> Vec<Arc<Host>> {
        let mut order: Vec<_> = self
            .hosts
            .iter()
            .map(|host| {
                let rank = host.rank();
                ((rank.reserve, host.priority(), rank.doubt, host.connections_used(), rank.turn), host)
            })
            .collect();
        order.sort_by_key(|(key, _)| *key);
        if let Some((_, first)) = order.first() {
            first.note_tried(self.turn.fetch_add(1, Ordering::Relaxed));
        }
        order.into_iter().map(|(_, host)| Arc::clone(host)).collect()
    }

    fn note_answer(&self, host: &Host) {
        if host.answered() {
            self.returned.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn share_of(&self, network: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() > UPSTREAM_SHARES_MAX {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let size = (self.connections_max / UPSTREAM_SHARE_PARTS).max(1);
        Arc::clone(shares.entry(network).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    /// Tells the operator.
    fn report(&self, fault: Fault) -> Fault {
        Event::UpstreamFailed { upstream: self.name(), host: "", code: fault.code, error: &fault.detail }
            .emit();
        fault
    }
}

impl UpstreamTransaction {
    /// The host that it goes to, with its port.
    pub fn host(&self) -> String {
        self.host.address()
    }

    /// Offers a further recipient. On `Err` the transaction is gone.
    ///
    /// # Errors
    /// When the server behind could not be reached or broke off.
    pub async fn recipient(mut self: Box<Self>, recipient: &Recipient) -> Result<(Box<Self>, Reply), Fault> {
        let line = self.connection.rcpt_line(recipient);
        let patience = self.host.command_timeout();
        match self.connection.ask(&line, "rcpt", patience).await {
            Ok(reply) => {
                let reply = relayed(&reply);
                self.host.note_recipient(&recipient.forward_path, &reply);
                self.recipients += usize::from(reply.is_positive());
                Ok((self, reply))
            }
            Err(fault) => Err(self.host.failed(fault)),
        }
    }

    /// Recipients that the server behind took.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// Whether the server reports successes itself, RFC 3461.
    pub fn offers_dsn(&self) -> bool {
        self.connection.offered.dsn
    }

    /// Sends the message.
    ///
    /// # Errors
    /// The server's refusal in its own words, or what went wrong on the way.
    pub async fn deliver(
        mut self: Box<Self>,
        content: Content<'_>,
    ) -> Result<(Accepted, String), HandOverError> {
        let patience = self.host.command_timeout();
        let hand_over_timeout = self.host.hand_over_timeout();
        let sending = async {
            if !self.connection.is_quiet().await {
                return Err(Fault::new("stray_reply", "octets came that nobody asked for"));
            }
            let refusal = if self.connection.offered.chunking {
                self.connection.send_chunk(content, patience).await?
            } else {
                self.connection.send_data(content, patience).await?
            };
            match refusal {
                Some(refusal) => Ok(refusal),
                None => self.connection.reply("end_of_data", hand_over_timeout).await,
            }
        };
        // One bound over all of it: our client waits ten minutes and then sends the message again.
        let fault = match timeout(hand_over_timeout, sending).await {
            Ok(Ok(reply)) => return self.ended(&reply),
            Ok(Err(fault)) => fault,
            Err(_) => Fault::new("end_of_data", "the server took too long over the message"),
        };
        Err(HandOverError::Unavailable(self.host.failed(fault)))
    }

    fn ended(mut self, reply: &UpstreamReply) -> Result<(Accepted, String), HandOverError> {
        self.connection.messages += 1;
        let taken = final_reply(reply).map(|accepted| (accepted, reply.lines.join(" ")));
        // A transaction ends with the answer to its data, good or bad; RFC 5321 4.1.1.4.
        self.connection.begun = taken.is_err();
        self.host.give_back(self.connection);
        taken.map_err(HandOverError::Refused)
    }

    /// Gives the connection back without a message.
    pub fn abandon(self) {
        self.host.give_back(self.connection);
    }
}
/// The server behind cannot take mail at all, or we cannot reach it.
pub(crate) fn unavailable() -> Reply {
    Reply::new(451, EnhancedCode(4, 3, 0), "the mail server behind is not available, please try again")
}

/// What the message needs and the server behind does not offer.
fn unsupported(envelope: &Envelope, offered: Capabilities) -> Option<Reply> {
    if envelope.parameters.smtputf8 && !offered.smtputf8 {
        // RFC 6531 3.5
        let text = "the mail server behind does not take internationalised mail";
        return Some(Reply::new(550, EnhancedCode(5, 6, 7), text));
    }
    // RFC 8689 4.2.1 and 5: a report is not lost for want of it.
    if envelope.parameters.requiretls && !offered.requiretls && envelope.reverse_path != ReversePath::Null {
        let text = "REQUIRETLS support required: the mail server behind does not offer it";
        return Some(Reply::new(550, EnhancedCode(5, 7, 30), text));
    }
    if envelope.parameters.body == Some(BodyType::EightBitMime) && !offered.eight_bit_mime {
        // RFC 6152 3
        let text = "the mail server behind does not take 8-bit mail";
        return Some(Reply::new(554, EnhancedCode(5, 6, 3), text));
    }
    None
}

#[cfg(test)]
mod tests;
