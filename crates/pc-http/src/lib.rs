//! # Purpose
//! What the HTTPS edge in front of Exchange decides: whether the octets of a request have one reading only
//! ([`framing`], for HTTP/2 [`frames`] and [`http2`]), which site a request is for ([`host`]), what its path means ([`path`]) and whether that is open
//! ([`policy`]), whether it is a known attack ([`patches`]), and which fields go on in each direction ([`fields`],
//! [`disclosure`], [`cookies`]); how long a client may be silent ([`pace`]), and which server behind is asked ([`health`]).
//!
//! # Trust
//! Requests come from anybody. Responses come from the operator's own servers, which tell too much about themselves.
//!
//! # Standards
//! RFC 9110, 9112, 9113, 6797 (HSTS). Not here: what frames of HTTP/2 say, which the library reads; caches; WebSocket and every
//! other upgrade, which is never forwarded.
//!
//! # Invariants
//! No I/O and no clock. What has two readings is refused and not repaired. Nothing is open that no rule opens. A path
//! is matched in its normal form only, and goes on as it came only where both forms name the same directory.
//!
//! # See also
//! `limits` for every number; `pc-httpd` for the loop that drives this.

pub mod allowance;
pub mod cookies;
pub mod disclosure;
pub mod fields;
pub mod frames;
pub mod framing;
#[cfg(test)]
mod genuine;
pub mod health;
pub mod host;
pub mod http2;
pub mod invariants;
pub mod limits;
pub mod mta_sts;
pub mod pace;
pub mod patches;
pub mod path;
pub mod policy;

/// The version of a request (RFC 9110 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No Host needed, no chunks.
    Http10,
    /// RFC 9112.
    Http11,
    /// RFC 9113.
    Http2,
}

impl Version {
    /// For the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}
