//! Every bound of this crate, with its source.

use std::time::Duration;

/// Octets of one answer of an authority. A chain of ten certificates needs 20 KiB, everything else less.
pub const ANSWER_OCTETS_MAX: usize = 256 * 1024;

/// One request, with look-up, handshake and answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One try from the directory to the certificate. Authorities look from several places, one after the other.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(900);

/// Waiting for an authority to look at the proofs, and then for it to sign.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(300);

/// Before the first question how far it is; each further pause is half as long again.
pub const POLL_FIRST: Duration = Duration::from_millis(500);

/// Growth of these pauses.
pub const POLL_GROWTH: f32 = 1.5;

/// A Retry-After (RFC 8555 7.5.1) that the library is shown: within [`POLL_TIMEOUT`], since it adds it to the time without
/// a bound of its own.
pub const RETRY_AFTER_SHOWN_MAX: Duration = Duration::from_secs(240);

/// Octets of a token. RFC 8555 8.3 asks for 128 bits at least, in base64url: 22 characters; authorities use 43.
pub const TOKEN_OCTETS_MAX: usize = 256;

/// Octets of the account's file and of the file with the key of an external account.
pub const FILE_OCTETS_MAX: u64 = 64 * 1024;
