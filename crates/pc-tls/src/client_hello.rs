//! # Purpose
//! Reads a ClientHello before the TLS library does, so that clients which never finish a handshake
//! are still seen: what they are, what they offer, why they were refused.
//!
//! # Trust
//! Every octet comes from a stranger. A wrong reading could only misreport or refuse a client: what
//! is negotiated is decided by the TLS library from the same octets.
//!
//! # Standards
//! RFC 8446 4.1.2 and 4.2, RFC 5246 7.4.1.2, RFC 6066 3 (server_name), RFC 7301 (ALPN), RFC 8701
//! (GREASE), JA4. SSL 2.0 hellos are recognised, and read only by
//! [`crate::observe`]. JA3 is left out: it needs MD5, and clients
//! that shuffle extensions make it useless.
//!
//! # Invariants
//! Pure and total: no octets panic, memory is bounded by [`crate::limits`], and how the octets are
//! cut into pieces does not change the outcome.
//!
//! # See also
//! `corpus/client_hello` holds captured hellos, replayed by the tests and by the fuzz target.

mod ja4;
mod octets;
mod reader;
pub mod ssl_v2;
#[cfg(test)]
mod tests;

use octets::Octets;
use pc_hello::Offer;
use pc_types::Domain;
pub use reader::{HelloProgress, HelloReader};

use crate::limits::{EXTENSIONS_MAX, HELLO_OCTETS_MAX};
use crate::standard::{Suite, TLS12, TLS13, standard};

/// What a client offers. Lists are in wire order and hold unknown and GREASE values too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Version field of the first record. Noise: clients put 0x0301 there for compatibility.
    pub record_version: u16,
    /// Version field of the hello. From TLS 1.3 on it is frozen at 0x0303.
    pub hello_version: u16,
    /// Cipher suites and signalling values.
    pub cipher_suites: Vec<u16>,
    /// Compression methods; anything but 0 marks an old or hostile client.
    pub compression_methods: Vec<u8>,
    /// Types of all extensions.
    pub extensions: Vec<u16>,
    /// The host name asked for, when it is one. Old clients and bare addresses have none.
    pub server_name: Option<Domain>,
    /// Application protocols, ALPN.
    pub protocols: Vec<Vec<u8>>,
    /// The supported_versions extension; empty when it is absent.
    pub supported_versions: Vec<u16>,
    /// The supported_groups extension.
    pub groups: Vec<u16>,
    /// Groups for which a key share was sent.
    pub key_shares: Vec<u16>,
    /// The signature_algorithms extension.
    pub signature_algorithms: Vec<u16>,
    /// The ec_point_formats extension.
    pub point_formats: Vec<u8>,
}

/// Why octets are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloRefusal {
    /// Breaks the format; names the part.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Something else than TLS: HTTP, SMTP, a port scanner's greeting.
    #[error("not TLS")]
    NotTls,
    /// A hello in the format of SSL 2.0.
    #[error("SSL 2.0 hello")]
    SslV2,
    /// Over a bound of [`crate::limits`].
    #[error("too large")]
    TooLarge,
}

/// TLS_FALLBACK_SCSV, RFC 7507 2.
pub(crate) const FALLBACK_SCSV: u16 = 0x5600;

/// Reads one handshake message: type, length and body of a ClientHello, nothing after it.
/// [`ClientHello::record_version`] stays 0, since records are [`HelloReader`]'s matter.
///
/// # Errors
/// Any deviation from the format.
pub fn parse(message: &[u8]) -> Result<ClientHello, HelloRefusal> {
    if message.len() > HELLO_OCTETS_MAX {
        return Err(HelloRefusal::TooLarge);
    }
    parse_message(message)
}

fn parse_message(message: &[u8]) -> Result<ClientHello, HelloRefusal> {
    let mut message = Octets::new(message, "handshake header");
    if message.u8()? != CLIENT_HELLO {
        return Err(HelloRefusal::Malformed("not a ClientHello"));
    }
    let mut body = message.vector24("hello")?;
    message.end()?;
    let hello_version = body.u16()?;
    body.skip(RANDOM_OCTETS)?;
    let session_id = body.vector8("session id")?;
    if session_id.len() > SESSION_ID_OCTETS_MAX {
        return Err(HelloRefusal::Malformed("session id"));
    }
    let cipher_suites = body.vector16("cipher suites")?.u16_list()?;
    let compression_methods = body.vector8("compression methods")?.u8_list()?;
    let mut hello =
        ClientHello { hello_version, cipher_suites, compression_methods, ..ClientHello::default() };
    // RFC 5246 7.4.1.2: a hello without extensions ends here.
    if !body.is_empty() {
        let mut extensions = body.vector16("extensions")?;
        body.end()?;
        hello.read_extensions(&mut extensions)?;
    }
    Ok(hello)
}

/// RFC 8446 4.
const CLIENT_HELLO: u8 = 1;
/// RFC 8446 4.1.2.
const RANDOM_OCTETS: usize = 32;
/// RFC 8446 4.1.2.
const SESSION_ID_OCTETS_MAX: usize = 32;

// IANA registry "TLS ExtensionType Values".
pub(crate) const SERVER_NAME: u16 = 0;
pub(crate) const SUPPORTED_GROUPS: u16 = 10;
pub(crate) const EC_POINT_FORMATS: u16 = 11;
pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(crate) const ALPN: u16 = 16;
pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
pub(crate) const KEY_SHARE: u16 = 51;

