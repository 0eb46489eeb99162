//! # Purpose
//! Hands mail to the server behind by SMTP: opens connections under the TLS standard, keeps idle
//! ones for reuse, runs one transaction at a time over each.
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
//! that is a 4xx. A connection whose state is in doubt is closed, never reused. Mail is offered a
//! second time only where the first connection had been idle and nothing of the message was sent.

mod connection;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pc_smtp::client::{Capabilities, UpstreamReply, final_reply, relayed};
use pc_smtp::custody::Accepted;
use pc_smtp::header::Screened;
use pc_smtp::{BodyType, EnhancedCode, Envelope, Recipient, Reply, ReversePath};
use pc_telemetry::Event;
use pc_tls::ClientTls;
use pc_types::Domain;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{
    HAND_OVER_TIMEOUT, HANDSHAKE_TIMEOUT, UPSTREAM_IDLE_MAX, UPSTREAM_MESSAGES_MAX, UPSTREAM_SEAT_TIMEOUT,
    UPSTREAM_SHARE_PARTS, UPSTREAM_SHARES_MAX,
};
use crate::message::MessageBuffer;
pub use connection::Fault;
use connection::{Connection, Stream, positive};

/// How a connection to the server behind is secured.
pub enum UpstreamTls {
    /// TLS from the first octet.
    Implicit(ClientTls),
    /// Not at all; for loopback.
    Plain,
    /// STARTTLS, which the server must offer.
    StartTls(ClientTls),
}

/// Where and how to reach the server behind.
pub struct UpstreamSettings {
    /// For logs and the trace.
    pub name: String,
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name its certificate must have.
    pub tls_name: String,
    /// How the connection is secured.
    pub tls: UpstreamTls,
    /// We greet with this name.
    pub node_name: Domain,
    /// Connect from this address instead of the one the system chooses.
    pub source_address: Option<IpAddr>,
    /// At once.
    pub connections_max: usize,
    /// For connect and handshake together.
    pub connect_timeout: Duration,
    /// For each reply but the last.
    pub command_timeout: Duration,
}

