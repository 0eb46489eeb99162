use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use pc_enforce::ConnectorMatch;
use pc_net::limits::REFUSAL_TIMEOUT;
use pc_net::{OwnPeers, Stop};
use pc_smtp::{Effect, Envelope, Greeting, Input, Offer, Recipient, Reply, Session, TlsPolicy};
use pc_store::TlsClientRow;
use pc_telemetry::Event;
use pc_tls::{ClientCertificate, ClientHello, Refusal, ServerTls};
use pc_types::{Escaped, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::admission;
use crate::connector::{ConnectorSettings, Matched};
use crate::early::{self, Patience};
use crate::edge::Edge;
use crate::limits::{HANDSHAKE_TIMEOUT, IDLE_READ_OCTETS, READ_OCTETS, REPLY_DELAY_MAX, WRITE_TIMEOUT};
use crate::sender::ListReports;
use crate::steps::millis;
use crate::tarpit::Delayed;
use crate::transaction::Transaction;

/// When TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// With the first octet, RFC 8314 3.3.
    Implicit,
    /// After STARTTLS.
    StartTls,
}

/// A listener of the SMTP edge.
pub struct Listener {
    /// For logs.
    pub name: String,
    /// When TLS begins.
    pub mode: ListenerTls,
    /// Its own sessions and tickets.
    pub tls: ServerTls,
    /// By which the node looks at itself.
    pub own: OwnPeers,
}

/// Who is connected, and under which rules.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) connector: Arc<ConnectorSettings>,
    /// What proved that these are the rules.
    pub(crate) matched: ConnectorMatch,
    /// What the certificate that it showed is worth.
    pub(crate) certificate: Option<String>,
    /// Version and suite.
    pub(crate) tls: Option<(&'static str, &'static str)>,
    /// Where it was taken.
    pub(crate) listener: String,
    /// When the connection was opened, by both clocks.
    pub(crate) opened: Instant,
    pub(crate) opened_at: Timestamp,
    /// When the handshake was done, since `opened`.
    pub(crate) secured_ms: Option<u64>,
    /// The first greeting in this security, and when it was taken, since `opened`.
    pub(crate) greeted: OnceLock<(u64, Greeting)>,
    /// Set with the first MAIL.
    pub(crate) mailed: OnceLock<()>,
    /// DNS lists that are asked about it.
    pub(crate) lists: Option<ListReports>,
    /// The first sender whose MAIL met a limit, and what it heard.
    pub(crate) turned_away: OnceLock<(String, String)>,
    /// The node looks at its own listener: nothing of it is counted or kept.
    pub(crate) is_own: bool,
}

impl Peer {
    /// A peer that has just connected.
    pub(crate) fn new(
        address: IpAddr,
        (connector, matched): Matched,
        listener: &str,
        opened_at: Timestamp,
    ) -> Self {
        Self {
            address,
            connector,
            matched,
            certificate: None,
            tls: None,
            listener: listener.to_owned(),
            opened: Instant::now(),
            opened_at,
            secured_ms: None,
            greeted: OnceLock::new(),
            mailed: OnceLock::new(),
            lists: None,
            turned_away: OnceLock::new(),
            is_own: false,
        }
    }

    /// Milliseconds since the connection was opened.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        millis(self.opened)
    }
}

/// Serves one connection to its end.
pub async fn serve(
    edge: Arc<Edge>,
    listener: Arc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: Stop,
) {
    let (origin, address) = (peer, peer.ip().to_canonical());
    let matched = edge.settings.match_address(address);
    let mut peer = Peer::new(address, matched, &listener.name, edge.clock.now());
    peer.is_own = listener.own.has(origin);
    if !peer.is_own {
        peer.lists = edge.sender_checks.begin_lists(peer.address, &peer.matched);
    }
    // Errors of the socket end the session; whatever was open is dropped with it.
    let _ = serve_stream(&edge, &listener, stream, &mut peer, stop).await;
}

