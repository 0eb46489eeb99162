use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pc_net::limits::REFUSAL_TIMEOUT;
use pc_net::{Clock, OwnPeers, ProxyTls, Stop, network_of};
use pc_store::{TlsClientRow, Writer};
use pc_stream::{AwaitCommand, Effect, Farewell, Input, LoginFailures, PlainNext, Protocol, Relay};
use pc_telemetry::Event;
use pc_tls::{ClientHello, Refusal, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::limits::{
    COMMAND_READ_OCTETS, HANDSHAKE_TIMEOUT, LOGIN_SILENCE_MAX, LOGIN_TIMEOUT, PLAIN_TIMEOUT, WRITE_TIMEOUT,
};
use crate::pipe::{AtStop, Passed, pipe};
use crate::server::{Client, Opened, Server};

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// With the first octet, RFC 8314 3.3.
    Implicit,
    /// After STARTTLS or STLS.
    StartTls,
}

/// What all streams have in common.
pub struct Shared {
    /// Where `now` comes from.
    pub clock: Clock,
    /// Takes the refused hellos.
    pub writer: Writer,
    /// Failed logins over all streams.
    pub failures: Mutex<LoginFailures>,
}

/// A listener for mail programs.
pub struct Listener {
    /// For logs.
    pub name: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// When TLS begins.
    pub mode: ListenerTls,
    /// Its own sessions and tickets.
    pub tls: ServerTls,
    /// Who is behind.
    pub server: Server,
    /// We greet with this name.
    pub node_name: String,
    /// Silence after a login.
    pub idle_timeout: Duration,
    /// From one network; 0 for no limit.
    pub login_failures_per_hour: u64,
    /// What all streams have in common.
    pub shared: Arc<Shared>,
    /// By which the node looks at itself.
    pub own: OwnPeers,
}

/// One client on its way.
struct Visit<'a> {
    listener: &'a Listener,
    peer: SocketAddr,
    address: IpAddr,
    passed: Passed,
    host: String,
}

/// Serves one connection to its end.
pub async fn serve(listener: Arc<Listener>, stream: TcpStream, peer: SocketAddr, mut stop: Stop) {
    if listener.own.has(peer) {
        // Nothing of it is counted or kept, and its end tells the node all.
        let _ = looked_at(&listener, stream, peer, &mut stop).await;
        return;
    }
    let started = Instant::now();
    let address = peer.ip().to_canonical();
    let mut visit =
        Visit { listener: &listener, peer, address, passed: Passed::default(), host: String::new() };
    // Errors of a socket end the connection and say nothing more.
    let code = visit.run(stream, &mut stop).await.unwrap_or("connection_lost");
    Event::StreamEnded {
        listener: &listener.name,
        address,
        protocol: listener.protocol.code(),
        host: &visit.host,
        code,
        octets_in: visit.passed.client.load(Ordering::Relaxed),
        octets_out: visit.passed.server.load(Ordering::Relaxed),
        elapsed: started.elapsed(),
    }
    .emit();
}

/// The node looks at its own listener: up to TLS, since what is said in it comes from the server behind.
async fn looked_at(
    listener: &Listener,
    mut stream: TcpStream,
    peer: SocketAddr,
    stop: &mut Stop,
) -> io::Result<()> {
    let address = peer.ip().to_canonical();
    let visit = Visit { listener, peer, address, passed: Passed::default(), host: String::new() };
    if listener.mode == ListenerTls::StartTls && visit.plain(&mut stream, stop).await?.is_some() {
        return Ok(());
    }
    let Ok(mut accepted) = listener.tls.accept(stream, HANDSHAKE_TIMEOUT).await else { return Ok(()) };
    let mut octet = [0; 1];
    tokio::select! {
        _ = timeout(PLAIN_TIMEOUT, accepted.stream.read(&mut octet)) => {}
        () = stop.stopped() => {}
    }
    Ok(())
}

