//! # Purpose
//! An owner's signed word about the build of his server, and how it stands against what the server's mail shows.
//!
//! # Trust
//! The body comes from anybody on the internet; only who holds the key of a tenant gets past [`Claim::prove`]. What he says then is
//! still no more than his word: it is shown, and neither standing nor stage depends on it.
//!
//! # Standards
//! RFC 2104 with SHA-256; RFC 8259 for the body; RFC 3339 for the time. The signed text is [`FIELDS`] in their order, each followed
//! by a line feed, in UTF-8, as they stand in the body.
//!
//! # Invariants
//! An [`Attestation`] is proven. No field holds a control character, so that the signed text has one reading. An unknown tenant and
//! a wrong key are answered alike. Of each host only a later time than the last is admitted, so that nothing is admitted twice.
//!
//! # See also
//! `attest.ps1`, which makes the body; [`crate::observe`], which does not look here.

mod comparison;

use std::fmt;

use pc_types::{Build, Domain, SignedDuration, Timestamp, from_base64, hmac_sha256, is_same_code};
use serde::{Deserialize, Serialize};

use crate::limits::{
    ATTESTATION_KEY_OCTETS_MIN, ATTESTATION_NONCE_DIGITS, ATTESTATION_OCTETS_MAX, ATTESTATION_SKEW_MINUTES,
    ATTESTATION_TENANT_OCTETS_MAX, ATTESTATION_TEXT_OCTETS_MAX,
};

pub use comparison::{Comparison, FitBy, Held, compare};

/// Makes an attestation on an Exchange server.
pub const SCRIPT: &str = include_str!("attestation/attest.ps1");

/// The only value of the field `format`.
pub const FORMAT: &str = "portcullis-attestation-v1";

/// The signed fields in the order in which they are signed.
pub const FIELDS: [&str; 6] = ["format", "tenant", "host", "build", "time", "nonce"];

/// A build that the owner of a server vouches for; proven to come from who holds the tenant's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attestation {
    /// Whose key signed it.
    pub tenant: String,
    /// The server's own name for itself.
    pub host: Domain,
    /// The file version of its setup program.
    pub build: Build,
    /// When that was read, by the server's clock.
    pub at: Timestamp,
    /// Random digits.
    pub nonce: String,
}

/// Why an attestation is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationRefusal {
    /// A field is not of its form.
    #[error("{0}; use the script that `portcullis attest script` prints")]
    BadField(&'static str),
    /// Not the fields that are asked for.
    #[error(
        "The body must be one JSON object with the texts format, tenant, host, build, time, nonce and signature, each once and no \
         other; use the script that `portcullis attest script` prints"
    )]
    BadJson,
    /// Its time lies ahead.
    #[error("Its time {at} lies ahead of ours, {now}; set the clock of that server and run the script again")]
    Future {
        /// Its time.
        at: Timestamp,
        /// Ours.
        now: Timestamp,
    },
    /// Other hosts of its tenant fill the room.
    #[error(
        "There is no room for another host of this tenant today; attest fewer hosts, or try again in two days"
    )]
    NoRoom,
    /// Not later than what is known of that host, or made with the same nonce.
    #[error(
        "An attestation of this host with this time, a later one or this nonce is known already; run the script again"
    )]
    Replayed,
    /// Its time lies too far back.
    #[error(
        "Its time {at} lies too far before ours, {now}; set the clock of that server, or run the script again"
    )]
    Stale {
        /// Its time.
        at: Timestamp,
        /// Ours.
        now: Timestamp,
    },
    /// More octets than a body has.
    #[error(
        "The body has more than {ATTESTATION_OCTETS_MAX} octets; use the script that `portcullis attest script` prints"
    )]
    TooLarge,
    /// The code is not that of the tenant's key, or there is no such tenant, or it has no key.
    #[error(
        "The signature is not that of a key we know for this tenant; check the tenant's name and the key file with whoever runs \
         this edge"
    )]
    Unproven,
}

impl AttestationRefusal {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadField(_) => "bad_field",
            Self::BadJson => "bad_json",
            Self::Future { .. } => "future",
            Self::NoRoom => "no_room",
            Self::Replayed => "replayed",
            Self::Stale { .. } => "stale",
            Self::TooLarge => "too_large",
            Self::Unproven => "unproven",
        }
    }
}

/// A tenant's key.
#[derive(Clone, PartialEq, Eq)]
pub struct AttestationKey(Vec<u8>);

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must hold one line, base64 of at least {ATTESTATION_KEY_OCTETS_MIN} octets, as `portcullis attest key` prints it"
)]
pub struct AttestationKeyError;

