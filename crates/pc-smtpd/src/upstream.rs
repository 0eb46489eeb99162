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

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::io::Read;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use pc_smtp::client::{Capabilities, DotStuffer, ReplyReader, UpstreamReply, final_reply, relayed};
use pc_smtp::custody::Accepted;
use pc_smtp::header::Screened;
use pc_smtp::{BodyType, EnhancedCode, Envelope, Recipient, Reply};
use pc_telemetry::Event;
use pc_tls::ClientTls;
use pc_types::Domain;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{
    HAND_OVER_TIMEOUT, HANDSHAKE_TIMEOUT, READ_OCTETS, UPSTREAM_IDLE_MAX, UPSTREAM_MESSAGES_MAX,
    UPSTREAM_SEAT_TIMEOUT, UPSTREAM_SHARE_PARTS, UPSTREAM_SHARES_MAX, WRITE_OCTETS,
};
use crate::message::MessageBuffer;

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

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    replies: ReplyReader,
    buffer: Vec<u8>,
    offered: Capabilities,
    messages: u32,
    /// A transaction was begun that must be reset before the next.
    begun: bool,
}

/// What went wrong, with the step at which it did.
#[derive(Debug)]
struct Fault {
    code: &'static str,
    detail: String,
}

impl Fault {
    fn new(code: &'static str, detail: impl fmt::Display) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

/// What came of offering the first recipient.
pub enum Opened {
    /// The transaction stands; the reply is to this recipient, positive or not.
    Begun(Box<UpstreamTransaction>, Reply),
    /// There is no transaction; the reply says why.
    Failed(Reply),
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
            return Opened::Failed(self.report(&Fault::new("busy", "all connections are in use")));
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
                Opened::Failed(reply)
            }
            Err(fault) => Opened::Failed(self.report(&fault)),
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

    /// Tells the operator everything and the client enough.
    fn report(&self, fault: &Fault) -> Reply {
        Event::UpstreamFailed { upstream: self.name(), code: fault.code, error: &fault.detail }.emit();
        unavailable()
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
    /// The reply to give, when the server behind failed.
    pub async fn recipient(mut self: Box<Self>, recipient: &Recipient) -> Result<(Box<Self>, Reply), Reply> {
        let line = self.connection.rcpt_line(recipient);
        let patience = self.upstream.settings.command_timeout;
        match self.connection.ask(&line, "rcpt", patience).await {
            Ok(reply) => {
                let reply = relayed(&reply);
                self.recipients += usize::from(reply.is_positive());
                Ok((self, reply))
            }
            Err(fault) => Err(self.upstream.report(&fault)),
        }
    }

    /// Recipients that the server behind took.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// Sends the message: `prefix` (our own header fields), then what was screened.
    ///
    /// # Errors
    /// The reply to give: the server's refusal in its own words, or 451.
    pub async fn deliver(
        mut self: Box<Self>,
        prefix: &[u8],
        screened: &Screened,
        message: &mut MessageBuffer,
    ) -> Result<(Accepted, String), Reply> {
        let patience = self.upstream.settings.command_timeout;
        let sending = async {
            if !self.connection.is_quiet().await {
                return Err(Fault::new("stray_reply", "octets came that nobody asked for"));
            }
            let refusal = if self.connection.offered.chunking {
                self.connection.send_chunk(prefix, screened, message, patience).await?
            } else {
                self.connection.send_data(prefix, screened, message, patience).await?
            };
            match refusal {
                Some(refusal) => Ok(refusal),
                None => self.connection.reply("end_of_data", HAND_OVER_TIMEOUT).await,
            }
        };
        // One bound over all of it: our client waits ten minutes and then sends the message again.
        let reply = match timeout(HAND_OVER_TIMEOUT, sending).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(fault)) => return Err(self.upstream.report(&fault)),
            Err(_) => {
                let fault = Fault::new("end_of_data", "the server took too long over the message");
                return Err(self.upstream.report(&fault));
            }
        };
        self.connection.messages += 1;
        let taken = final_reply(&reply).map(|accepted| (accepted, reply.lines.join(" ")));
        // A transaction ends with the answer to its data, good or bad; RFC 5321 4.1.1.4.
        self.connection.begun = taken.is_err();
        self.upstream.give_back(self.connection);
        taken
    }

    /// Gives the connection back without a message.
    pub fn abandon(self) {
        self.upstream.give_back(self.connection);
    }
}

