//! One host of a server behind: its connections and its health.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pc_net::{Clock, Stop};
use pc_queue::{Health, HealthState};
use pc_smtp::client::relayed;
use pc_smtp::{Envelope, ForwardPath, Recipient, Reply};
use pc_telemetry::Event;
use pc_tls::ClientTls;
use pc_types::{Domain, Timestamp};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Fault, Stream, positive};
use super::{HostSettings, Opened, Upstream, UpstreamTls, UpstreamTransaction, unsupported};
use crate::limits::{HANDSHAKE_TIMEOUT, UPSTREAM_IDLE_MAX, UPSTREAM_MESSAGES_MAX, UPSTREAM_SEAT_TIMEOUT};
use crate::recipients::{self, Known, RecipientCache};

/// What the hosts of one server behind have in common.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) node_name: Domain,
    pub(super) source_address: Option<IpAddr>,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
    pub(super) hand_over_timeout: Duration,
    pub(super) health_check: Option<Duration>,
    pub(super) recipients: Mutex<RecipientCache>,
    pub(super) clock: Clock,
}

impl Shared {
    pub(super) fn recipients(&self) -> MutexGuard<'_, RecipientCache> {
        self.recipients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remembered(&self, path: &ForwardPath) -> Option<Known> {
        self.recipients().look_up(&recipients::key(path)?, self.clock.now())
    }
}

pub(super) struct Host {
    settings: HostSettings,
    shared: Arc<Shared>,
    idle: Mutex<Vec<Idle>>,
    seats: Arc<Semaphore>,
    turn: AtomicU64,
    health: Mutex<Health>,
    /// Health changed, and with it the time of the next look.
    changed: Notify,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Where a host stands among the others.
pub(super) struct Rank {
    /// Asked after all that are not down.
    pub(super) reserve: bool,
    /// Asked after the others of its priority.
    pub(super) doubt: bool,
    /// When it was last asked first, counted in transactions.
    pub(super) turn: u64,
}

/// A transaction that was answered, or a connection on which the sender was refused; and its seat.
pub(super) struct Begun {
    connection: Connection,
    answer: Result<Reply, Reply>,
    seat: OwnedSemaphorePermit,
}

/// A host, for listings.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedHost {
    /// Host and port.
    pub address: String,
    /// The lowest is asked first.
    pub priority: u16,
    /// `up`, `doubtful`, `down`, `due`.
    pub state: &'static str,
    /// In this state since then; at most since the start.
    pub since: Timestamp,
    /// Asked after all others before this moment.
    pub down_until: Option<Timestamp>,
    /// What failed last, and when.
    pub last_fault: Option<String>,
    /// When that was.
    pub last_fault_at: Option<Timestamp>,
    /// In use at this moment.
    pub connections: usize,
}

