//! Bounds of notices.

use std::ops::RangeInclusive;

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
/// Between the tries of a webhook, in seconds, after the first one at once: Standard Webhooks 1.0, 75 hours in all.
pub const RETRY_SECONDS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// What a receiver of webhooks may ask for by Retry-After: not longer than the longest wait of the schedule.
pub const RETRY_AFTER_SECONDS_MAX: i64 = 86_400;
/// A receiver that does not answer is left alone for so long by what else waits for it.
pub const RECEIVER_REST_SECONDS: i64 = 60;
/// Octets of a webhook's secret: Standard Webhooks 1.0.
pub const SECRET_OCTETS: RangeInclusive<usize> = 24..=64;
/// Secrets of one webhook: one in use, one that takes its place, and time to forget the old ones.
pub const SECRETS_MAX: usize = 4;
/// Days before the end of a certificate at which its operator is told.
pub const CERTIFICATE_DAYS: [i64; 4] = [30, 14, 7, 1];
/// Kinds of each count that a week's summary names.
pub const WEEK_LINES_MAX: usize = 20;