async fn serve_stream(
    edge: &Arc<Edge>,
    listener: &Listener,
    stream: TcpStream,
    peer: &mut Peer,
    stop: Stop,
) -> io::Result<()> {
    let offer = Offer {
        node_name: edge.settings.node_name.clone(),
        message_octets_max: edge.settings.message_octets_max,
        recipients_max: edge.settings.recipients_max,
        tls_policy: if peer.connector.tls_required { TlsPolicy::Required } else { TlsPolicy::Offered },
    };
    if let Err(reply) = admission::connection(edge, peer) {
        return turn_away(listener, stream, &reply).await;
    }
    if listener.mode == ListenerTls::Implicit {
        let Some(stream) = shake_hands(edge, listener, stream, peer).await else { return Ok(()) };
        let Some(stream) = await_silence(edge, peer, stream).await? else { return Ok(()) };
        let (session, effects) = Session::open_in_tls(offer);
        Loop::new(edge, peer, stream, stop).run(session, effects).await?;
        return Ok(());
    }
    let Some(stream) = await_silence(edge, peer, stream).await? else { return Ok(()) };
    let (session, effects) = Session::open(offer);
    let plain = Loop::new(edge, peer, stream, stop.clone());
    let Some((session, stream)) = plain.run(session, effects).await? else { return Ok(()) };
    let Some(stream) = shake_hands(edge, listener, stream, peer).await else { return Ok(()) };
    let (session, effects) = session.handle(Input::TlsUp);
    Loop::new(edge, peer, stream, stop).run(session, effects).await?;
    Ok(())
}

/// Gives the stream back when the client waits for its greeting as it should.
async fn await_silence<S: AsyncRead + AsyncWrite + Unpin>(
    edge: &Edge,
    peer: &Peer,
    mut stream: S,
) -> io::Result<Option<S>> {
    let delay = admission::greeting_delay(edge, peer);
    if delay.is_zero() {
        return Ok(Some(stream));
    }
    match early::patience(&mut stream, delay).await? {
        Patience::Kept => Ok(Some(stream)),
        Patience::Gone => Ok(None),
        Patience::Broken => {
            say_and_close(&mut stream, &admission::early_talker(edge, peer)).await?;
            Ok(None)
        }
    }
}

/// Ends a connection before its greeting. Where TLS comes first there are no words: a handshake for them would
/// cost more than the connection.
async fn turn_away(listener: &Listener, mut stream: TcpStream, reply: &Reply) -> io::Result<()> {
    if listener.mode == ListenerTls::Implicit {
        return Ok(());
    }
    say_and_close(&mut stream, reply).await
}

async fn say_and_close(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    let write = async {
        stream.write_all(&reply.to_bytes()).await?;
        stream.shutdown().await
    };
    timeout(REFUSAL_TIMEOUT, write).await.unwrap_or(Ok(()))
}

async fn shake_hands(
    edge: &Edge,
    listener: &Listener,
    stream: TcpStream,
    peer: &mut Peer,
) -> Option<pc_tls::ServerStream<TcpStream>> {
    match listener.tls.accept(stream, HANDSHAKE_TIMEOUT).await {
        Ok(accepted) => {
            let (version, suite) = (accepted.version, accepted.suite);
            if !peer.is_own {
                Event::TlsEstablished { listener: &listener.name, version, suite }.emit();
            }
            peer.tls = Some((version, suite));
            peer.secured_ms = Some(peer.elapsed_ms());
            match_certificate(edge, peer, &accepted.client);
            // What was said in plain text is forgotten.
            peer.greeted = OnceLock::new();
            Some(accepted.stream)
        }
        Err(_) if peer.is_own => None,
        Err((refusal, hello)) => {
            // Who only looks whether the port is open does no wrong.
            if !matches!(refusal, Refusal::Closed) {
                admission::handshake_refused(edge, peer);
            }
            report_refusal(edge, listener, peer.address, &refusal, hello.as_deref());
            None
        }
    }
}

/// What a certificate proves stands above the address that the client came from.
fn match_certificate(edge: &Edge, peer: &mut Peer, certificate: &ClientCertificate) {
    let matched = edge.settings.match_certificate(certificate);
    peer.certificate = match (certificate, &matched) {
        (ClientCertificate::None, _) => None,
        (ClientCertificate::Unverified { reason }, _) => {
            Some(format!("proves nothing: {}", Escaped::new(reason)))
        }
        (ClientCertificate::Verified { .. }, None) => {
            Some("is trusted, and proves no name of a connector".to_owned())
        }
        (ClientCertificate::Verified { .. }, Some((_, matched))) => Some(format!("connector {matched}")),
    };
    if let Some((connector, matched)) = matched {
        (peer.connector, peer.matched) = (connector, matched);
        // Nobody is asked about whom the operator names.
        peer.lists = None;
    }
}