impl Visit<'_> {
    async fn run(&mut self, mut stream: TcpStream, stop: &mut Stop) -> io::Result<&'static str> {
        let listener = self.listener;
        if self.has_failed_too_often() {
            self.limit_reached();
            // Where TLS comes first there are no words: a handshake for them would cost more than the connection.
            if listener.mode == ListenerTls::StartTls {
                self.say_farewell(&mut stream, Farewell::LoginFailures).await;
            }
            return Ok("login_failures");
        }
        if listener.mode == ListenerTls::StartTls
            && let Some(code) = self.plain(&mut stream, stop).await?
        {
            return Ok(code);
        }
        let local = stream.local_addr()?;
        let accepted = match listener.tls.accept(stream, HANDSHAKE_TIMEOUT).await {
            Ok(accepted) => accepted,
            Err((refusal, hello)) => {
                self.report_refusal(&refusal, hello.as_deref());
                return Ok("tls_refused");
            }
        };
        let (version, suite) = (accepted.version, accepted.suite);
        Event::TlsEstablished { listener: &listener.name, version, suite }.emit();
        let cipher = openssl_name(suite);
        let authority = accepted.hello.server_name.as_ref().map(|name| name.as_str());
        let tls = ProxyTls { version, cipher, authority };
        let client = Client { address: self.peer, local, tls };
        let mut stream = accepted.stream;
        let opened = tokio::select! {
            opened = listener.server.open(&client) => opened,
            () = stop.stopped() => {
                self.say_farewell(&mut stream, Farewell::Shutdown).await;
                return Ok("shutdown");
            }
        };
        let Some(opened) = opened else {
            self.say_farewell(&mut stream, Farewell::Unavailable).await;
            return Ok("unavailable");
        };
        self.joined(stream, opened, stop).await
    }

    /// The conversation before TLS; `None` where TLS follows.
    async fn plain(&self, stream: &mut TcpStream, stop: &mut Stop) -> io::Result<Option<&'static str>> {
        let listener = self.listener;
        let (mut state, greeting) = AwaitCommand::open(listener.protocol, &listener.node_name);
        write(stream, &greeting).await?;
        let deadline = Instant::now() + PLAIN_TIMEOUT;
        let mut buffer = [0; COMMAND_READ_OCTETS];
        loop {
            let read = tokio::select! {
                read = timeout_at(deadline, stream.read(&mut buffer)) => read,
                () = stop.stopped() => {
                    self.say_farewell(stream, Farewell::Shutdown).await;
                    return Ok(Some("shutdown"));
                }
            };
            let Ok(count) = read else {
                self.say_farewell(stream, Farewell::Silence).await;
                return Ok(Some("plain_timeout"));
            };
            let count = count?;
            if count == 0 {
                return Ok(Some("client_closed"));
            }
            let step = state.handle(buffer.get(..count).unwrap_or_default());
            for _ in 0..step.plain_logins {
                self.rejected("plain_login");
            }
            write(stream, &step.reply).await?;
            match step.next {
                PlainNext::Await(next) => state = next,
                PlainNext::StartTls => return Ok(None),
                PlainNext::Close(why) => {
                    if why != pc_stream::Closing::Logout {
                        self.rejected(why.code());
                    }
                    let _ = timeout(REFUSAL_TIMEOUT, stream.shutdown()).await;
                    return Ok(Some(why.code()));
                }
            }
        }
    }

    /// Client and server in TLS, until the login and after it.
    async fn joined(
        &mut self,
        mut client: pc_tls::ServerStream<TcpStream>,
        opened: Opened,
        stop: &mut Stop,
    ) -> io::Result<&'static str> {
        let listener = self.listener;
        let Opened { stream: mut server, host, greeting, rest } = opened;
        self.host = host;
        let mut relay = Relay::open(listener.protocol, &greeting);
        // Behind STARTTLS there is no second greeting.
        if listener.mode == ListenerTls::Implicit {
            write(&mut client, &greeting).await?;
        }
        let (mut from_client, mut from_server) = ([0; COMMAND_READ_OCTETS], [0; COMMAND_READ_OCTETS]);
        let deadline = Instant::now() + LOGIN_TIMEOUT;
        let mut ahead = Some(rest).filter(|rest| !rest.is_empty());
        while let Relay::AwaitLogin(_) = relay {
            let silence = (Instant::now() + LOGIN_SILENCE_MAX).min(deadline);
            let input = if let Some(rest) = &ahead {
                Input::Server(rest)
            } else {
                tokio::select! {
                    read = client.read(&mut from_client) => match read? {
                        0 => {
                            let _ = timeout(REFUSAL_TIMEOUT, server.shutdown()).await;
                            return Ok("client_closed");
                        }
                        count => Input::Client(from_client.get(..count).unwrap_or_default()),
                    },
                    read = server.read(&mut from_server) => match read? {
                        0 => {
                            let _ = timeout(REFUSAL_TIMEOUT, client.shutdown()).await;
                            return Ok("server_closed");
                        }
                        count => Input::Server(from_server.get(..count).unwrap_or_default()),
                    },
                    () = sleep_until(silence) => {
                        self.say_farewell(&mut client, Farewell::Silence).await;
                        return Ok("login_timeout");
                    }
                    () = stop.stopped() => {
                        self.say_farewell(&mut client, Farewell::Shutdown).await;
                        return Ok("shutdown");
                    }
                }
            };
            let (next, effects) = relay.handle(input);
            ahead = None;
            relay = next;
            if let Some(code) = self.carry_out(effects, &mut client, &mut server).await? {
                return Ok(code);
            }
        }
        // A message or a mailbox under way is let finish; who waits for news can wait elsewhere.
        let at_stop = match listener.protocol {
            Protocol::Imap => AtStop::EndWhenQuiet,
            Protocol::Pop3 | Protocol::Submission => AtStop::GoOn,
        };
        Ok(pipe(client, server, (listener.idle_timeout, at_stop), &self.passed, stop).await)
    }

    /// Returns the code of the end, where the connection ends.
    async fn carry_out(
        &self,
        effects: Vec<Effect>,
        client: &mut (impl AsyncWrite + Unpin),
        server: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Option<&'static str>> {
        for effect in effects {
            match effect {
                Effect::Close(code) => {
                    self.rejected(code);
                    let _ = timeout(REFUSAL_TIMEOUT, client.shutdown()).await;
                    return Ok(Some(code));
                }
                Effect::LoggedIn => self.login_seen("ok"),
                Effect::LoginFailed => {
                    self.login_seen("failed");
                    if self.count_failure() {
                        self.limit_reached();
                        self.say_farewell(client, Farewell::LoginFailures).await;
                        return Ok(Some("login_failures"));
                    }
                }
                Effect::ToClient(octets) => {
                    write(client, &octets).await?;
                    add(&self.passed.server, octets.len());
                }
                Effect::ToServer(octets) => {
                    write(server, &octets).await?;
                    add(&self.passed.client, octets.len());
                }
                Effect::Unclear(code) => {
                    self.rejected(code);
                    self.login_seen("unknown");
                }
            }
        }
        Ok(None)
    }

    fn has_failed_too_often(&self) -> bool {
        let most = self.listener.login_failures_per_hour;
        let shared = &self.listener.shared;
        let failures = shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        most > 0 && failures.in_the_last_hour(network_of(self.address), shared.clock.now()) >= most
    }

    /// Whether that was the last one allowed.
    fn count_failure(&self) -> bool {
        let shared = &self.listener.shared;
        let mut failures = shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count(network_of(self.address), shared.clock.now());
        drop(failures);
        self.has_failed_too_often()
    }

    fn limit_reached(&self) {
        let wait = Duration::from_secs(3_600);
        Event::LimitReached { address: self.address, scope: "client", code: "login_failures", wait }.emit();
    }

    fn rejected(&self, code: &'static str) {
        let (listener, protocol) = (self.listener.name.as_str(), self.listener.protocol.code());
        Event::StreamRejected { listener, address: self.address, protocol, code }.emit();
    }

    fn login_seen(&self, code: &'static str) {
        let (listener, protocol) = (self.listener.name.as_str(), self.listener.protocol.code());
        Event::LoginSeen { listener, address: self.address, protocol, code }.emit();
    }

    /// A peer that does not take it is not waited for.
    async fn say_farewell(&self, stream: &mut (impl AsyncWrite + Unpin), farewell: Farewell) {
        let octets = self.listener.protocol.farewell(farewell);
        let say = async {
            stream.write_all(&octets).await?;
            stream.flush().await?;
            stream.shutdown().await
        };
        let _ = timeout(REFUSAL_TIMEOUT, say).await;
    }

    /// A refused program is remembered, so that its owner can be found and told.
    fn report_refusal(&self, refusal: &Refusal, hello: Option<&ClientHello>) {
        let listener = &self.listener.name;
        let ja4 = hello.map_or_else(String::new, ClientHello::ja4);
        Event::TlsRefused { listener, address: self.address, code: refusal.code(), client: &ja4 }.emit();
        if matches!(refusal, Refusal::Closed) {
            return;
        }
        let shared = &self.listener.shared;
        let offer = hello.map(ClientHello::offer);
        let row = TlsClientRow::new(listener, self.address, refusal.code(), offer, shared.clock.now());
        shared.writer.tls_client(row);
    }
}

fn add(count: &std::sync::atomic::AtomicU64, octets: usize) {
    count.fetch_add(u64::try_from(octets).unwrap_or(u64::MAX), Ordering::Relaxed);
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    let write = async {
        stream.write_all(octets).await?;
        stream.flush().await
    };
    timeout(WRITE_TIMEOUT, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What servers behind know a suite by.
fn openssl_name(suite: &str) -> &'static str {
    let known = pc_tls::standard().suites.iter().find(|known| known.name == suite);
    known.map_or("unknown", |known| known.openssl_name)
}
