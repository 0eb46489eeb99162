//! Every bound of this crate, with its source.

/// A line before TLS. RFC 9051 4.3.1 and RFC 7162 4 speak of 8,192 octets and RFC 5321 4.5.3.1.4 of 512; the few commands that are
/// answered there need less than RFC 2449 4 allows, 255.
pub const PLAIN_LINE_OCTETS_MAX: usize = 512;
/// Commands before TLS. A client needs three; scanners ask for capabilities twice.
pub const PLAIN_COMMANDS_MAX: usize = 16;
/// A line until the login. RFC 4954 4 asks for 12,288 octets; a Kerberos ticket with a large PAC has up to 48,000 (MaxTokenSize
/// of Windows), which base64 makes 64,000.
pub const LINE_OCTETS_MAX: usize = 65_536;
/// An IMAP literal until the login: user names and passwords.
pub const LITERAL_OCTETS_MAX: u64 = 8_192;
/// Commands that wait for their replies until the login.
pub const PENDING_MAX: usize = 16;
/// Commands until the login.
pub const COMMANDS_MAX: usize = 256;
/// Lines of one SMTP reply; RFC 5321 names no bound, Exchange's reply to EHLO has some 15.
pub const REPLY_LINES_MAX: usize = 128;
/// Lines that a server behind may say between our STARTTLS and its answer.
pub const UNTAGGED_LINES_MAX: usize = 16;
/// Networks of which failed logins are remembered; some 100 octets each.
pub const FAILURE_NETWORKS_MAX: usize = 65_536;