/// A server behind with its idle connections.
pub struct Upstream {
    settings: UpstreamSettings,
    idle: Mutex<Vec<Idle>>,
    seats: Arc<Semaphore>,
    /// Seats of each client network, so that one client cannot take them all.
    shares: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A transaction that the server behind has begun.
pub struct UpstreamTransaction {
    upstream: Arc<Upstream>,
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
        let seats = Arc::new(Semaphore::new(settings.connections_max));
        Arc::new(Self { settings, idle: Mutex::new(Vec::new()), seats, shares: Mutex::new(HashMap::new()) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Connects, greets and closes: whether mail would go through now.
    ///
    /// # Errors
    /// One sentence with the step that failed.
    pub async fn probe(&self) -> Result<(), String> {
        match self.connect().await {
            Ok(_) => Ok(()),
            Err(fault) => Err(format!("{}: {}", fault.code, fault.detail)),
        }
    }

    /// Begins a transaction of a client from `network` with its first recipient.
    pub async fn open(
        self: &Arc<Self>,
        network: IpAddr,
        envelope: &Envelope,
        recipient: &Recipient,
    ) -> Opened {
        let seats = async {
            // The share first: who waits for it holds nothing that others need.
            let share = self.share_of(network).acquire_owned().await.ok()?;
            Some([share, Arc::clone(&self.seats).acquire_owned().await.ok()?])
        };
        let Ok(Some(seats)) = timeout(UPSTREAM_SEAT_TIMEOUT, seats).await else {
            return Opened::Unavailable(self.report(Fault::new("busy", "all connections are in use")));
        };
        let begun = match self.take_idle().await {
            Some(connection) => match self.begin(connection, envelope, recipient).await {
                // The server may have closed an idle connection at any time; nothing was lost by it.
                Err(_) => self.connect_and_begin(envelope, recipient).await,
                begun => begun,
            },
            None => self.connect_and_begin(envelope, recipient).await,
        };
        match begun {
            Ok((connection, Ok(reply))) => {
                let upstream = Arc::clone(self);
                let recipients = usize::from(reply.is_positive());
                let transaction = UpstreamTransaction { upstream, connection, recipients, _seats: seats };
                Opened::Begun(Box::new(transaction), reply)
            }
            Ok((connection, Err(reply))) => {
                self.give_back(connection);
                Opened::Refused(reply)
            }
            Err(fault) => Opened::Unavailable(self.report(fault)),
        }
    }

    async fn connect_and_begin(
        &self,
        envelope: &Envelope,
        recipient: &Recipient,
    ) -> Result<(Connection, Result<Reply, Reply>), Fault> {
        let connection = self.connect().await?;
        self.begin(connection, envelope, recipient).await
    }

    /// MAIL and the first RCPT. `Ok(Err(reply))`: the connection is fine, the sender was refused.
    async fn begin(
        &self,
        mut connection: Connection,
        envelope: &Envelope,
        recipient: &Recipient,
    ) -> Result<(Connection, Result<Reply, Reply>), Fault> {
        if let Some(refusal) = unsupported(envelope, connection.offered) {
            return Ok((connection, Err(refusal)));
        }
        let patience = self.settings.command_timeout;
        let mail = format!(
            "MAIL FROM:<{}>{}\r\n",
            envelope.reverse_path,
            envelope.parameters.render(&connection.offered)
        );
        let rcpt = connection.rcpt_line(recipient);
        let reset = std::mem::replace(&mut connection.begun, true);
        if connection.offered.pipelining {
            let mut lines = if reset { "RSET\r\n".to_owned() } else { String::new() };
            lines.push_str(&mail);
            lines.push_str(&rcpt);
            connection.write(lines.as_bytes(), patience).await?;
            if reset {
                positive(connection.reply("rset", patience).await?, "rset")?;
            }
            let mail = connection.reply("mail", patience).await?;
            let rcpt = connection.reply("rcpt", patience).await?;
            let answer = if mail.code / 100 == 2 { Ok(relayed(&rcpt)) } else { Err(relayed(&mail)) };
            return Ok((connection, answer));
        }
        if reset {
            positive(connection.ask("RSET\r\n", "rset", patience).await?, "rset")?;
        }
        let mail = connection.ask(&mail, "mail", patience).await?;
        if mail.code / 100 != 2 {
            return Ok((connection, Err(relayed(&mail))));
        }
        let rcpt = connection.ask(&rcpt, "rcpt", patience).await?;
        Ok((connection, Ok(relayed(&rcpt))))
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let settings = &self.settings;
        let stream = match timeout(settings.connect_timeout, self.connect_socket()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault::new("connect", error)),
            Err(_) => return Err(Fault::new("connect", "no answer in time")),
        };
        // Commands are small and wait for replies.
        let _ = stream.set_nodelay(true);
        let patience = settings.command_timeout;
        let mut connection = match &settings.tls {
            UpstreamTls::Implicit(tls) => {
                let stream = self.handshake(tls, Box::new(stream)).await?;
                let mut connection = Connection::new(stream);
                connection.greeting(patience).await?;
                connection
            }
            UpstreamTls::Plain => {
                let mut connection = Connection::new(Box::new(stream));
                connection.greeting(patience).await?;
                connection
            }
            UpstreamTls::StartTls(tls) => {
                let mut connection = Connection::new(Box::new(stream));
                connection.greeting(patience).await?;
                connection.ehlo(&settings.node_name, patience).await?;
                if !connection.offered.starttls {
                    return Err(Fault::new("starttls_missing", "the server does not offer STARTTLS"));
                }
                connection.positive("STARTTLS\r\n", "starttls", patience).await?;
                // Replies that came before TLS are not the server's (response injection, 2021).
                if !connection.replies.is_empty() {
                    return Err(Fault::new("starttls_injection", "octets came between STARTTLS and TLS"));
                }
                Connection::new(self.handshake(tls, connection.stream).await?)
            }
        };
        connection.ehlo(&settings.node_name, patience).await?;
        // RFC 8689 4.2.1: what is said in plain text promises nothing.
        connection.offered.requiretls &= !matches!(settings.tls, UpstreamTls::Plain);
        Ok(connection)
    }

    async fn connect_socket(&self) -> std::io::Result<TcpStream> {
        let target = (self.settings.host.as_str(), self.settings.port);
        let Some(source) = self.settings.source_address else { return TcpStream::connect(target).await };
        let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in tokio::net::lookup_host(target).await? {
            if address.is_ipv4() != source.is_ipv4() {
                continue;
            }
            let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind((source, 0).into())?;
            match socket.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn handshake(&self, tls: &ClientTls, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Fault> {
        match tls.connect(stream, &self.settings.tls_name, HANDSHAKE_TIMEOUT).await {
            Ok(connected) => Ok(Box::new(connected.stream)),
            Err(error) => Err(Fault::new("tls", error)),
        }
    }

    fn share_of(&self, network: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() > UPSTREAM_SHARES_MAX {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let size = (self.settings.connections_max / UPSTREAM_SHARE_PARTS).max(1);
        Arc::clone(shares.entry(network).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    /// An idle connection on which nothing has happened; octets or an end that nobody asked for
    /// leave its state in doubt.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let idle = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|idle| idle.since.elapsed() < UPSTREAM_IDLE_MAX);
                idle.pop()?
            };
            let mut connection = idle.connection;
            if connection.is_quiet().await {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        if connection.messages < UPSTREAM_MESSAGES_MAX && connection.replies.is_empty() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Tells the operator.
    fn report(&self, fault: Fault) -> Fault {
        Event::UpstreamFailed { upstream: self.name(), code: fault.code, error: &fault.detail }.emit();
        fault
    }
}

impl UpstreamTransaction {
    /// Where it goes.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Offers a further recipient. On `Err` the transaction is gone.
    ///
    /// # Errors
    /// When the server behind could not be reached or broke off.
    pub async fn recipient(mut self: Box<Self>, recipient: &Recipient) -> Result<(Box<Self>, Reply), Fault> {
        let line = self.connection.rcpt_line(recipient);
        let patience = self.upstream.settings.command_timeout;
        match self.connection.ask(&line, "rcpt", patience).await {
            Ok(reply) => {
                let reply = relayed(&reply);
                self.recipients += usize::from(reply.is_positive());
                Ok((self, reply))
            }
            Err(fault) => Err(self.upstream.report(fault)),
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
        let patience = self.upstream.settings.command_timeout;
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
                None => self.connection.reply("end_of_data", HAND_OVER_TIMEOUT).await,
            }
        };
        // One bound over all of it: our client waits ten minutes and then sends the message again.
        let fault = match timeout(HAND_OVER_TIMEOUT, sending).await {
            Ok(Ok(reply)) => return self.ended(&reply),
            Ok(Err(fault)) => fault,
            Err(_) => Fault::new("end_of_data", "the server took too long over the message"),
        };
        Err(HandOverError::Unavailable(self.upstream.report(fault)))
    }

    fn ended(mut self, reply: &UpstreamReply) -> Result<(Accepted, String), HandOverError> {
        self.connection.messages += 1;
        let taken = final_reply(reply).map(|accepted| (accepted, reply.lines.join(" ")));
        // A transaction ends with the answer to its data, good or bad; RFC 5321 4.1.1.4.
        self.connection.begun = taken.is_err();
        self.upstream.give_back(self.connection);
        taken.map_err(HandOverError::Refused)
    }

    /// Gives the connection back without a message.
    pub fn abandon(self) {
        self.upstream.give_back(self.connection);
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
