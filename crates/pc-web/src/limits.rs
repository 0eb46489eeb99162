//! Bounds of API and pages.

/// Rows of history on a server's page.
pub const HISTORY_ROWS: u32 = 50;
/// Rows of a trace without a limit in the query.
pub const TRACE_ROWS: u32 = 100;
/// Octets of a tenant's key file, which has one line of 44.
pub(crate) const KEY_FILE_OCTETS_MAX: u64 = 4_096;
/// Days a preview looks ahead without a number in the query: the length of the default schedule.
pub const PREVIEW_DAYS: u32 = 90;
/// Days a preview looks ahead at most: ten years.
pub const PREVIEW_DAYS_MAX: u32 = 3_650;
/// Octets of a reason or owner that an operator types.
pub const TEXT_OCTETS_MAX: usize = 500;
/// Octets of an API answer that the command line reads.
pub const ANSWER_OCTETS_MAX: usize = 256 * 1024 * 1024;
/// Spooled messages on the page.
pub const SPOOL_ROWS: usize = 200;
/// Servers on one page of the list.
pub(crate) const SERVER_ROWS: usize = 200;
/// Addresses with a hello that is too old in a report, the last seen; all are counted.
pub(crate) const REPORT_HELLOS: usize = 200;
/// Refused TLS clients that one search looks at, the last seen.
pub(crate) const TLS_CLIENTS_SEARCHED: u32 = 10_000;
/// Days that a summary of them is of, without other word.
pub(crate) const SUMMARY_DAYS: u16 = 7;
/// And at most: their counts by day are kept for a hundred.
pub(crate) const SUMMARY_DAYS_MAX: u16 = 100;
/// Characters of a password: NIST SP 800-63B revision 4 asks for 15 where it is the only factor, 8 otherwise; between
/// them, since the pages are reached on loopback only.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Octets of a password: more is not typed, and hashing has its price.
pub const PASSWORD_OCTETS_MAX: usize = 1_024;
/// Seconds after which an unused session ends (OWASP Session Management: 15 to 30 minutes).
pub(crate) const SESSION_IDLE_SECONDS: i64 = 1_800;
/// Seconds after which any session ends: a long shift.
pub(crate) const SESSION_SECONDS: i64 = 43_200;
/// Sessions at once; the one unused for longest gives way.
pub(crate) const SESSIONS_MAX: usize = 1_000;
/// Octets of a salt (RFC 9106 3.1: 16 are enough for passwords).
pub(crate) const SALT_OCTETS: usize = 16;
/// Octets of randomness in a token.
pub(crate) const TOKEN_OCTETS: usize = 32;
/// Counts of wrong passwords that are kept; two names share one with a chance of one in so many.
pub(crate) const FAILURE_BUCKETS: u64 = 4_096;
/// Wrong passwords for one name ...
pub(crate) const FAILURES_MAX: u32 = 5;
/// ... before the next try waits so many seconds.
pub(crate) const FAILURES_PAUSE_SECONDS: i64 = 900;
/// Octets of a form or of a body of the API.
pub(crate) const BODY_OCTETS_MAX: usize = 64 * 1024;
