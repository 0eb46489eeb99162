//! # Purpose
//! The decisions of the client protocols' edge: what a mail program hears before TLS, how a server
//! behind is brought to the point where both can be joined, what passes between them until a login
//! succeeds, and who failed to log in too often.
//!
//! # Trust
//! The client is a stranger until the server behind has taken its login. The server behind is a
//! stranger until its certificate was verified; what it says before is used for nothing but to begin
//! TLS.
//!
//! # Standards
//! RFC 9051 and 3501 (IMAP), 5530 (response codes), RFC 1939, 2449, 2595, 3206, 5034 (POP3), RFC 6409,
//! 3207, 4954 (submission), RFC 8314. Not done: SASL itself, which passes through; COMPRESS before a
//! login.
//!
//! # Invariants
//! - No login is taken in plain text, whatever the server behind would allow.
//! - Nothing said before TLS, on either side, has any effect after it; octets that come in one piece
//!   with the command or the reply that begins TLS end the connection.
//! - Only CRLF ends a line. How octets are cut into pieces changes nothing but that.
//! - A client that makes it impossible to tell whose reply is whose is cut off. A server that does is let
//!   through and nothing is counted; on submission that ends the connection, since no mail may pass without a login.
//!
//! # See also
//! `plain` (client before TLS), `behind` (server until joined), `relay` (both until a login), `failures`.

mod behind;
mod failures;
pub mod limits;
mod line;
mod plain;
mod relay;
#[cfg(test)]
mod tests;

pub use behind::{Behind, BehindFault, BehindNext};
pub use failures::LoginFailures;
pub use line::LineFault;
pub use plain::{AwaitCommand, Closing, PlainNext, PlainStep};
pub use relay::{Effect, Input, Relay};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 9051.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 6409.
    Submission,
}

/// Why a client is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It broke the protocol.
    Fault,
    /// Its address failed to log in too often.
    LoginFailures,
    /// The node ends.
    Shutdown,
    /// It was silent for too long.
    Silence,
    /// The server behind cannot be reached.
    Unavailable,
}

impl Protocol {
    /// Stable, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
        }
    }

    /// The line that ends a conversation from our side: RFC 9051 7.1.5, RFC 3206, RFC 5321 3.8.
    pub fn farewell(self, farewell: Farewell) -> Vec<u8> {
        let (imap, pop3, smtp, text) = match farewell {
            Farewell::Fault => ("", "", "421 4.5.0", "protocol fault, closing"),
            Farewell::LoginFailures => {
                let text = "too many failed logins from your address, please come back in an hour";
                ("[CONTACTADMIN] ", "[SYS/TEMP] ", "421 4.7.0", text)
            }
            Farewell::Shutdown => {
                ("[UNAVAILABLE] ", "[SYS/TEMP] ", "421 4.3.2", "the service ends, please connect again")
            }
            Farewell::Silence => ("", "", "421 4.4.2", "nothing came for too long, closing"),
            Farewell::Unavailable => {
                let text = "the mail server cannot be reached at present, please come back later";
                ("[UNAVAILABLE] ", "[SYS/TEMP] ", "421 4.3.0", text)
            }
        };
        let line = match self {
            Self::Imap => format!("* BYE {imap}{text}\r\n"),
            Self::Pop3 => format!("-ERR {pop3}{text}\r\n"),
            Self::Submission => format!("{smtp} {text}\r\n"),
        };
        line.into_bytes()
    }
}

/// The first word of a line in capitals, and the rest behind its space.
pub(crate) fn verb(line: &[u8]) -> (String, &[u8]) {
    let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (String::from_utf8_lossy(word).to_ascii_uppercase(), rest.strip_prefix(b" ").unwrap_or(rest))
}
