//! Bounds of the SMTP shell; those of the protocol are in `pc_smtp::limits`.

use std::time::Duration;

/// Octets of a message kept in memory; the rest goes to a temporary file. Above
/// `pc_smtp::limits::HEADER_OCTETS_MAX`, so that the header is always in memory.
pub const MESSAGE_HEAD_OCTETS_MAX: usize = 512 * 1024;
/// Octets read from a socket at once: one TLS record (RFC 8446 5.1).
pub const READ_OCTETS: usize = 16 * 1024;
/// The same between transactions, where commands come: RFC 5321 4.5.3.1.4 allows lines of 512.
pub const IDLE_READ_OCTETS: usize = 1_024;
/// Octets of message written to the server behind at once.
pub const WRITE_OCTETS: usize = 64 * 1024;
/// A handshake, from the first octet of the hello. OWASP and the SSL Labs scanner both stay below 10 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handing a message over, from its first octet to the answer to its last. Our own client waits 10
/// minutes for that answer (RFC 5321 4.5.3.2.6) and then sends the message again. With
/// [`SCAN_TIMEOUT`] before it, it stays a minute below.
pub const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(300);
/// Scanning a message by all milters, whatever progress they tell of. Below the 5 minutes after which
/// Exchange closes the silent connection that is held meanwhile (ConnectionInactivityTimeOut).
pub const SCAN_TIMEOUT: Duration = Duration::from_secs(240);
/// Connecting to a milter, which is on this host.
pub const MILTER_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Conversations with one milter at once. clamd takes 10 threads and a queue of 100 by default
/// (MaxThreads, MaxQueue); each conversation of clamav-milter holds one.
pub const MILTER_CONVERSATIONS_MAX: usize = 50;
/// How long a message waits for a conversation with a milter.
pub const MILTER_SEAT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection to the server behind is held for a client that gives nothing to ask. A client may take
/// minutes (RFC 5321 4.5.3.2), but these connections are few.
pub const SEAT_IDLE_MAX: Duration = Duration::from_secs(3);
/// Replies wait at most this long while recipients are asked for; a client waits 5 minutes for each
/// (RFC 5321 4.5.3.2.3).
pub const REPLY_DELAY_MAX: Duration = Duration::from_secs(30);
/// One client network gets this part of the connections to a server behind: a quarter.
pub const UPSTREAM_SHARE_PARTS: usize = 4;
/// Client networks remembered before unused ones are forgotten.
pub const UPSTREAM_SHARES_MAX: usize = 1_024;
/// Idle connections to the server behind are closed after this; Exchange closes after 5 minutes
/// (ConnectionInactivityTimeOut on front-end connectors).
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(60);
/// Messages over one connection to the server behind; Exchange's default for its own sends is 20 at
/// a time, Postfix reuses for 300 s.
pub const UPSTREAM_MESSAGES_MAX: u32 = 1_000;
/// How long a transaction waits for a free connection to the server behind.
pub const UPSTREAM_SEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// Finding a host of the server behind that answers the first recipient: our own client waits 5 minutes for that answer
/// (RFC 5321 4.5.3.2.3).
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(240);
/// Octets of a list of recipients; a million addresses of 60 octets.
pub const RECIPIENT_LIST_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Its lines; each costs some 50 octets of memory.
pub const RECIPIENT_LIST_LINES_MAX: usize = 1_000_000;
/// A list with less than this part of the lines before it is not taken unasked: it was cut short more likely than half of a
/// company left.
pub const RECIPIENT_LIST_KEPT_PERCENT_MIN: usize = 50;
/// Recipients remembered of each upstream, once for those that exist and once for those that do not; some 100 octets each.
pub const RECIPIENT_CACHE_MAX: usize = 20_000;
/// Writes to a client that does not read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long attempts at spooled mail may take at shutdown.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of a message that a report to its sender returns at most.
pub const REPORT_ORIGINAL_OCTETS_MAX: u64 = 256 * 1024;
/// Spooled messages that are given up at once while their server is not asked.
pub const SPOOL_EXPIRED_AT_ONCE_MAX: usize = 100;
/// Handling of a message may fail so often before it is kept for the operator.
pub const MESSAGE_FAILURES_MAX: u32 = 2;
/// Messages over which handling failed, remembered until the restart.
pub const SUSPECTS_MAX: usize = 1_024;
/// Steps that a transaction's row tells of.
pub const STEPS_MAX: usize = 40;
/// Recipients among them; the rest is counted.
pub const RECIPIENT_STEPS_MAX: usize = 20;
/// Octets of what a step says.
pub const STEP_OCTETS_MAX: usize = 240;
/// All DNS lists together, from the connection on; the first RCPT waits for the rest of it.
pub const LISTS_TIMEOUT: Duration = Duration::from_secs(3);
/// RFC 7208 4.6.4: at least 20 seconds; the end of data waits for the rest of it.
pub const SPF_TIMEOUT: Duration = Duration::from_secs(20);
/// Questions of one SPF evaluation. RFC 7208 4.6.4 allows 111 to a record of ten `mx` with ten exchanges
/// each; no real one needs a third of that, and a stranger chooses whom we ask.
pub const SPF_QUESTIONS_MAX: u32 = 64;
/// Clients whose counts are kept; some 200 octets each.
pub const QUOTA_CLIENTS_MAX: usize = 65_536;
/// How old a reading of the free room on disk may be: each MAIL asks for it.
pub const DISK_READING_AGE_MAX: Duration = Duration::from_secs(1);
