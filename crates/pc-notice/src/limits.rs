//! Bounds of notices.

/// Messages that a digest names; the rest is a number. More is read in the list, not in a mail.
pub const DIGEST_MESSAGES_MAX: usize = 50;
/// Octets of a text of a peer's in a mail.
pub const TEXT_OCTETS_MAX: usize = 300;
/// So many seconds pass between the first notice of a digest and the mail, so that what happens together is told
/// together.
pub const GATHER_SECONDS: i64 = 60;
