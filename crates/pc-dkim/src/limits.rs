//! Bounds of what is verified.

use std::time::Duration;

/// `DKIM-Signature` fields of a message; each may ask for its own hash of the whole body.
pub const SIGNATURES_MAX: usize = 10;
/// Signatures that are verified, of those that matter.
pub const VERIFIED_MAX: usize = 3;
/// Octets of a message, which is held in memory as a whole meanwhile.
pub const MESSAGE_OCTETS_MAX: u64 = 32 * 1024 * 1024;
/// Messages at once.
pub const PARALLEL_MAX: usize = 4;
/// For the keys of one message.
pub const TIMEOUT: Duration = Duration::from_secs(10);
