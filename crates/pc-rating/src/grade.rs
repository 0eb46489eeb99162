//! The grade: 30 % protocol, 30 % key, 40 % cipher, then caps and warnings.

use std::fmt;

use crate::{Facts, Finding, HSTS_SECONDS_MIN, Item, Key, Seen, Service, SuiteKind, Trust, Version, Weight};

/// A grade, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// A without a warning and with HSTS.
    APlus,
    /// 80 or more.
    A,
    /// A with a warning.
    AMinus,
    /// 65 or more.
    B,
    /// 50 or more.
    C,
    /// 35 or more.
    D,
    /// 20 or more.
    E,
    /// Below.
    F,
    /// The certificate is for another name.
    M,
    /// The certificate is not trusted.
    T,
}

impl fmt::Display for Grade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::APlus => "A+",
            Self::A => "A",
            Self::AMinus => "A-",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::M => "M",
            Self::T => "T",
        })
    }
}

/// The three parts, each of 100, in halves so that means are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    protocol_halves: u32,
    key_halves: u32,
    cipher_halves: u32,
}

impl Score {
    /// Of 100, rounded down.
    pub fn total(self) -> u32 {
        (3 * self.protocol_halves + 3 * self.key_halves + 4 * self.cipher_halves) / 20
    }
}

impl fmt::Display for Score {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Twentieths: a part of n halves with weight w counts n * w / 20.
        let part = |twentieths: u32| {
            let hundredths = twentieths * 5;
            match (hundredths / 100, hundredths % 100) {
                (whole, 0) => format!("{whole}"),
                (whole, rest) if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
                (whole, rest) => format!("{whole}.{rest:02}"),
            }
        };
        let parts = [3 * self.protocol_halves, 3 * self.key_halves, 4 * self.cipher_halves];
        let [protocol, key, cipher] = parts.map(part);
        write!(formatter, "{protocol} + {key} + {cipher} = {}", self.total())
    }
}

/// The verdict.
#[derive(Clone, Debug)]
pub struct Rating {
    /// The checklist.
    pub items: Vec<Item>,
    /// `None` where too little was seen.
    pub score: Option<Score>,
    /// `None` where too little was seen.
    pub grade: Option<Grade>,
    /// Why it is no better, the worst first.
    pub reasons: Vec<(Grade, String)>,
}

impl Rating {
    /// Whether the service keeps to the one standard. What was not seen does not count as kept.
    pub fn meets_standard(&self) -> bool {
        let is_kept = |item: &Item| matches!(item.finding, Finding::Pass | Finding::NotApplicable);
        self.items.iter().filter(|item| item.weight == Weight::Standard).all(is_kept)
    }
}

pub(crate) fn rate(facts: &Facts, items: Vec<Item>) -> Rating {
    let score = score(facts);
    let mut reasons = caps(facts);
    reasons.sort_by_key(|(cap, _)| std::cmp::Reverse(*cap));
    let grade = score.map(|score| grade(facts, score, &mut reasons));
    Rating { items, score, grade, reasons }
}

fn accepted(facts: &Facts) -> impl Iterator<Item = Version> + Clone + '_ {
    facts.versions.iter().filter(|(_, found)| *found == Seen::Yes).map(|(version, _)| *version)
}

fn score(facts: &Facts) -> Option<Score> {
    let points = accepted(facts).map(protocol_points);
    let protocol_halves = points.clone().max()? + points.min()?;
    let ciphers = facts.suites.iter().map(|(_, suite)| cipher_points(suite.bits));
    let cipher_halves = ciphers.clone().max()? + ciphers.min()?;
    let key = facts.certificate.as_ref()?.key;
    Some(Score { protocol_halves, key_halves: 2 * key_points(key), cipher_halves })
}

/// Rating guide, "Protocol support".
fn protocol_points(version: Version) -> u32 {
    match version {
        Version::Ssl3 => 80,
        Version::Tls10 => 90,
        Version::Tls11 => 95,
        Version::Tls12 | Version::Tls13 => 100,
    }
}

/// Rating guide, "Key exchange".
fn key_points(key: Key) -> u32 {
    match key {
        Key::Ec(..225) => 90,
        Key::Ec(_) => 100,
        Key::Rsa(..512) => 20,
        Key::Rsa(..1024) => 40,
        Key::Rsa(..2048) => 80,
        Key::Rsa(..4096) => 90,
        Key::Rsa(_) => 100,
    }
}

/// Rating guide, "Cipher strength".
fn cipher_points(bits: u32) -> u32 {
    match bits {
        0 => 0,
        1..128 => 20,
        128..256 => 80,
        _ => 100,
    }
}

