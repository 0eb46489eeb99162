//! # Purpose
//! Looks at a server from outside and collects the facts that `pc_rating` judges: versions, suites one by
//! one, groups, order, compression, fallback, certificate, resumption, HSTS.
//!
//! # Trust
//! The server may be anybody's. Its answers are read as hostile and bounded.
//!
//! # Standards
//! RFC 8446 4.1.3 (ServerHello), RFC 5746 and 7507 (signalling suites), RFC 6797 (HSTS). Not done: SSL 2.0,
//! anything that attacks.
//!
//! # Invariants
//! A server is not attacked: one connection at a time, at most [`CHECK_CONNECTIONS_MAX`] of them, each of
//! them short, no malformed octet. What was not answered is unknown.
//!
//! # See also
//! `verify::probe` writes the hellos, `recorder` verifies and goes on.

mod answer;
mod recorder;

use std::future::Future;
use std::io;
use std::sync::Arc;

use answer::{Answer, ServerHello, read_answer};
use pc_rating::{Facts, KNOWN_SUITES, KnownSuite, Seen, Service, Version};
use recorder::Recorder;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::TlsError;
use crate::client::{Roots, root_store};
use crate::client_hello::FALLBACK_SCSV;
use crate::limits::{
    CHECK_ANSWER_OCTETS_MAX, CHECK_CONNECTION_TIMEOUT, CHECK_CONNECTIONS_MAX, CHECK_READ_TIMEOUT,
    CHECK_TICKET_TIMEOUT,
};
use crate::standard::{PROTOCOL_VERSIONS, shared_provider};
use crate::verify::Probe;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct CheckTarget {
    /// The name that its certificate should have.
    pub server_name: String,
    /// Whom its certificate may be trusted by.
    pub roots: Roots,
    /// Whether the port may speak HTTP.
    pub http: HttpQuestion,
}

/// Whether a HEAD request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpQuestion {
    /// Once.
    Ask,
    /// The port is for mail.
    No,
}

/// Collects the facts. `connect` opens a connection and brings it to the point where TLS begins.
///
/// # Errors
/// The roots cannot be used.
pub async fn check<S, C, F>(connect: C, target: &CheckTarget) -> Result<Facts, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    C: Fn() -> F,
    F: Future<Output = io::Result<S>>,
{
    let handshake = Handshakes::new(target)?;
    let mut prober = Prober { connect, server_name: target.server_name.clone(), connections: 0 };
    let mut facts = Facts {
        versions: Vec::new(),
        suites: Vec::new(),
        suites_complete: true,
        groups: Vec::new(),
        server_order: Seen::Unknown,
        compression: Seen::Unknown,
        fallback_protection: Seen::Unknown,
        secure_renegotiation: Seen::Unknown,
        resumption: Seen::Unknown,
        ocsp_stapled: Seen::Unknown,
        certificate: None,
        service: if target.http == HttpQuestion::No { Service::Mail } else { Service::Unknown },
    };
    handshake.look(&mut prober, target, &mut facts).await;
    for version in Version::ALL.into_iter().rev() {
        let seen = prober.version(version, &mut facts).await;
        facts.versions.push((version, seen));
    }
    facts.versions.reverse();
    facts.server_order = prober.order(&facts).await;
    facts.groups = prober.groups(&facts).await;
    prober.signals(&mut facts).await;
    Ok(facts)
}

struct Prober<C> {
    connect: C,
    server_name: String,
    connections: usize,
}

