//! Every bound of this crate, with its source.

use std::time::Duration;

/// A handshake, from the first octet of the hello. OWASP and the SSL Labs scanner both stay below 10 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the connection to STARTTLS: a program sends it at once.
pub const PLAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Silence before a login; Dovecot waits 3 minutes too, somebody may type a password.
pub const LOGIN_SILENCE_MAX: Duration = Duration::from_secs(180);
/// From TLS to a login, however much is said.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(900);
/// What a host behind may take from its handshake to its greeting.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(15);
/// All hosts behind together; mail programs wait for half a minute to a minute.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(45);
/// Writes before a login, to a side that does not read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// When one side has ended, what the other may still say.
pub const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(30);
/// At shutdown an IMAP connection that was quiet for so long is ended: it waits for news, not for an answer.
pub const QUIET: Duration = Duration::from_secs(2);
/// Octets read at once before TLS and before a login.
pub const COMMAND_READ_OCTETS: usize = 1_024;
/// Octets read at once after a login, at first: most connections wait most of the time.
pub const READ_OCTETS_MIN: usize = 2_048;
/// Octets read at once when there is much: one TLS record.
pub const READ_OCTETS_MAX: usize = 16_384;