/// A refused client is remembered, since it may be the oldest server of all (peers that cannot speak
/// the standard never get as far as a header).
fn report_refusal(
    edge: &Edge,
    listener: &Listener,
    address: IpAddr,
    refusal: &Refusal,
    hello: Option<&ClientHello>,
) {
    let ja4 = hello.map_or_else(String::new, |hello| hello.ja4());
    Event::TlsRefused { listener: &listener.name, address, code: refusal.code(), client: &ja4 }.emit();
    if matches!(refusal, Refusal::Closed) {
        return;
    }
    let offer = hello.map(ClientHello::offer);
    edge.writer.tls_client(TlsClientRow::new(
        &listener.name,
        address,
        refusal.code(),
        offer,
        edge.clock.now(),
    ));
}

/// The loop between one stream and one session: the only code that awaits the client.
struct Loop<'a, S> {
    edge: &'a Arc<Edge>,
    peer: &'a Peer,
    stream: S,
    stop: Stop,
    out: Vec<u8>,
    transaction: Option<Box<Transaction>>,
    /// Commands answered since the last look at their limit.
    answered: u64,
    started: Instant,
    /// When replies were last written.
    flushed: Instant,
}

/// What the effects of one input lead to.
enum Next {
    Close,
    Read,
    StartTls,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Loop<'a, S> {
    fn new(edge: &'a Arc<Edge>, peer: &'a Peer, stream: S, stop: Stop) -> Self {
        Self {
            edge,
            peer,
            stream,
            stop,
            out: Vec::new(),
            transaction: None,
            answered: 0,
            started: Instant::now(),
            flushed: Instant::now(),
        }
    }

    /// Runs until the session ends (`None`) or asks for TLS, when session and stream come back.
    async fn run(mut self, session: Session, effects: Vec<Effect>) -> io::Result<Option<(Session, S)>> {
        let ended = self.turns(session, effects).await;
        if let Some(transaction) = self.transaction.take() {
            transaction.abandon(self.edge, self.peer, "connection lost");
        }
        // With a session the connection goes on, in TLS.
        if !matches!(ended, Ok(Some(_))) {
            crate::silent::write_silent_session(self.edge, self.peer);
        }
        Ok(ended?.map(|session| (session, self.stream)))
    }

    async fn turns(&mut self, session: Session, effects: Vec<Effect>) -> io::Result<Option<Session>> {
        let (mut session, mut next) = self.carry_out(session, effects).await?;
        // The greeting answers no command.
        self.answered = 0;
        let mut buffer = Vec::new();
        let mut told_to_stop = false;
        loop {
            if self.is_tarpitted() && self.edge.tarpit.delay(&mut self.stop).await == Delayed::Full {
                self.out = admission::tarpit_full(self.peer).to_bytes();
                next = Next::Close;
            }
            self.flush().await?;
            match next {
                Next::Close => {
                    let _ = timeout(WRITE_TIMEOUT, self.stream.shutdown()).await;
                    return Ok(None);
                }
                Next::StartTls => return Ok(Some(session)),
                Next::Read => {}
            }
            // What was answered is out, so a message that was taken is known to be.
            if let Err(reply) = admission::commands(self.edge, self.peer, std::mem::take(&mut self.answered))
            {
                reply.write_to(&mut self.out);
                next = Next::Close;
                continue;
            }
            let patience = self.patience(&session);
            if patience.is_zero() {
                // Octets that are ready must not put the end off.
                let (after, effects) = session.handle(Input::Timeout);
                (session, next) = self.carry_out(after, effects).await?;
                continue;
            }
            let seat_left = self.transaction.as_ref().and_then(|transaction| transaction.seat_left());
            if seat_left.is_some_and(|left| left.is_zero()) {
                self.give_seat_back();
                continue;
            }
            // Thousands of connections wait between transactions; few are inside one.
            let wanted = if session.in_transaction() { READ_OCTETS } else { IDLE_READ_OCTETS };
            if buffer.len() != wanted {
                buffer = vec![0; wanted];
            }
            let input = tokio::select! {
                () = tokio::time::sleep(seat_left.unwrap_or_default()), if seat_left.is_some() => continue,
                () = self.stop.stopped(), if !told_to_stop || !session.in_transaction() => {
                    told_to_stop = true;
                    Input::Shutdown
                }
                read = timeout(patience, self.stream.read(&mut buffer)) => match read {
                    Ok(Ok(0)) => return Ok(None),
                    Ok(Ok(count)) => Input::Bytes(buffer.get(..count).unwrap_or_default()),
                    Ok(Err(error)) => return Err(error),
                    Err(_) => Input::Timeout,
                },
            };
            let (after, effects) = session.handle(input);
            (session, next) = self.carry_out(after, effects).await?;
            if let Some(greeting) = session.greeting() {
                self.peer.greeted.get_or_init(|| (self.peer.elapsed_ms(), greeting.clone()));
            }
        }
    }