impl<S, C, F> Prober<C>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    C: Fn() -> F,
    F: Future<Output = io::Result<S>>,
{
    async fn connect(&mut self) -> Option<S> {
        if self.connections >= CHECK_CONNECTIONS_MAX {
            return None;
        }
        self.connections += 1;
        (self.connect)().await.ok()
    }

    async fn ask(&mut self, probe: &Probe) -> Answer {
        let exchange = async {
            let Some(mut stream) = self.connect().await else { return Answer::None };
            if stream.write_all(&probe.record()).await.is_err() || stream.flush().await.is_err() {
                return Answer::Closed;
            }
            let mut octets = Vec::new();
            let mut buffer = [0; 4096];
            while octets.len() < CHECK_ANSWER_OCTETS_MAX {
                match stream.read(&mut buffer).await {
                    Ok(count @ 1..) => octets.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                    // A reset is as much a refusal as an end.
                    Ok(0) | Err(_) => return Answer::Closed,
                }
                if let Some(answer) = read_answer(&octets) {
                    return answer;
                }
            }
            Answer::NotTls
        };
        timeout(CHECK_CONNECTION_TIMEOUT, exchange).await.unwrap_or(Answer::None)
    }

    /// Asks for all suites of a version, each time without those that were chosen before.
    async fn version(&mut self, version: Version, facts: &mut Facts) -> Seen {
        let mut left: Vec<KnownSuite> =
            KNOWN_SUITES.iter().copied().filter(|suite| belongs(version, suite.code)).collect();
        let mut seen = Seen::No;
        while !left.is_empty() {
            let probe = self.hello(version, left.iter().map(|suite| suite.code).collect());
            match self.ask(&probe).await {
                Answer::Hello(hello) if hello.version == version.code() => {
                    let chosen = left.iter().position(|suite| suite.code == hello.suite);
                    seen = Seen::Yes;
                    match chosen {
                        Some(place) => facts.suites.push((version, left.remove(place))),
                        // A suite that was not offered: the server cannot be followed.
                        None => {
                            facts.suites_complete = false;
                            return seen;
                        }
                    }
                }
                // Another version is a refusal of this one.
                Answer::Hello(_) | Answer::Alert(_) | Answer::Closed => return seen,
                Answer::None | Answer::NotTls => {
                    facts.suites_complete = false;
                    return if seen == Seen::Yes { seen } else { Seen::Unknown };
                }
            }
        }
        seen
    }

    /// Whether the suite stays the same when the client's order is turned around.
    async fn order(&mut self, facts: &Facts) -> Seen {
        let mut seen = Seen::Unknown;
        for version in [Version::Tls13, Version::Tls12] {
            let codes: Vec<u16> = facts
                .suites
                .iter()
                .filter(|(known, _)| *known == version)
                .map(|(_, suite)| suite.code)
                .collect();
            // One suite leaves no choice.
            if codes.len() < 2 {
                continue;
            }
            let reversed = codes.iter().rev().copied().collect();
            let forward = self.ask(&self.hello(version, codes)).await;
            let backward = self.ask(&self.hello(version, reversed)).await;
            match (forward, backward) {
                (Answer::Hello(one), Answer::Hello(other)) if one.suite == other.suite => seen = Seen::Yes,
                (Answer::Hello(_), Answer::Hello(_)) => return Seen::No,
                _ => return Seen::Unknown,
            }
        }
        if seen == Seen::Unknown && !facts.suites.is_empty() && facts.suites_complete {
            Seen::Yes
        } else {
            seen
        }
    }

    /// Groups of TLS 1.3, one by one: without a key share a server that knows the group asks for one.
    async fn groups(&mut self, facts: &Facts) -> Vec<&'static str> {
        let mut groups = Vec::new();
        if !facts.versions.contains(&(Version::Tls13, Seen::Yes)) {
            return groups;
        }
        for (code, name) in GROUPS {
            let mut probe = self.hello(Version::Tls13, vec![0x1302, 0x1301, 0x1303]);
            (probe.groups, probe.key_shares) = (vec![code], Vec::new());
            if let Answer::Hello(_) = self.ask(&probe).await {
                groups.push(name);
            }
        }
        groups
    }

    /// Compression, renegotiation and fallback.
    async fn signals(&mut self, facts: &mut Facts) {
        let old: Vec<Version> = facts
            .versions
            .iter()
            .filter(|(version, seen)| *version < Version::Tls13 && *seen == Seen::Yes)
            .map(|(version, _)| *version)
            .collect();
        let Some(newest) = old.last().copied() else {
            // RFC 8446 4.1.2 has neither.
            if facts.versions.contains(&(Version::Tls13, Seen::Yes)) {
                facts.compression = Seen::No;
                facts.fallback_protection = Seen::Yes;
            }
            return;
        };
        let offered = |version: Version| -> Vec<u16> {
            facts.suites.iter().filter(|(known, _)| *known == version).map(|(_, suite)| suite.code).collect()
        };
        let with = |suites: Vec<u16>, signal: u16| [suites, vec![signal]].concat();
        // RFC 5746 3.3.
        let mut probe = self.hello(newest, with(offered(newest), 0x00ff));
        probe.compression_methods = vec![1, 0];
        if let Answer::Hello(ServerHello { compression, extensions, .. }) = self.ask(&probe).await {
            facts.compression = if compression == 0 { Seen::No } else { Seen::Yes };
            let is_secure = extensions.contains(&0xff01);
            facts.secure_renegotiation = if is_secure { Seen::Yes } else { Seen::No };
        }
        let top =
            facts.versions.iter().rev().find(|(_, seen)| *seen == Seen::Yes).map(|(version, _)| *version);
        let below = old.iter().rev().find(|version| Some(**version) < top).copied();
        facts.fallback_protection = match below {
            // There is no older version to fall back to.
            None => Seen::Yes,
            Some(version) => {
                let suites = with(offered(version), FALLBACK_SCSV);
                match self.ask(&self.hello(version, suites)).await {
                    Answer::Alert(_) => Seen::Yes,
                    Answer::Hello(_) => Seen::No,
                    Answer::Closed | Answer::None | Answer::NotTls => Seen::Unknown,
                }
            }
        };
    }

    fn hello(&self, version: Version, suites: Vec<u16>) -> Probe {
        let broad = Probe {
            server_name: self.server_name.clone().into(),
            cipher_suites: suites,
            // With P-521 and the older signatures, so that old servers find what they need.
            groups: vec![0x001d, 0x0017, 0x0018, 0x0019],
            signature_algorithms: vec![
                0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203,
                0x0201,
            ],
            ..Probe::tls13()
        };
        match version {
            Version::Tls13 => broad,
            // RFC 6101 has no extensions.
            Version::Ssl3 => Probe {
                hello_version: version.code(),
                supported_versions: Vec::new(),
                groups: Vec::new(),
                signature_algorithms: Vec::new(),
                server_name: "".into(),
                ..broad
            },
            Version::Tls10 | Version::Tls11 | Version::Tls12 => {
                Probe { hello_version: version.code(), supported_versions: Vec::new(), ..broad }
            }
        }
    }
}

