//! Bounds of notices.

/// Messages that a digest names; the rest is a number. More is read in the list, not in a mail.
pub const DIGEST_MESSAGES_MAX: usize = 50;
/// Octets of a text of a peer's in a mail.
pub const TEXT_OCTETS_MAX: usize = 300;
/// So many seconds pass between the first notice of a digest and the mail, so that what happens together is told
/// together.
pub const GATHER_SECONDS: i64 = 60;
/// Days before a harsher stage on which it is told, the nearest first.
pub const AHEAD_DAYS: [i64; 2] = [1, 7];
/// A release is told for so many days; a node that was away for longer says nothing of it.
pub const RELEASE_TOLD_DAYS: i64 = 7;
/// Mails to one addressee in 24 hours, digests included. What does not fit waits, and goes into one digest.
pub const MAILS_PER_DAY_MAX: usize = 5;
/// Servers that a digest names; the rest is a number.
pub const DIGEST_SERVERS_MAX: usize = 50;
/// Octets of a header line in a mail; longer ones are folded by no mail program.
pub const HEADER_SHOWN_OCTETS_MAX: usize = 600;
/// Days before the end of a certificate at which its operator is told.
pub const CERTIFICATE_DAYS: [i64; 4] = [30, 14, 7, 1];
/// Kinds of each count that a week's summary names.
pub const WEEK_LINES_MAX: usize = 20;
