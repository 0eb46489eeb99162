//! Bounds of API and pages.

/// Rows of history on a server's page.
pub const HISTORY_ROWS: u32 = 50;
/// Rows of a trace without a limit in the query.
pub const TRACE_ROWS: u32 = 100;
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
/// Addresses with a hello that is too old in a report, the last seen; all are counted.
pub(crate) const REPORT_HELLOS: usize = 200;
/// Refused TLS clients that one search looks at, the last seen.
pub(crate) const TLS_CLIENTS_SEARCHED: u32 = 10_000;
/// Days that a summary of them is of, without other word.
pub(crate) const SUMMARY_DAYS: u16 = 7;
/// And at most: their counts by day are kept for a hundred.
pub(crate) const SUMMARY_DAYS_MAX: u16 = 100;
