//! Bounds of the queue.

/// Seconds until the second attempt. RFC 5321 4.5.4.1 asks for 30 minutes towards strangers; the
/// server behind is ours, and the gate tells when it is back.
pub const RETRY_FIRST_SECONDS: i64 = 60;
/// Seconds between attempts at most; RFC 5321 4.5.4.1 lets intervals grow to two or three hours.
pub const RETRY_LONGEST_SECONDS: i64 = 3_600;
/// Seconds until a server behind that failed is asked again.
pub const GATE_FIRST_SECONDS: i64 = 5;
/// At most; a server that comes back after hours waits this long for its mail.
pub const GATE_LONGEST_SECONDS: i64 = 300;
/// Part of a delay by which it may be longer, in percent: keeps many messages from coming at once.
pub const JITTER_PERCENT: u64 = 20;
/// Faults of our own over one message before it is set aside: one may be chance, two are the message.
pub const FAILURES_MAX: u32 = 2;
/// Octets of a kept reply; one reply line of RFC 5321 4.5.3.1.5.
pub const REPLY_OCTETS_MAX: usize = 512;
/// Octets of an original header that a report returns.
pub const REPORT_HEADER_OCTETS_MAX: usize = 64 * 1_024;
/// The first pause of a host of a server behind that failed, doubled with each failure after it. Others take its mail
/// meanwhile, so it may be short.
pub const HEALTH_FIRST_SECONDS: i64 = 5;
/// The longest: nobody waits longer for a server that is back.
pub const HEALTH_LONGEST_SECONDS: i64 = 300;
