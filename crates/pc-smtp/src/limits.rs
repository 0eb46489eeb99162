//! Every bound of the SMTP edge, with its source. Settings may lower some of them within the range
//! the RFC allows, none can lift them.

/// A command line with its CRLF. RFC 5321 4.5.3.1.4 gives 512; the offered extensions add up to
/// 17 (RFC 6152), 26 (RFC 1870), 10 (RFC 6531), 124 + 600 (RFC 3461), and mailboxes may be UTF-8.
pub const COMMAND_LINE_OCTETS_MAX: usize = 2_048;
/// RFC 5321 4.5.3.1.1.
pub const LOCAL_PART_OCTETS_MAX: usize = 64;
/// RFC 5321 4.5.3.1.3.
pub const PATH_OCTETS_MAX: usize = 256;
/// Parameters after one MAIL or RCPT; the offered extensions define five for MAIL.
pub const PARAMETERS_MAX: usize = 8;
/// RFC 3461 4.4: ENVID is at most 100 characters of decoded text; encoded it may triple.
pub const ENVID_OCTETS_MAX: usize = 300;
/// RFC 3461 4.2: ORCPT is at most 500 characters.
pub const ORCPT_OCTETS_MAX: usize = 500;
/// RFC 5321 4.5.3.1.8: a server takes at least 100 recipients.
pub const RECIPIENTS_MIN: usize = 100;
/// RFC 5321 4.5.3.1.5, with CRLF.
pub const REPLY_LINE_OCTETS_MAX: usize = 512;
/// Lines of one reply of the server behind; Exchange answers EHLO with about 15.
pub const REPLY_LINES_MAX: usize = 64;
/// A reply line of the server behind. RFC 5321 4.5.3.1.5 gives 512; some put long texts into 5xx.
pub const UPSTREAM_REPLY_LINE_OCTETS_MAX: usize = 2_048;
/// Refused commands in one session before it is closed with 421. Postfix closes after 20
/// (smtpd_hard_error_limit); ten leave room for a client probing old extensions.
pub const ERRORS_MAX: u32 = 10;
/// Commands that move no mail (NOOP, RSET, VRFY, HELP, repeated EHLO) in one session.
pub const IDLE_COMMANDS_MAX: u32 = 100;
/// Received lines before a message counts as looping. RFC 5321 6.3: at least 100.
pub const RECEIVED_LINES_MAX: usize = 100;
/// Received lines of this node itself before a message counts as looping between us and the server
/// behind; one more than any sane forwarding path crosses the same edge.
pub const OWN_RECEIVED_LINES_MAX: usize = 3;
/// Octets of the header block. Exchange's MaxHeaderSize default is 64 KiB (256 KiB on receive connectors
/// between servers).
pub const HEADER_OCTETS_MAX: usize = 256 * 1024;
/// Fields of the header block.
pub const HEADER_FIELDS_MAX: usize = 2_000;
/// Octets that are read and thrown away after a message or chunk was found too large, before the
/// connection is cut; lets an honest client see its 552.
pub const DISCARD_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Chunks of one message (RFC 3030); tiny chunks are a way to burn commands.
pub const CHUNKS_MAX: u32 = 10_000;
/// Pipelined octets kept while an answer is awaited; the peer is not read from beyond this.
pub const PIPELINE_OCTETS_MAX: usize = 64 * 1024;
/// How long a client may be silent between commands. RFC 5321 4.5.3.2.7: at least 5 minutes.
pub const COMMAND_TIMEOUT_SECONDS: u64 = 300;
/// How long one block of message data may take. RFC 5321 4.5.3.2.5: at least 3 minutes.
pub const DATA_BLOCK_TIMEOUT_SECONDS: u64 = 180;
/// How long a whole message may take; a sender slower than this holds a connection to the server behind for nothing.
pub const MESSAGE_TIMEOUT_SECONDS: u64 = 1_800;
/// How long a session may last; Postfix and Exchange reuse connections for at most 300 s and 10 min.
pub const SESSION_TIMEOUT_SECONDS: u64 = 3_600;
/// Recipients that may be refused in one session before it is closed with 421: a mailing list with
/// stale members stays below, a directory harvest does not.
pub const REFUSED_RECIPIENTS_MAX: u32 = 100;
