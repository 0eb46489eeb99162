//! # Purpose
//! The standard as a table. The library's provider is built from it, the self-check proves it, and
//! documentation prints it, so that there is one place to read and to change.
//!
//! # Trust
//! Nothing from outside enters here.
//!
//! # Standards
//! Code points from the IANA registry "TLS Parameters"; RFC 8446 B.4, RFC 5289 3.2, RFC 8422 5.1.1,
//! draft-ietf-tls-ecdhe-mlkem. ChaCha20 and CBC suites, finite-field and static key exchange are left out.
//!
//! # Invariants
//! A suite or group that the library does not have is missing from the provider, and the self-check
//! then refuses to run.
//!
//! # See also
//! `verify`.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// What every listener and every outgoing connection speaks.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// Newest first.
    pub versions: &'static [Version],
    /// In the order in which a server prefers them.
    pub suites: &'static [Suite],
    /// In the order in which a client offers them; a server takes the client's first.
    pub groups: &'static [Group],
}

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// `TLSv1.3`.
    pub name: &'static str,
    /// As on the wire.
    pub code: u16,
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Name in the IANA registry.
    pub name: &'static str,
    /// Name in OpenSSL's tools.
    pub openssl_name: &'static str,
    /// As on the wire.
    pub code: u16,
    /// Code of the only version that uses it.
    pub version: u16,
    /// The certificate key it needs; TLS 1.3 suites work with every kind.
    pub key: Option<KeyKind>,
}

/// A key exchange group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name in the IANA registry.
    pub name: &'static str,
    /// As on the wire.
    pub code: u16,
    /// Whether TLS 1.2 can use it: hybrid groups exist from TLS 1.3 on.
    pub tls12: bool,
}

/// The kind of key in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256 or P-384.
    Ecdsa,
    /// RSA of 2048 bits or more.
    Rsa,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Rsa => "RSA",
        })
    }
}

/// The standard in force.
pub fn standard() -> Standard {
    Standard { versions: VERSIONS, suites: SUITES, groups: GROUPS }
}

pub(crate) const TLS13: u16 = 0x0304;
pub(crate) const TLS12: u16 = 0x0303;

const VERSIONS: &[Version] =
    &[Version { name: "TLSv1.3", code: TLS13 }, Version { name: "TLSv1.2", code: TLS12 }];

// ECDSA before RSA: a full handshake costs the server a tenth. 256 before 128 bits, as the older
// scanners grade by the strongest.
const SUITES: &[Suite] = &[
    Suite {
        name: "TLS_AES_256_GCM_SHA384",
        openssl_name: "TLS_AES_256_GCM_SHA384",
        code: 0x1302,
        version: TLS13,
        key: None,
    },
    Suite {
        name: "TLS_AES_128_GCM_SHA256",
        openssl_name: "TLS_AES_128_GCM_SHA256",
        code: 0x1301,
        version: TLS13,
        key: None,
    },
    Suite {
        name: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        openssl_name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        code: 0xc02c,
        version: TLS12,
        key: Some(KeyKind::Ecdsa),
    },
    Suite {
        name: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        openssl_name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        code: 0xc02b,
        version: TLS12,
        key: Some(KeyKind::Ecdsa),
    },
    Suite {
        name: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        openssl_name: "ECDHE-RSA-AES256-GCM-SHA384",
        code: 0xc030,
        version: TLS12,
        key: Some(KeyKind::Rsa),
    },
    Suite {
        name: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        openssl_name: "ECDHE-RSA-AES128-GCM-SHA256",
        code: 0xc02f,
        version: TLS12,
        key: Some(KeyKind::Rsa),
    },
];

// X25519 before the hybrid: the share of the first group travels in our own hello, which with 1.2 KiB
// of ML-KEM would no longer fit in one segment, and mail servers exist that read only one. A server
// that wants the hybrid asks for it.
const GROUPS: &[Group] = &[
    Group { name: "x25519", code: 0x001d, tls12: true },
    Group { name: "secp256r1", code: 0x0017, tls12: true },
    Group { name: "secp384r1", code: 0x0018, tls12: true },
    Group { name: "X25519MLKEM768", code: 0x11ec, tls12: false },
];

pub(crate) static PROTOCOL_VERSIONS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The library's provider, cut down to the standard.
pub(crate) fn provider() -> CryptoProvider {
    provider_of(|_| true, |_| true)
}

/// The same with only some suites and groups, for probes.
pub(crate) fn provider_of(
    suite_wanted: impl Fn(&Suite) -> bool,
    group_wanted: impl Fn(&Group) -> bool,
) -> CryptoProvider {
    let suite_of = |suite: &Suite| {
        aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|known| u16::from(known.suite()) == suite.code).copied()
    };
    let group_of = |group: &Group| {
        aws_lc_rs::ALL_KX_GROUPS.iter().find(|known| u16::from(known.name()) == group.code).copied()
    };
    CryptoProvider {
        cipher_suites: SUITES.iter().filter(|suite| suite_wanted(suite)).filter_map(suite_of).collect(),
        kx_groups: GROUPS.iter().filter(|group| group_wanted(group)).filter_map(group_of).collect(),
        ..aws_lc_rs::default_provider()
    }
}

pub(crate) fn shared_provider() -> Arc<CryptoProvider> {
    Arc::new(provider())
}

/// Names of version and suite of a finished handshake.
pub(crate) fn negotiated_names(connection: &rustls::CommonState) -> (&'static str, &'static str) {
    let suite_code = connection.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()));
    let version_code = connection.protocol_version().map(u16::from);
    let version = VERSIONS.iter().find(|version| Some(version.code) == version_code);
    let suite = SUITES.iter().find(|suite| Some(suite.code) == suite_code);
    (version.map_or("unknown", |found| found.name), suite.map_or("unknown", |found| found.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_every_suite_and_group_of_the_standard_in_its_order() {
        let provider = provider();
        let suites: Vec<u16> = provider.cipher_suites.iter().map(|suite| suite.suite().into()).collect();
        assert_eq!(suites, SUITES.iter().map(|suite| suite.code).collect::<Vec<_>>());
        let groups: Vec<u16> = provider.kx_groups.iter().map(|group| group.name().into()).collect();
        assert_eq!(groups, GROUPS.iter().map(|group| group.code).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_said_of_the_standard_is_what_is_spoken() {
        let suites: Vec<u16> = SUITES.iter().map(|suite| suite.code).collect();
        assert_eq!(suites, pc_hello::STANDARD_SUITES);
        let groups: Vec<u16> = GROUPS.iter().map(|group| group.code).collect();
        assert_eq!(groups, pc_hello::STANDARD_GROUPS);
    }

    #[test]
    fn tls_1_2_has_exactly_the_four_ecdhe_aes_gcm_suites() {
        let codes: Vec<u16> =
            SUITES.iter().filter(|suite| suite.version == TLS12).map(|suite| suite.code).collect();
        // RFC 5289 3.2.
        assert_eq!(codes, [0xc02c, 0xc02b, 0xc030, 0xc02f]);
    }
}
