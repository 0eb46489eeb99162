//! # Purpose
//! The server's side: one value per listener that turns accepted streams into encrypted ones.
//!
//! # Trust
//! The stream is a stranger's until the handshake has ended, and then still a stranger's, encrypted.
//!
//! # Standards
//! RFC 8446 with RFC 5246; alerts by RFC 8446 6; RFC 5077 and RFC 8446 4.6.1 (tickets).
//!
//! # Invariants
//! - A value exists only if its self-check passed.
//! - Ticket keys and session cache belong to one listener: a session made under one listener's
//!   policy means nothing to another.
//! - One deadline covers reading the hello and the handshake.
//!
//! # See also
//! `client_hello` for the reading, `screen` for the refusals, `verify` for the self-check.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::TlsError;
use crate::certificate::CertificateStore;
use crate::challenge::Challenges;
use crate::client_certificate::{Authority, ClientCertificate, ClientCertificates};
use crate::client_hello::{ClientHello, HelloProgress, HelloReader};
use crate::limits::{READ_OCTETS, SESSIONS_MAX};
use crate::refusal::{Refusal, alert_record};
use crate::screen::screen;
use crate::standard::{PROTOCOL_VERSIONS, negotiated_names, shared_provider, standard};
use crate::stream::{Handshake, Replayed, ServerStream};
use crate::verify;

/// TLS of one listener. Clones share ticket keys, cache and certificates.
#[derive(Clone)]
pub struct ServerTls {
    listener: Arc<str>,
    config: Arc<ServerConfig>,
    /// In place of `config` for some clients.
    other: Option<Other>,
    certificates: CertificateStore,
    clients: Option<ClientCertificates>,
    challenges: Option<Challenges>,
}

/// The same with other application protocols, and for whom.
#[derive(Clone)]
struct Other {
    config: Arc<ServerConfig>,
    is_for: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// A connection that came up.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Plain text to be read and written.
    pub stream: ServerStream<S>,
    /// What the client offered.
    pub hello: ClientHello,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The IANA name of the suite.
    pub suite: &'static str,
    /// The name of the group that keys were agreed by; `None` where they came from an earlier connection.
    pub group: Option<&'static str>,
    /// Whether keys were agreed anew.
    pub handshake: Handshake,
    /// The application protocol agreed on, ALPN.
    pub protocol: Option<Vec<u8>>,
    /// What the client's own certificate proves.
    pub client: ClientCertificate,
}

impl ServerTls {
    /// TLS for `listener`, with a self-check by handshakes in memory, which takes some milliseconds.
    ///
    /// # Errors
    /// What the listener would offer differs from the standard; it must not run.
    pub fn new(listener: &str, certificates: &CertificateStore) -> Result<Self, TlsError> {
        Self::with_protocols(listener, certificates, &[])
    }

    /// The same with application protocols for ALPN, the preferred one first. A client that offers
    /// only others is refused (RFC 7301 3.2); one without ALPN is not.
    ///
    /// # Errors
    /// As [`ServerTls::new`].
    pub fn with_protocols(
        listener: &str,
        certificates: &CertificateStore,
        protocols: &[&str],
    ) -> Result<Self, TlsError> {
        let config = server_config(Arc::new(certificates.clone()), protocols, None)
            .map_err(|source| TlsError::Build { name: listener.to_owned(), source })?;
        Self::checked(listener, certificates, config)
    }

    /// Other application protocols for clients that name a server for which `is_for` holds, in lower case. All else is the same,
    /// session cache and ticket keys as well.
    #[must_use]
    pub fn with_protocols_for(
        mut self,
        protocols: &[&str],
        is_for: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = wire_names(protocols);
        self.other = Some(Other { config: Arc::new(config), is_for: Arc::new(is_for) });
        self
    }

    /// Proves names to certificate authorities by the challenges that are under way (RFC 8737).
    #[must_use]
    pub fn answering(self, challenges: &Challenges) -> Self {
        Self { challenges: Some(challenges.clone()), ..self }
    }

    fn config_for(&self, hello: &ClientHello) -> Arc<ServerConfig> {
        let name = hello.server_name.as_ref().map(ToString::to_string);
        match (&self.other, name) {
            (Some(other), Some(name)) if (other.is_for)(&name) => Arc::clone(&other.config),
            _ => Arc::clone(&self.config),
        }
    }

    /// The same as [`ServerTls::new`], which asks clients for a certificate of their own. Those without one, or with
    /// one that proves nothing, are connected all the same.
    ///
    /// # Errors
    /// As [`ServerTls::new`].
    pub fn asking(
        listener: &str,
        certificates: &CertificateStore,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let config = server_config(Arc::new(certificates.clone()), &[], Some(&clients))
            .map_err(|source| TlsError::Build { name: listener.to_owned(), source })?;
        let server = Self::checked(listener, certificates, config)?;
        Ok(Self { clients: Some(clients), ..server })
    }

    pub(crate) fn checked(
        listener: &str,
        certificates: &CertificateStore,
        config: ServerConfig,
    ) -> Result<Self, TlsError> {
        let (listener, config) = (listener.into(), Arc::new(config));
        let server = Self {
            listener,
            config,
            other: None,
            certificates: certificates.clone(),
            clients: None,
            challenges: None,
        };
        server.verify_standard()?;
        Ok(server)
    }