impl Host {
    pub(super) fn new(settings: HostSettings, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            seats: Arc::new(Semaphore::new(settings.connections_max)),
            idle: Mutex::new(Vec::new()),
            turn: AtomicU64::new(0),
            health: Mutex::new(Health::new(shared.clock.now())),
            changed: Notify::new(),
            settings,
            shared,
        })
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        let HostSettings { host, port, .. } = &self.settings;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub(super) fn priority(&self) -> u16 {
        self.settings.priority
    }

    pub(super) fn command_timeout(&self) -> Duration {
        self.shared.command_timeout
    }

    pub(super) fn hand_over_timeout(&self) -> Duration {
        self.shared.hand_over_timeout
    }

    pub(super) fn connections_used(&self) -> usize {
        self.settings.connections_max.saturating_sub(self.seats.available_permits())
    }

    /// A host that is due is left to the looks at it, if there are any: they cost no mail its time.
    pub(super) fn rank(&self) -> Rank {
        let state = self.with_health(|health, now| (health.state(now), health));
        let reserve = match state {
            HealthState::Down(_) => true,
            HealthState::Due => self.shared.health_check.is_some(),
            HealthState::Doubtful | HealthState::Up => false,
        };
        let turn = self.turn.load(Ordering::Relaxed);
        Rank { reserve, doubt: state == HealthState::Doubtful, turn }
    }

    pub(super) fn listed(&self) -> ListedHost {
        self.with_health(|health, now| {
            let state = health.state(now);
            let fault = health.last_fault();
            let listed = ListedHost {
                address: self.address(),
                priority: self.settings.priority,
                state: state.code(),
                since: health.since(),
                down_until: if let HealthState::Down(until) = state { Some(until) } else { None },
                last_fault: fault.map(|fault| fault.text.clone()),
                last_fault_at: fault.map(|fault| fault.at),
                connections: self.connections_used(),
            };
            (listed, health)
        })
    }

    /// It answered; whether that is news.
    pub(super) fn answered(&self) -> bool {
        let returned = self.with_health(|health, now| {
            let was_down = matches!(health.state(now), HealthState::Down(_) | HealthState::Due);
            (was_down, health.answered(now))
        });
        if returned {
            let (upstream, host) = (&self.shared.name, self.address());
            Event::UpstreamHostChanged { upstream, host: &host, code: "up", error: "" }.emit();
            self.changed.notify_one();
        }
        returned
    }

    /// It failed: remembered, and told to the operator.
    pub(super) fn failed(&self, fault: Fault) -> Fault {
        let (upstream, host) = (&self.shared.name, self.address());
        Event::UpstreamFailed { upstream, host: &host, code: fault.code, error: &fault.detail }.emit();
        let Some(kind) = fault.kind() else { return fault };
        let text = fault.to_string();
        let change = self.with_health(|health, now| {
            let before = health.state(now).code();
            let health = health.failed(kind, &text, &format!("{upstream} {host}"), now);
            let after = health.state(now).code();
            ((before != after).then_some(after), health)
        });
        if let Some(code) = change {
            Event::UpstreamHostChanged { upstream, host: &host, code, error: &text }.emit();
        }
        self.changed.notify_one();
        fault
    }

    /// A message tries it first.
    pub(super) fn note_tried(&self, turn: u64) {
        self.turn.store(turn, Ordering::Relaxed);
        self.with_health(|health, now| ((), health.tried(now)));
    }

    fn with_health<T>(&self, change: impl FnOnce(Health, Timestamp) -> (T, Health)) -> T {
        let now = self.shared.clock.now();
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, after) = change(health.clone(), now);
        *health = after;
        found
    }

    /// Connects, greets and says goodbye.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let mut connection = self.connect().await?;
        // It has greeted; how it takes leave does not matter.
        let _ = connection.ask("QUIT\r\n", "quit", self.shared.command_timeout).await;
        Ok(())
    }

    /// Offers a first recipient, over an idle connection if there is one.
    pub(super) async fn offer(&self, envelope: &Envelope, recipient: &Recipient) -> Result<Begun, Fault> {
        let seat = timeout(UPSTREAM_SEAT_TIMEOUT, Arc::clone(&self.seats).acquire_owned()).await;
        let Ok(Ok(seat)) = seat else { return Err(self.failed(Fault::busy())) };
        let begun = match self.take_idle().await {
            Some(connection) => match self.begin(connection, envelope, recipient).await {
                // The server may have closed an idle connection at any time; nothing was lost by it.
                Err(_) => self.connect_and_begin(envelope, recipient).await,
                begun => begun,
            },
            None => self.connect_and_begin(envelope, recipient).await,
        };
        match begun {
            Ok((connection, answer)) => Ok(Begun { connection, answer, seat }),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    /// Remembers what was said about a recipient.
    pub(super) fn note_recipient(&self, path: &ForwardPath, reply: &Reply) {
        let known = match reply {
            reply if reply.is_positive() => Known::Exists,
            reply if recipients::denies_existence(reply) => Known::IsUnknown,
            _ => return,
        };
        if let Some(key) = recipients::key(path) {
            self.shared.recipients().note(key, known, self.shared.clock.now());
        }
    }

    pub(super) fn opened(
        self: Arc<Self>,
        begun: Begun,
        recipient: &Recipient,
        share: OwnedSemaphorePermit,
    ) -> Opened {
        match begun.answer {
            Ok(reply) => {
                self.note_recipient(&recipient.forward_path, &reply);
                let transaction = UpstreamTransaction {
                    connection: begun.connection,
                    recipients: usize::from(reply.is_positive()),
                    _seats: [share, begun.seat],
                    host: self,
                };
                Opened::Begun(Box::new(transaction), reply)
            }
            Err(reply) => {
                self.give_back(begun.connection);
                Opened::Refused(reply)
            }
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
        let patience = self.shared.command_timeout;
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
        let (settings, shared) = (&self.settings, &self.shared);
        let stream = match timeout(shared.connect_timeout, self.connect_socket()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault::new("connect", error)),
            Err(_) => return Err(Fault::new("connect", "no answer in time")),
        };
        // Commands are small and wait for replies.
        let _ = stream.set_nodelay(true);
        let patience = shared.command_timeout;
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
                connection.ehlo(&shared.node_name, patience).await?;
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
        connection.ehlo(&shared.node_name, patience).await?;
        // RFC 8689 4.2.1: what is said in plain text promises nothing.
        connection.offered.requiretls &= !matches!(settings.tls, UpstreamTls::Plain);
        Ok(connection)
    }

    async fn connect_socket(&self) -> std::io::Result<TcpStream> {
        let target = (self.settings.host.as_str(), self.settings.port);
        let Some(source) = self.shared.source_address else { return TcpStream::connect(target).await };
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

    pub(super) fn give_back(&self, connection: Connection) {
        if connection.messages < UPSTREAM_MESSAGES_MAX && connection.replies.is_empty() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// Looks at one host until `stop`.
pub(super) async fn watch(host: Arc<Host>, upstream: Arc<Upstream>, every: Duration, mut stop: Stop) {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX);
    let clock = host.shared.clock.clone();
    while !stop.is_stopped() {
        let at = host.with_health(|health, _| (health.check_at(every), health));
        tokio::select! {
            () = stop.stopped() => return,
            () = host.changed.notified() => continue,
            () = clock.wait_until(at) => {}
        }
        // Mail may have told meanwhile.
        if host.with_health(|health, now| (health.check_at(every) > now, health)) {
            continue;
        }
        tokio::select! {
            () = stop.stopped() => return,
            looked = host.look() => match looked {
                Ok(()) => upstream.note_answer(&host),
                Err(fault) => {
                    host.failed(fault);
                }
            }
        }
    }
}