impl Connection {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            replies: ReplyReader::default(),
            buffer: Vec::new(),
            offered: Capabilities::default(),
            messages: 0,
            begun: false,
        }
    }

    /// Whether the server has said nothing unasked and not closed.
    async fn is_quiet(&mut self) -> bool {
        self.buffer.resize(READ_OCTETS, 0);
        let (stream, mut buffer) = (&mut self.stream, ReadBuf::new(&mut self.buffer));
        // One poll; a timeout of zero would wait for the runtime's next millisecond.
        let has_nothing = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer).is_pending())
        })
        .await;
        has_nothing && self.replies.is_empty()
    }

    async fn greeting(&mut self, patience: Duration) -> Result<(), Fault> {
        let reply = self.reply("greeting", patience).await?;
        if reply.code == 220 { Ok(()) } else { Err(Fault::new("greeting", relayed(&reply).summary())) }
    }

    async fn ehlo(&mut self, node_name: &Domain, patience: Duration) -> Result<(), Fault> {
        let reply = self.positive(&format!("EHLO {node_name}\r\n"), "ehlo", patience).await?;
        self.offered = Capabilities::from_ehlo(&reply);
        Ok(())
    }

    async fn positive(
        &mut self,
        line: &str,
        step: &'static str,
        patience: Duration,
    ) -> Result<UpstreamReply, Fault> {
        positive(self.ask(line, step, patience).await?, step)
    }

    async fn ask(
        &mut self,
        line: &str,
        step: &'static str,
        patience: Duration,
    ) -> Result<UpstreamReply, Fault> {
        if !self.replies.is_empty() {
            return Err(Fault::new("stray_reply", "a reply came that nobody asked for"));
        }
        self.write(line.as_bytes(), patience).await?;
        self.reply(step, patience).await
    }

    async fn write(&mut self, octets: &[u8], patience: Duration) -> Result<(), Fault> {
        let write = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        match timeout(patience, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::new("write", error)),
            Err(_) => Err(Fault::new("write", "the server did not read in time")),
        }
    }

    async fn reply(&mut self, step: &'static str, patience: Duration) -> Result<UpstreamReply, Fault> {
        let read = async {
            loop {
                if let Some(reply) = self.replies.next_reply().map_err(|fault| Fault::new(step, fault))? {
                    return Ok(reply);
                }
                self.buffer.resize(READ_OCTETS, 0);
                let count =
                    self.stream.read(&mut self.buffer).await.map_err(|error| Fault::new(step, error))?;
                if count == 0 {
                    return Err(Fault::new(step, "the server closed the connection"));
                }
                self.replies.push(self.buffer.get(..count).unwrap_or_default());
            }
        };
        match timeout(patience, read).await {
            // RFC 5321 3.8: 421 says that the connection ends, whatever was asked.
            Ok(Ok(reply)) if reply.code == 421 => Err(Fault::new(step, reply.lines.join(" "))),
            Ok(reply) => reply,
            Err(_) => Err(Fault::new(step, "no reply in time")),
        }
    }

    fn rcpt_line(&self, recipient: &Recipient) -> String {
        format!("RCPT TO:<{}>{}\r\n", recipient.forward_path, recipient.render_parameters(&self.offered))
    }

    /// RFC 3030: the whole message as one last chunk, without waiting for a go-ahead.
    async fn send_chunk(
        &mut self,
        prefix: &[u8],
        screened: &Screened,
        message: &mut MessageBuffer,
        patience: Duration,
    ) -> Result<Option<UpstreamReply>, Fault> {
        let octets = screened.octets_after(message.octets()) + prefix.len() as u64;
        let mut out = format!("BDAT {octets} LAST\r\n").into_bytes();
        out.extend_from_slice(prefix);
        for piece in screened.pieces(message.head()) {
            out.extend_from_slice(piece);
        }
        self.write(&out, patience).await?;
        self.copy_rest(message, patience, |octets, out| out.extend_from_slice(octets)).await?;
        Ok(None)
    }

    /// RFC 5321 4.1.1.4. A refusal of DATA itself is returned.
    async fn send_data(
        &mut self,
        prefix: &[u8],
        screened: &Screened,
        message: &mut MessageBuffer,
        patience: Duration,
    ) -> Result<Option<UpstreamReply>, Fault> {
        let go = self.ask("DATA\r\n", "data", patience).await?;
        if go.code != 354 {
            // A 2xx here is no custody of anything.
            let code = if go.code / 100 == 2 { 451 } else { go.code };
            return Ok(Some(UpstreamReply { code, ..go }));
        }
        let mut stuffer = DotStuffer::default();
        let mut out = Vec::new();
        stuffer.push(prefix, &mut out);
        for piece in screened.pieces(message.head()) {
            stuffer.push(piece, &mut out);
        }
        self.write(&out, patience).await?;
        self.copy_rest(message, patience, |octets, out| stuffer.push(octets, out)).await?;
        out.clear();
        stuffer.finish(&mut out);
        self.write(&out, patience).await?;
        Ok(None)
    }

    async fn copy_rest(
        &mut self,
        message: &mut MessageBuffer,
        patience: Duration,
        mut encode: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<(), Fault> {
        let local = |error: std::io::Error| Fault::new("temporary_file", error);
        let Some(rest) = message.rest().map_err(local)? else { return Ok(()) };
        let mut octets = vec![0; WRITE_OCTETS];
        let mut out = Vec::new();
        loop {
            let count = rest.read(&mut octets).map_err(local)?;
            if count == 0 {
                return Ok(());
            }
            out.clear();
            encode(octets.get(..count).unwrap_or_default(), &mut out);
            self.write(&out, patience).await?;
        }
    }
}

/// A reply that is not 2xx leaves the connection unusable at this step.
fn positive(reply: UpstreamReply, step: &'static str) -> Result<UpstreamReply, Fault> {
    if reply.code / 100 == 2 { Ok(reply) } else { Err(Fault::new(step, relayed(&reply).summary())) }
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
    if envelope.parameters.body == Some(BodyType::EightBitMime) && !offered.eight_bit_mime {
        // RFC 6152 3
        let text = "the mail server behind does not take 8-bit mail";
        return Some(Reply::new(554, EnhancedCode(5, 6, 3), text));
    }
    None
}
