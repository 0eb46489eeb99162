//! Bounds of the SMTP shell; those of the protocol are in `pc_smtp::limits`.

use std::time::Duration;

/// Octets of a message kept in memory; the rest goes to a temporary file. Above
/// `pc_smtp::limits::HEADER_OCTETS_MAX`, so that the header is always in memory.
pub const MESSAGE_HEAD_OCTETS_MAX: usize = 512 * 1024;
/// Octets read from a socket at once: one TLS record (RFC 8446 5.1).
pub const READ_OCTETS: usize = 16 * 1024;
/// Octets of message written to the server behind at once.
pub const WRITE_OCTETS: usize = 64 * 1024;
/// A handshake, from the first octet of the hello. OWASP and the SSL Labs scanner both stay below 10 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The answer of the server behind to the end of data. RFC 5321 4.5.3.2.6 gives 10 minutes, and our
/// own client waits no longer than that.
pub const FINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(540);
/// Idle connections to the server behind are closed after this; Exchange closes after 5 minutes
/// (ConnectionInactivityTimeOut on front-end connectors).
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(60);
/// Messages over one connection to the server behind; Exchange's default for its own sends is 20 at
/// a time, Postfix reuses for 300 s.
pub const UPSTREAM_MESSAGES_MAX: u32 = 1_000;
/// How long a transaction waits for a free connection to the server behind.
pub const UPSTREAM_SEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// Writes to a client that does not read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long open transactions may take at shutdown.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
