//! Bounds of a conversation with a milter.

/// What follows the letter of a packet that we send: libmilter's `MILTER_MAX_DATA_SIZE`, beyond which
/// it closes the connection.
pub const SENT_OCTETS_MAX: usize = 65_535;
/// Octets of the message in one packet: libmilter's `MILTER_CHUNK_SIZE`.
pub const BODY_CHUNK_OCTETS_MAX: usize = 65_535;
/// What follows the length of a packet that we receive, its letter included. Nothing that we negotiate
/// is larger than a header field, and these have [`FIELD_OCTETS_MAX`].
pub const RECEIVED_OCTETS_MAX: usize = 64 * 1024;
/// Changes to one message. Rspamd writes about 10 fields with everything that it has turned on.
pub const MODIFICATIONS_MAX: usize = 100;
/// Name and value of a field that a milter writes; Rspamd's list of symbols is about 2 KiB.
pub const FIELD_OCTETS_MAX: usize = 32 * 1024;
/// All of them together; below `pc_smtp::limits::HEADER_OCTETS_MAX`, which the next server may have.
pub const FIELDS_OCTETS_MAX: usize = 64 * 1024;
/// RFC 5322 2.1.1: a line has at most 998 octets without CRLF.
pub const FIELD_LINE_OCTETS_MAX: usize = 998;
/// The reason of a quarantine in our reply, which is one line (RFC 5321 4.5.3.1.5).
pub const REASON_OCTETS_MAX: usize = 120;
/// The newest version that we speak: Sendmail 8.14 and later.
pub const VERSION_MAX: u32 = 6;
/// The oldest: Sendmail 8.10 to 8.13.
pub const VERSION_MIN: u32 = 2;