    /// Whether the replies that are ready wait. Not with a message in memory or a connection to the server
    /// behind, which others could use.
    fn is_tarpitted(&self) -> bool {
        let holds =
            |transaction: &Transaction| transaction.seat_left().is_some() || transaction.holds_octets();
        !self.out.is_empty()
            && !self.transaction.as_deref().is_some_and(holds)
            && admission::is_tarpitted(self.edge, self.peer)
    }

    fn give_seat_back(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.give_seat_back();
        }
    }

    /// The state's patience, cut by the limits of session and message.
    fn patience(&self, session: &Session) -> std::time::Duration {
        use pc_smtp::limits::{MESSAGE_TIMEOUT_SECONDS, SESSION_TIMEOUT_SECONDS};
        let session_left =
            std::time::Duration::from_secs(SESSION_TIMEOUT_SECONDS).saturating_sub(self.started.elapsed());
        let message_left = self.transaction.as_ref().map_or(session_left, |transaction| {
            std::time::Duration::from_secs(MESSAGE_TIMEOUT_SECONDS).saturating_sub(transaction.elapsed())
        });
        session.patience().min(message_left)
    }

    /// Carries out effects; an answer leads to further effects.
    async fn carry_out(&mut self, mut session: Session, effects: Vec<Effect>) -> io::Result<(Session, Next)> {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let answer = match effect {
                Effect::Abandon => {
                    if let Some(transaction) = self.transaction.take() {
                        transaction.abandon(self.edge, self.peer, "abandoned by the client");
                    }
                    continue;
                }
                Effect::Body(octets) => {
                    admission::octets(self.edge, self.peer, octets.len());
                    if let Some(transaction) = &mut self.transaction {
                        transaction.body(&octets);
                    }
                    continue;
                }
                Effect::CheckMail(greeting, envelope) => Input::Answer(self.mail(&greeting, envelope)),
                Effect::CheckRecipient(recipient) => {
                    if self.flushed.elapsed() > REPLY_DELAY_MAX {
                        self.flush().await?;
                    }
                    Input::Answer(self.recipient(recipient).await)
                }
                Effect::Close => return Ok((session, Next::Close)),
                Effect::EndOfMessage(envelope) => {
                    // Handing over may take longer than the client waits for earlier replies.
                    self.flush().await?;
                    match self.transaction.take() {
                        Some(transaction) => {
                            Input::End(transaction.end(self.edge, self.peer, envelope).await)
                        }
                        None => Input::End(pc_smtp::EndAnswer::Refused(crate::upstream::unavailable())),
                    }
                }
                Effect::Rejected(rejection) => {
                    admission::rejected(self.edge, self.peer, rejection);
                    Event::SmtpRejected { address: self.peer.address, code: rejection.code() }.emit();
                    continue;
                }
                Effect::Reply(reply) => {
                    self.answered += 1;
                    reply.write_to(&mut self.out);
                    continue;
                }
                Effect::StartTls => return Ok((session, Next::StartTls)),
            };
            let (after, further) = session.handle(answer);
            session = after;
            // Effects of an answer come before whatever stood behind the question; nothing does.
            effects.extend(further);
        }
        Ok((session, Next::Read))
    }

    /// Answers MAIL.
    fn mail(&mut self, greeting: &Greeting, envelope: Envelope) -> Reply {
        if let Err(reply) = admission::mail(self.edge, self.peer) {
            self.peer.turned_away.get_or_init(|| (envelope.reverse_path.to_string(), reply.summary()));
            return reply;
        }
        self.peer.mailed.get_or_init(|| ());
        let (transaction, reply) = Transaction::begin(self.edge, self.peer, greeting, envelope);
        self.transaction = Some(transaction);
        reply
    }

    /// Answers RCPT.
    async fn recipient(&mut self, recipient: Recipient) -> Reply {
        let Some(transaction) = &mut self.transaction else { return crate::upstream::unavailable() };
        if let Err(reply) = admission::recipient(self.edge, self.peer) {
            transaction.recipient_refused(&recipient, &reply);
            return reply;
        }
        let reply = transaction.recipient(self.edge, self.peer, recipient).await;
        if !transaction.has_failed() {
            admission::recipient_answered(self.edge, self.peer, &reply);
        }
        reply
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        if self.out.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        match timeout(WRITE_TIMEOUT, write).await {
            Ok(written) => written?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
        self.out.clear();
        Ok(())
    }
}