impl AttestationKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// See [`AttestationKeyError`].
    pub fn parse(text: &str) -> Result<Self, AttestationKeyError> {
        let octets = from_base64(text.trim()).ok_or(AttestationKeyError)?;
        if octets.len() < ATTESTATION_KEY_OCTETS_MIN {
            return Err(AttestationKeyError);
        }
        Ok(Self(octets))
    }
}

impl fmt::Debug for AttestationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AttestationKey(hidden)")
    }
}

/// Well formed, from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    attestation: Attestation,
    signed: String,
    signature: [u8; 32],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: String,
    tenant: String,
    host: String,
    build: String,
    time: String,
    nonce: String,
    signature: String,
}

impl Claim {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is too large, or not of the form.
    pub fn parse(body: &[u8]) -> Result<Self, AttestationRefusal> {
        use AttestationRefusal::BadField;
        if body.len() > ATTESTATION_OCTETS_MAX {
            return Err(AttestationRefusal::TooLarge);
        }
        // The library would take an array of the values as well.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(AttestationRefusal::BadJson);
        }
        let body: Body = serde_json::from_slice(body).map_err(|_| AttestationRefusal::BadJson)?;
        let signed = [&body.format, &body.tenant, &body.host, &body.build, &body.time, &body.nonce];
        let signed: String = signed.iter().flat_map(|field| [field.as_str(), "\n"]).collect();
        if body.format != FORMAT {
            return Err(BadField("format must be portcullis-attestation-v1"));
        }
        let is_tenant = !body.tenant.is_empty()
            && body.tenant.len() <= ATTESTATION_TENANT_OCTETS_MAX
            && !body.tenant.chars().any(char::is_control);
        if !is_tenant {
            return Err(BadField("tenant must be the name of a tenant"));
        }
        let host = Some(body.host.as_str()).filter(|host| host.is_ascii() && !host.ends_with('.'));
        let host = host.and_then(|host| host.parse().ok()).ok_or(BadField("host must be a host name"))?;
        let build =
            body.build.parse().map_err(|_| BadField("build must be four numbers such as 15.1.2507.39"))?;
        let at = instant(&body.time).ok_or(BadField("time must be UTC, such as 2026-11-26T12:00:00Z"))?;
        let is_digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
        if body.nonce.len() != ATTESTATION_NONCE_DIGITS || !body.nonce.bytes().all(is_digit) {
            return Err(BadField("nonce must be 32 hexadecimal digits in lower case"));
        }
        let signature = from_base64(&body.signature).and_then(|octets| octets.try_into().ok());
        let signature = signature.ok_or(BadField("signature must be base64 of 32 octets"))?;
        let attestation = Attestation { tenant: body.tenant, host, build, at, nonce: body.nonce };
        Ok(Self { attestation, signed, signature })
    }

    /// Whose key shall prove it.
    pub fn tenant(&self) -> &str {
        &self.attestation.tenant
    }

    /// The host that it speaks of.
    pub fn host(&self) -> &Domain {
        &self.attestation.host
    }

    /// What is signed.
    pub fn signed(&self) -> &str {
        &self.signed
    }

    /// Proves it; without a key, as for an unknown tenant, the answer is that to a wrong one.
    ///
    /// # Errors
    /// [`AttestationRefusal::Unproven`].
    pub fn prove(self, key: Option<&AttestationKey>) -> Result<Attestation, AttestationRefusal> {
        // Worked out in either case, so that the time it takes does not tell which tenants there are.
        let octets = key.map_or([0; ATTESTATION_KEY_OCTETS_MIN].as_slice(), |key| &key.0);
        let code = hmac_sha256(octets, &[self.signed.as_bytes()]);
        if is_same_code(&code, &self.signature) && key.is_some() {
            Ok(self.attestation)
        } else {
            Err(AttestationRefusal::Unproven)
        }
    }
}

impl Attestation {
    /// Whether it is taken at `now`, after the `last` one of its host that was, if it is no older than `age_max`.
    ///
    /// # Errors
    /// Its time is out of bounds, or it was seen before.
    pub fn admit(
        &self,
        last: Option<&Self>,
        now: Timestamp,
        age_max: SignedDuration,
    ) -> Result<(), AttestationRefusal> {
        let age = now.duration_since(self.at);
        if age > age_max {
            return Err(AttestationRefusal::Stale { at: self.at, now });
        }
        if age < -SignedDuration::from_mins(ATTESTATION_SKEW_MINUTES) {
            return Err(AttestationRefusal::Future { at: self.at, now });
        }
        match last {
            Some(last) if self.at <= last.at || self.nonce == last.nonce => Err(AttestationRefusal::Replayed),
            _ => Ok(()),
        }
    }
}

/// UTC only, written with Z.
fn instant(text: &str) -> Option<Timestamp> {
    let is_plain = text.len() <= ATTESTATION_TEXT_OCTETS_MAX && text.is_ascii() && text.ends_with('Z');
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