fn letter(total: u32) -> Grade {
    match total {
        80.. => Grade::A,
        65.. => Grade::B,
        50.. => Grade::C,
        35.. => Grade::D,
        20.. => Grade::E,
        _ => Grade::F,
    }
}

fn grade(facts: &Facts, score: Score, reasons: &mut Vec<(Grade, String)>) -> Grade {
    let capped = reasons.iter().map(|(cap, _)| *cap).max().unwrap_or(Grade::APlus);
    let grade = letter(score.total()).max(capped);
    if grade > Grade::A || capped > Grade::APlus {
        return grade;
    }
    match facts.service {
        Service::Https { hsts_seconds: Some(seconds) } if seconds >= HSTS_SECONDS_MIN => Grade::APlus,
        Service::Mail => {
            let why = "A+ asks for HSTS, which has no meaning without HTTP: A is the best here";
            reasons.push((Grade::A, why.to_owned()));
            Grade::A
        }
        Service::Https { .. } | Service::Unknown => {
            reasons.push((Grade::A, "no HSTS was seen".to_owned()));
            Grade::A
        }
    }
}

/// What holds a grade down, and the warnings that make an A an A-.
fn caps(facts: &Facts) -> Vec<(Grade, String)> {
    let mut caps = Vec::new();
    let mut cap = |grade: Grade, why: &str| caps.push((grade, why.to_owned()));
    match facts.certificate.as_ref().map(|certificate| &certificate.trust) {
        Some(Trust::Untrusted(why)) => cap(Grade::T, why),
        Some(Trust::WrongName(why)) => cap(Grade::M, why),
        Some(Trust::Trusted) | None => {}
    }
    if let Some(certificate) = &facts.certificate {
        if certificate.has_weak_signature {
            cap(Grade::T, "the certificate is signed with MD5 or SHA-1");
        }
        match key_points(certificate.key) {
            ..=40 => cap(Grade::F, "the key is far too short"),
            41..90 => cap(Grade::B, "the key is too short"),
            _ => {}
        }
    }
    let has = |kinds: &[SuiteKind]| facts.suites.iter().any(|(_, suite)| kinds.contains(&suite.kind));
    if has(&[SuiteKind::Weak, SuiteKind::Anonymous]) {
        cap(Grade::F, "suites without encryption, for export, or without proof of identity");
    }
    let of_tls11 = |kind: SuiteKind| {
        facts.suites.iter().any(|(version, suite)| *version >= Version::Tls11 && suite.kind == kind)
    };
    if of_tls11(SuiteKind::Rc4) {
        cap(Grade::C, "RC4 with TLS 1.1 or later");
    } else if has(&[SuiteKind::Rc4]) {
        cap(Grade::B, "RC4");
    }
    if of_tls11(SuiteKind::Block64) {
        cap(Grade::C, "ciphers with blocks of 64 bits with TLS 1.1 or later (SWEET32)");
    }
    if facts.compression == Seen::Yes {
        cap(Grade::C, "TLS compression (CRIME)");
    }
    let offers = |version: Version| facts.versions.contains(&(version, Seen::Yes));
    if !offers(Version::Tls12) && !offers(Version::Tls13) {
        cap(Grade::C, "neither TLS 1.2 nor TLS 1.3");
    }
    if offers(Version::Ssl3) {
        let has_cbc = facts.suites.iter().any(|(version, suite)| {
            *version == Version::Ssl3
                && matches!(suite.kind, SuiteKind::Cbc | SuiteKind::StaticCbc | SuiteKind::Block64)
        });
        match has_cbc {
            true => cap(Grade::C, "SSL 3 with CBC (POODLE)"),
            false => cap(Grade::B, "SSL 3"),
        }
    }
    for version in [Version::Tls10, Version::Tls11].into_iter().filter(|version| offers(*version)) {
        cap(Grade::B, &format!("{} is offered", version.name()));
    }
    if !facts.suites.is_empty() {
        if !has(&[SuiteKind::ForwardAead, SuiteKind::Cbc]) {
            cap(Grade::B, "no forward secrecy");
        }
        if !has(&[SuiteKind::ForwardAead, SuiteKind::StaticAead]) {
            cap(Grade::B, "no authenticated encryption");
        }
    }
    if !offers(Version::Tls13) {
        cap(Grade::AMinus, "TLS 1.3 is missing");
    }
    if facts.secure_renegotiation == Seen::No && offers(Version::Tls12) {
        cap(Grade::AMinus, "secure renegotiation is missing");
    }
    if let Service::Https { hsts_seconds: Some(..HSTS_SECONDS_MIN) } = facts.service {
        cap(Grade::AMinus, "HSTS for less than 180 days");
    }
    if facts.fallback_protection == Seen::No {
        cap(Grade::A, "TLS_FALLBACK_SCSV is ignored");
    }
    caps
}