impl ClientHello {
    fn read_extensions(&mut self, extensions: &mut Octets<'_>) -> Result<(), HelloRefusal> {
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let mut content = extensions.vector16("extension")?;
            if self.extensions.len() >= EXTENSIONS_MAX {
                return Err(HelloRefusal::TooLarge);
            }
            // RFC 8446 4.2: no type twice.
            if self.extensions.contains(&kind) {
                return Err(HelloRefusal::Malformed("an extension comes twice"));
            }
            self.extensions.push(kind);
            self.read_extension(kind, &mut content)?;
        }
        Ok(())
    }

    fn read_extension(&mut self, kind: u16, content: &mut Octets<'_>) -> Result<(), HelloRefusal> {
        match kind {
            SERVER_NAME => self.server_name = server_name(content)?,
            SUPPORTED_GROUPS => self.groups = content.vector16("supported_groups")?.u16_list()?,
            EC_POINT_FORMATS => self.point_formats = content.vector8("ec_point_formats")?.u8_list()?,
            SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = content.vector16("signature_algorithms")?.u16_list()?;
            }
            ALPN => self.protocols = protocols(content)?,
            SUPPORTED_VERSIONS => {
                self.supported_versions = content.vector8("supported_versions")?.u16_list()?;
            }
            KEY_SHARE => self.key_shares = key_shares(content)?,
            _ => return Ok(()),
        }
        content.end()
    }

    /// The newest version that the client offers: the highest of supported_versions when that
    /// extension is there, else the hello's version, which then means TLS 1.2 at most (RFC 8446
    /// 4.2.1). GREASE and versions of another major number do not count.
    pub fn effective_version(&self) -> u16 {
        if self.supported_versions.is_empty() {
            return self.hello_version.min(TLS12);
        }
        let offered = self.supported_versions.iter().copied();
        offered.filter(|version| version.to_be_bytes().first() == Some(&3)).max().unwrap_or(0)
    }

    /// The version of the standard that this client gets, if any.
    pub fn common_version(&self) -> Option<u16> {
        if self.supported_versions.is_empty() {
            return (self.hello_version >= TLS12).then_some(TLS12);
        }
        [TLS13, TLS12].into_iter().find(|version| self.supported_versions.contains(version))
    }

    /// The suites of the standard that are offered for a version that is offered.
    pub fn common_suites(&self) -> Vec<&'static Suite> {
        let version_offered = |suite: &&Suite| match suite.version {
            TLS13 => self.supported_versions.contains(&TLS13),
            _ if self.supported_versions.is_empty() => self.hello_version >= TLS12,
            version => self.supported_versions.contains(&version),
        };
        let suites = standard().suites.iter().filter(version_offered);
        suites.filter(|suite| self.cipher_suites.contains(&suite.code)).collect()
    }

    /// Whether any suite of the standard is offered.
    pub fn has_standard_suite(&self) -> bool {
        !self.common_suites().is_empty()
    }

    /// The same in the words of `pc_hello`, cut to its limits.
    pub fn offer(&self) -> Offer {
        Offer {
            record_version: self.record_version,
            hello_version: self.hello_version,
            versions: self.supported_versions.clone(),
            suites: self.cipher_suites.clone(),
            extensions: self.extensions.clone(),
            groups: self.groups.clone(),
            key_shares: self.key_shares.clone(),
            signature_algorithms: self.signature_algorithms.clone(),
            protocols: self.protocols.iter().map(|protocol| pc_hello::protocol_text(protocol)).collect(),
            compression: self.compression_methods.iter().any(|method| *method != 0),
            server_name: self.server_name.as_ref().map(ToString::to_string),
            ja4: self.ja4(),
        }
        .bounded()
    }

    /// Whether the client sends values meant to keep servers tolerant (RFC 8701). Browsers do.
    pub fn has_grease(&self) -> bool {
        let lists = [&self.cipher_suites, &self.extensions, &self.groups, &self.supported_versions];
        lists.into_iter().flatten().any(|value| pc_hello::names::is_grease(*value))
    }
}

/// RFC 6066 3. A name that is no host name, such as an IPv6 address, is left to the TLS library,
/// which refuses or ignores it.
fn server_name(content: &mut Octets<'_>) -> Result<Option<Domain>, HelloRefusal> {
    let mut list = content.vector16("server_name")?;
    let mut found = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16("server_name")?;
        if kind == HOST_NAME && found.is_none() {
            found = std::str::from_utf8(name.rest()).ok().and_then(|text| text.parse().ok());
        }
    }
    Ok(found)
}

/// RFC 6066 3.
const HOST_NAME: u8 = 0;

/// RFC 7301 3.1.
fn protocols(content: &mut Octets<'_>) -> Result<Vec<Vec<u8>>, HelloRefusal> {
    let mut list = content.vector16("application_layer_protocol_negotiation")?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector8("application_layer_protocol_negotiation")?;
        protocols.push(protocol.rest().to_vec());
    }
    Ok(protocols)
}

/// RFC 8446 4.2.8.
fn key_shares(content: &mut Octets<'_>) -> Result<Vec<u16>, HelloRefusal> {
    let mut list = content.vector16("key_share")?;
    let mut groups = Vec::new();
    while !list.is_empty() {
        groups.push(list.u16()?);
        list.vector16("key_share")?;
    }
    Ok(groups)
}
