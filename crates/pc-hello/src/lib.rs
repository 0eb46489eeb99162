//! # Purpose
//! What the hello of a TLS client tells of it, in words: names of what it offers ([`names`]), whether it fits the standard and
//! what its owner can do ([`verdict()`]), which product it may be ([`product`]), and the page that shows all of this to the client's
//! owner ([`page`]).
//!
//! # Trust
//! A hello is a stranger's. Nothing of it decides what is negotiated; a wrong guess misleads a reader, who is told that it
//! is one. All text of the hello is escaped for where it goes.
//!
//! # Standards
//! Names from the IANA registries "TLS Parameters" and "TLS ExtensionType Values"; RFC 8701 (GREASE).
//!
//! # Invariants
//! Pure. An [`Offer`] is bounded by [`limits`], whatever the hello was. A guess is always called one and names its source.
//!
//! # See also
//! `pc_tls::ClientHello`, which an [`Offer`] is made from.

pub mod limits;
pub mod names;
pub mod page;
pub mod product;
#[cfg(test)]
mod tests;
mod verdict;

use pc_types::Escaped;
use serde::{Deserialize, Serialize};

pub use verdict::{Fit, Verdict, verdict};

/// The suites of the standard, as on the wire; a test of `pc-tls` keeps them equal to what is spoken.
pub const STANDARD_SUITES: [u16; 6] = [0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f];
/// Its groups.
pub const STANDARD_GROUPS: [u16; 4] = [0x001d, 0x0017, 0x0018, 0x11ec];

/// Version field of a hello in the format of SSL 2.0, in [`Offer::record_version`].
pub const SSL_V2: u16 = 0x0002;
/// TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3.
pub const TLS13: u16 = 0x0304;

/// What a client offers, in wire order and with unknown and GREASE values, cut to [`limits`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offer {
    /// Version field of the first record; [`SSL_V2`] for a hello in that format.
    pub record_version: u16,
    /// Version field of the hello; frozen at TLS 1.2 from TLS 1.3 on.
    pub hello_version: u16,
    /// The supported_versions extension; empty when it is absent.
    pub versions: Vec<u16>,
    /// Cipher suites and signalling values.
    pub suites: Vec<u16>,
    /// Types of all extensions.
    pub extensions: Vec<u16>,
    /// The supported_groups extension.
    pub groups: Vec<u16>,
    /// Groups for which a key share was sent.
    pub key_shares: Vec<u16>,
    /// The signature_algorithms extension.
    pub signature_algorithms: Vec<u16>,
    /// Application protocols; octets that are no plain ASCII as `\xNN`.
    pub protocols: Vec<String>,
    /// Whether compression is offered, which marks an old or hostile client (CRIME).
    pub compression: bool,
    /// The host name asked for.
    pub server_name: Option<String>,
    /// The JA4 fingerprint.
    pub ja4: String,
}

impl Offer {
    /// Cuts all lists to [`limits`].
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for list in [
            &mut self.versions,
            &mut self.suites,
            &mut self.extensions,
            &mut self.groups,
            &mut self.key_shares,
            &mut self.signature_algorithms,
        ] {
            list.truncate(limits::LIST_VALUES_MAX);
            list.shrink_to_fit();
        }
        self.protocols.truncate(limits::PROTOCOLS_MAX);
        self
    }

    /// The newest version offered; GREASE and versions of another major number do not count (RFC 8446 4.2.1).
    pub fn newest_version(&self) -> u16 {
        if self.versions.is_empty() {
            return self.hello_version.min(TLS12);
        }
        self.versions.iter().copied().filter(|version| version >> 8 == 3).max().unwrap_or(0)
    }

    /// All versions that a server may choose, newest first. Before TLS 1.3 a client says only the newest; that it takes older
    /// ones is not said, so that these are not listed.
    pub fn offered_versions(&self) -> Vec<u16> {
        if self.versions.is_empty() {
            return vec![self.newest_version()];
        }
        let mut versions: Vec<u16> =
            self.versions.iter().copied().filter(|version| !names::is_grease(*version)).collect();
        versions.sort_unstable_by(|left, right| right.cmp(left));
        versions
    }

    /// The suites of the standard that it offers, in its order.
    pub fn standard_suites(&self) -> Vec<u16> {
        self.suites.iter().copied().filter(|suite| STANDARD_SUITES.contains(suite)).collect()
    }

    /// Whether it sends values meant to keep servers tolerant (RFC 8701).
    pub fn has_grease(&self) -> bool {
        let lists = [&self.suites, &self.extensions, &self.groups, &self.versions];
        lists.into_iter().flatten().any(|value| names::is_grease(*value))
    }
}

/// An application protocol as text: printable ASCII stays, everything else becomes `\xNN`.
pub fn protocol_text(octets: &[u8]) -> String {
    Escaped::with_octets_max(octets, limits::PROTOCOL_OCTETS_MAX).to_string()
}
