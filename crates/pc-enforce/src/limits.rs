//! Bounds and defaults of the ladder.

/// Stages of a schedule; Exchange Online has eight.
pub const STAGES_MAX: usize = 24;
/// Interior lines that are kept of a server's last message: all records are in memory, and three hops behind an edge are many.
pub const INTERIOR_LINES_MAX: usize = 3;
/// Octets of each.
pub const INTERIOR_OCTETS_MAX: usize = 300;
/// Minutes of an hour.
pub const MINUTES_PER_HOUR: u8 = 60;
/// Default for `Policy::decay_days`. Exchange Online says nothing about silent servers.
pub const DECAY_DAYS: u32 = 30;
/// Default for `Policy::probe_interval_minutes`: Exchange retries every 10 minutes
/// (`MessageRetryInterval` is 15, `TransientFailureRetryInterval` 5 to 10), so a patched server is noticed
/// with its first or second try.
pub const PROBE_INTERVAL_MINUTES: u32 = 10;
/// A reply line with code and CRLF, RFC 5321 4.5.3.1.5; the text must leave room for `550 5.7.230 `.
pub const REPLY_TEXT_OCTETS_MAX: usize = 512 - 14;
/// Default for the age of a missing security update under the floor `current`: a month, from one monthly
/// release to the next.
pub const GRACE_DAYS: u32 = 30;
/// Default for the messages that open a row. One stamp may be wrong: a pickup line, an agent, one stale member of a group
/// (two real cases at Exchange Online); three in a row from one server that never shows a good one are not.
pub const OPEN_SIGHTINGS: u32 = 3;
/// Default for the hours these messages must span: a server in the middle of an update, or a queue that empties after one,
/// shows old stamps for a while.
pub const OPEN_HOURS: u32 = 6;
/// Pause days of a tenant in a calendar year, as at Exchange Online.
pub const PAUSE_BUDGET_DAYS: u32 = 90;
/// How far ahead a pause may begin: what is planned beyond that is not known to be needed.
pub const PAUSE_AHEAD_DAYS_MAX: u32 = 366;
/// Octets of an attestation: the script's have about 400.
pub const ATTESTATION_OCTETS_MAX: usize = 4_096;
/// Octets of a tenant's name in one.
pub const ATTESTATION_TENANT_OCTETS_MAX: usize = 128;
/// Octets of its time, with nine digits of a second.
pub const ATTESTATION_TEXT_OCTETS_MAX: usize = 30;
/// Digits of its nonce: 128 bits.
pub const ATTESTATION_NONCE_DIGITS: usize = 32;
/// Octets of a key: RFC 2104 3 advises no fewer than the hash has.
pub const ATTESTATION_KEY_OCTETS_MIN: usize = 32;
/// How far the clock of a server may be off, and how old an attestation by the web may be. Kerberos allows 5 minutes, so
/// that members of a domain are well inside.
pub const ATTESTATION_SKEW_MINUTES: i64 = 10;
/// How old one may be that the operator takes in by hand, since a file has to be brought to him.
pub const ATTESTATION_BY_HAND_HOURS: i64 = 24;