fn belongs(version: Version, code: u16) -> bool {
    (version == Version::Tls13) == (code >> 8 == 0x13)
}

const GROUPS: [(u16, &str); 7] = [
    (0x001d, "x25519"),
    (0x0017, "secp256r1"),
    (0x0018, "secp384r1"),
    (0x0019, "secp521r1"),
    (0x001e, "x448"),
    (0x0100, "ffdhe2048"),
    (0x11ec, "X25519MLKEM768"),
];

/// Whole handshakes, with the certificate verified and the verdict written down.
struct Handshakes {
    connector: TlsConnector,
    recorder: Arc<Recorder>,
}

impl Handshakes {
    fn new(target: &CheckTarget) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Build { name: "check".to_owned(), source };
        let roots = Arc::new(root_store(&target.roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, shared_provider())
            .build()
            .map_err(|error| failed(rustls::Error::General(error.to_string())))?;
        let recorder = Arc::new(Recorder::new(verifier));
        let config = ClientConfig::builder_with_provider(shared_provider())
            .with_protocol_versions(PROTOCOL_VERSIONS)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder))
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), recorder })
    }

    /// Twice: the second time shows whether sessions are resumed.
    async fn look<S, C, F>(&self, prober: &mut Prober<C>, target: &CheckTarget, facts: &mut Facts)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
        C: Fn() -> F,
        F: Future<Output = io::Result<S>>,
    {
        let Ok(name) = ServerName::try_from(target.server_name.clone()) else { return };
        let shake = async |prober: &mut Prober<C>, name: ServerName<'static>| {
            let stream = prober.connect().await?;
            self.connector.connect(name, stream).await.ok()
        };
        let first = timeout(CHECK_CONNECTION_TIMEOUT, shake(prober, name.clone())).await;
        if let Ok(Some(mut stream)) = first {
            if target.http == HttpQuestion::Ask {
                facts.service = http(&mut stream, &target.server_name).await;
            } else {
                // Tickets of TLS 1.3 come behind the handshake.
                let _ = timeout(CHECK_TICKET_TIMEOUT, stream.read(&mut [0; 512])).await;
            }
            let _ = timeout(CHECK_READ_TIMEOUT, stream.shutdown()).await;
            let second = timeout(CHECK_CONNECTION_TIMEOUT, shake(prober, name)).await;
            if let Ok(Some(stream)) = second {
                let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                facts.resumption = if is_resumed { Seen::Yes } else { Seen::No };
            }
        }
        if let Some(recorded) = self.recorder.recorded() {
            facts.ocsp_stapled = if recorded.is_ocsp_stapled { Seen::Yes } else { Seen::No };
            facts.certificate = Some(recorded.certificate);
        }
    }
}

/// One HEAD request.
async fn http(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), server_name: &str) -> Service {
    let exchange = async {
        let request = format!("HEAD / HTTP/1.1\r\nHost: {server_name}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        let mut octets = Vec::new();
        let mut buffer = [0; 2048];
        while octets.len() < CHECK_ANSWER_OCTETS_MAX {
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            octets.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if count == 0 || octets.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
        Some(octets)
    };
    match timeout(CHECK_READ_TIMEOUT, exchange).await {
        Ok(Some(octets)) if octets.starts_with(b"HTTP/") => {
            Service::Https { hsts_seconds: hsts_seconds(&String::from_utf8_lossy(&octets)) }
        }
        // RFC 5321, 9051, 1939: a mail server greets.
        Ok(Some(octets))
            if [&b"220"[..], b"* ", b"+OK"].iter().any(|greeting| octets.starts_with(greeting)) =>
        {
            Service::Mail
        }
        _ => Service::Unknown,
    }
}

/// RFC 6797 8.1: the first field counts.
fn hsts_seconds(head: &str) -> Option<u64> {
    let value = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("strict-transport-security").then_some(value)
    })?;
    value.split(';').find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok())?
    })
}