    /// Shakes hands with itself again: every version, suite and group of the standard must work, and
    /// every other must be refused.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify_standard(&self) -> Result<(), TlsError> {
        verify::verify_standard(&self.config, &self.certificates.loaded())
            .map_err(|violation| TlsError::Standard { listener: self.listener.to_string(), violation })
    }

    /// The listener's name.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// The certificates that it serves.
    pub fn certificates(&self) -> &CertificateStore {
        &self.certificates
    }

    /// Reads the hello, judges it, and shakes hands, all before `deadline` has passed.
    ///
    /// # Errors
    /// Why there is no connection, and the hello as far as one was read. The client has got its
    /// alert, and the stream is closed.
    pub async fn accept<S>(
        &self,
        stream: S,
        deadline: Duration,
    ) -> Result<Accepted<S>, (Refusal, Option<Box<ClientHello>>)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut seen = None;
        match timeout(deadline, self.negotiate(stream, &mut seen)).await {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(refusal)) => Err((refusal, seen)),
            Err(_) => Err((Refusal::Timeout, seen)),
        }
    }

    async fn negotiate<S>(
        &self,
        mut stream: S,
        seen: &mut Option<Box<ClientHello>>,
    ) -> Result<Accepted<S>, Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (hello, raw) = match read_hello(&mut stream).await {
            Ok(read) => read,
            Err((refusal, version)) => return Err(refuse(stream, refusal, version).await),
        };
        let hello = seen.insert(hello);
        let challenge = self.challenges.as_ref().and_then(|challenges| challenges.of(hello));
        if let Some(config) = challenge {
            return Err(answer_challenge(config, Replayed::new(raw, stream)).await);
        }
        if let Err(refusal) = screen(hello, &self.certificates.loaded().key_kinds()) {
            return Err(refuse(stream, refusal, hello.hello_version).await);
        }
        let acceptor = TlsAcceptor::from(self.config_for(hello));
        match acceptor.accept(Replayed::new(raw, stream)).into_fallible().await {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates();
                let judged = self.clients.as_ref().map(|clients| clients.judge(chain));
                let client = judged.unwrap_or(ClientCertificate::None);
                Ok(accepted(stream, hello.as_ref().clone(), client))
            }
            Err((error, mut stream)) => {
                // The library has written its alert; a peer that is gone already is no matter.
                let _ = stream.shutdown().await;
                Err(failure(&error))
            }
        }
    }
}

fn accepted<S>(
    stream: tokio_rustls::server::TlsStream<Replayed<S>>,
    hello: ClientHello,
    client: ClientCertificate,
) -> Accepted<S> {
    let connection = stream.get_ref().1;
    let (version, suite) = negotiated_names(connection);
    let handshake = Handshake::of(connection);
    let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
    let group = connection.negotiated_key_exchange_group().map(|group| u16::from(group.name()));
    let group = standard().groups.iter().find(|known| Some(known.code) == group).map(|known| known.name);
    Accepted { hello, version, suite, group, handshake, protocol, client, stream: ServerStream(stream) }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerTls").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Everything that a listener is configured with, built from the standard alone.
pub(crate) fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&str],
    clients: Option<&ClientCertificates>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(shared_provider()).with_protocol_versions(PROTOCOL_VERSIONS)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::<Authority>::clone(&clients.authority)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.ignore_client_order = true;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    config.ticketer = Ticketer::new()?;
    config.alpn_protocols = wire_names(protocols);
    Ok(config)
}

/// For ALPN.
fn wire_names(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}

/// Reads until the hello is whole; with it all octets read, or the refusal with the version for its
/// alert.
async fn read_hello<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Box<ClientHello>, Vec<u8>), (Refusal, u16)> {
    let mut reader = HelloReader::default();
    let mut buffer = [0; READ_OCTETS];
    loop {
        // A reset is as much a leaving as an end.
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        let octets = buffer.get(..count).unwrap_or_default();
        if octets.is_empty() {
            return Err((Refusal::Closed, 0));
        }
        match reader.push(octets) {
            HelloProgress::NeedMore => {}
            HelloProgress::Hello { hello, raw } => return Ok((hello, raw)),
            HelloProgress::Refused(refusal) => return Err((refusal.into(), reader.record_version())),
        }
    }
}

/// Shakes hands with the certificate of a challenge and closes.
async fn answer_challenge<S>(config: Arc<ServerConfig>, stream: Replayed<S>) -> Refusal
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(mut stream) => {
            // RFC 8737 3: no octet of an application belongs on this connection.
            let _ = stream.shutdown().await;
            Refusal::ChallengeAnswered
        }
        Err((error, mut stream)) => {
            let _ = stream.shutdown().await;
            failure(&error)
        }
    }
}

/// Sends the alert, if there is one, and closes. A peer that does not take it is bounded by the
/// deadline around.
async fn refuse<S: AsyncWrite + Unpin>(mut stream: S, refusal: Refusal, hello_version: u16) -> Refusal {
    if let Some(alert) = refusal.alert() {
        let _ = stream.write_all(&alert_record(hello_version, alert)).await;
    }
    let _ = stream.shutdown().await;
    refusal
}

/// What a failed handshake means: an error of TLS, or a peer that left.
fn failure(error: &io::Error) -> Refusal {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(cause) => Refusal::Handshake(cause.to_string()),
        None => Refusal::Closed,
    }
}

#[cfg(test)]
mod tests;
