//! # Purpose
//! Facts about a TLS service in, the checklist of SSL Labs' practices and its grade with the arithmetic
//! out.
//!
//! # Trust
//! The facts come from a server that may be anybody's; names in them are shown, never believed.
//!
//! # Standards
//! SSL Labs, "SSL and TLS Deployment Best Practices" 1.6 (draft) and "SSL Server Rating Guide" 2009r, as
//! testssl.sh implements it. Not done: SSL 2.0, Heartbleed, ROBOT, Ticketbleed and their kin, which need attacks
//! on the server; items that only its owner can answer say "not tested".
//!
//! # Invariants
//! What was not seen is "not tested", and never a pass; without versions, suites and certificate there is
//! no grade.
//!
//! # See also
//! `pc_tls::check`, which collects the facts.

pub mod caa;
mod checklist;
pub mod dane;
mod grade;
mod suites;
#[cfg(test)]
mod tests;

pub use grade::{Grade, Rating, Score};
pub use suites::{KNOWN_SUITES, KnownSuite, SuiteKind};

/// What was seen of one feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// It is not there.
    No,
    /// Nobody knows: the server did not answer, or was not asked.
    #[default]
    Unknown,
    /// It is there.
    Yes,
}

/// A protocol version, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// SSL 3.0
    Ssl3,
    /// TLS 1.0
    Tls10,
    /// TLS 1.1
    Tls11,
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl Version {
    /// All that are asked for.
    pub const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// As on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSL 3",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// A key in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Elliptic curve, by its bits.
    Ec(u32),
    /// RSA, by its bits.
    Rsa(u32),
}

/// Why a certificate proves nothing, or that it proves its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By a chain to a root.
    Trusted,
    /// For another name only.
    WrongName(String),
    /// Expired, self-made, or from somebody unknown.
    Untrusted(String),
}

/// What the server's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the leaf.
    pub key: Key,
    /// Whether it proves the name that was asked for.
    pub trust: Trust,
    /// Whether its signature uses MD5 or SHA-1.
    pub has_weak_signature: bool,
    /// For people: until when, for which names.
    pub summary: String,
    /// Whether its issuer answers for revocation by OCSP.
    pub has_ocsp_address: bool,
    /// The organisation that signed it, as it calls itself.
    pub issuer: Option<String>,
    /// No authority has signed it.
    pub is_self_signed: bool,
}

/// What the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It answers HTTP; with the seconds of its Strict-Transport-Security, if it has one.
    Https {
        /// RFC 6797 6.1.1.
        hsts_seconds: Option<u64>,
    },
    /// It does not.
    Mail,
    /// Not found out.
    Unknown,
}

/// Everything that was seen.
#[derive(Clone, Debug)]
pub struct Facts {
    /// For each of [`Version::ALL`].
    pub versions: Vec<(Version, Seen)>,
    /// Accepted suites.
    pub suites: Vec<(Version, KnownSuite)>,
    /// Whether all suites were asked for.
    pub suites_complete: bool,
    /// Accepted groups of TLS 1.3, by name.
    pub groups: Vec<&'static str>,
    /// Whether the server's order of suites counts.
    pub server_order: Seen,
    /// TLS compression (CRIME).
    pub compression: Seen,
    /// Whether a client that fell back without need is told (RFC 7507).
    pub fallback_protection: Seen,
    /// RFC 5746, for TLS 1.2.
    pub secure_renegotiation: Seen,
    /// Whether a second connection resumed the first.
    pub resumption: Seen,
    /// Whether an OCSP response came with the certificate.
    pub ocsp_stapled: Seen,
    /// The certificate, if a handshake came to its end.
    pub certificate: Option<Certificate>,
    /// What it is.
    pub service: Service,
}

/// What is to be said of one item of the checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It does not keep to it.
    Fail,
    /// It has no meaning here.
    NotApplicable,
    /// Nobody knows.
    NotTested,
    /// It keeps to it.
    Pass,
}

impl Finding {
    /// For people and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::NotApplicable => "not applicable",
            Self::NotTested => "not tested",
            Self::Pass => "pass",
        }
    }
}

/// Whether an item belongs to the standard or is good advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A fail does not break the standard.
    Advice,
    /// A fail, or not knowing, does.
    Standard,
}

/// One item of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its section in the practices.
    pub section: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// Whether it decides.
    pub weight: Weight,
    /// What was found.
    pub finding: Finding,
    /// Why, in words.
    pub detail: String,
}

impl Item {
    /// What its owner can do about a fail.
    pub fn remedy(&self) -> &'static str {
        checklist::remedy(self.section)
    }
}

/// Judges the facts.
pub fn rate(facts: &Facts) -> Rating {
    grade::rate(facts, checklist::checklist(facts))
}

/// HSTS for less than this does not make an A+.
pub const HSTS_SECONDS_MIN: u64 = 180 * 86_400;
