//! # Purpose
//! A client before TLS on a listener with STARTTLS: the few commands that lead to TLS or to the end
//! are answered by us; the server behind is not even connected to.
//!
//! # Trust
//! A stranger, and whoever stands between.
//!
//! # Standards
//! RFC 9051 6.2.1 and 6.2.3 with RFC 5530 (PRIVACYREQUIRED), RFC 2595 4 with RFC 2449 and 3206, RFC 3207 4
//! with RFC 4954 6.
//!
//! # Invariants
//! No login is looked at. STARTTLS is the last octet that is read: with more behind it the connection
//! ends without TLS.

use crate::limits::{PLAIN_COMMANDS_MAX, PLAIN_LINE_OCTETS_MAX};
use crate::line::{LineFault, Lines};
use crate::{Farewell, Protocol, verb};

/// Waits for a command in plain text.
#[derive(Debug)]
pub struct AwaitCommand {
    protocol: Protocol,
    node_name: String,
    lines: Lines,
    commands: usize,
}

/// What follows some octets.
#[derive(Debug)]
pub struct PlainStep {
    /// What comes next.
    pub next: PlainNext,
    /// Said to the client first.
    pub reply: Vec<u8>,
    /// Logins that were tried in plain text. Their passwords may have been seen on the way.
    pub plain_logins: usize,
}

/// What comes after it.
#[derive(Debug)]
pub enum PlainNext {
    /// Another command.
    Await(AwaitCommand),
    /// The end.
    Close(Closing),
    /// The handshake. Nothing of what was said counts any more.
    StartTls,
}

/// Why a conversation ends before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// CR or LF alone.
    BareLineEnd,
    /// A literal that the client does not wait for: its octets could be taken for commands.
    Literal,
    /// A line over the bound.
    LineTooLong,
    /// The client said so.
    Logout,
    /// Octets behind STARTTLS, from the client or from somebody in between (CVE-2011-0411 and its kin).
    StartTlsInjection,
    /// More than a client needs.
    TooManyCommands,
}

impl Closing {
    /// Stable, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BareLineEnd => "bare_line_end",
            Self::Literal => "literal",
            Self::LineTooLong => "line_too_long",
            Self::Logout => "logout",
            Self::StartTlsInjection => "starttls_injection",
            Self::TooManyCommands => "too_many_commands",
        }
    }
}

/// What one command leads to.
enum Answer {
    Close(Closing, String),
    /// A login, and its refusal.
    Login(String),
    Reply(String),
    StartTls(String),
}

impl AwaitCommand {
    /// The first state, and the greeting.
    pub fn open(protocol: Protocol, node_name: &str) -> (Self, Vec<u8>) {
        let greeting = match protocol {
            Protocol::Imap => {
                "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready for STARTTLS\r\n".to_owned()
            }
            Protocol::Pop3 => "+OK ready for STLS\r\n".to_owned(),
            Protocol::Submission => format!("220 {node_name} ESMTP ready for STARTTLS\r\n"),
        };
        let state = Self { protocol, node_name: node_name.to_owned(), lines: Lines::default(), commands: 0 };
        (state, greeting.into_bytes())
    }

    /// Takes octets of the client.
    pub fn handle(mut self, octets: &[u8]) -> PlainStep {
        self.lines.push(octets);
        let mut reply = Vec::new();
        let mut plain_logins = 0;
        let next = loop {
            let line = match self.lines.next_line(PLAIN_LINE_OCTETS_MAX) {
                Ok(Some(line)) => line,
                Ok(None) => break PlainNext::Await(self),
                Err(fault) => {
                    reply.extend(self.protocol.farewell(Farewell::Fault));
                    break PlainNext::Close(closing(fault));
                }
            };
            self.commands += 1;
            if self.commands > PLAIN_COMMANDS_MAX {
                reply.extend(self.protocol.farewell(Farewell::Fault));
                break PlainNext::Close(Closing::TooManyCommands);
            }
            match self.answer(&line) {
                Answer::Close(why, text) => {
                    reply.extend(text.into_bytes());
                    break PlainNext::Close(why);
                }
                Answer::Login(text) => {
                    plain_logins += 1;
                    reply.extend(text.into_bytes());
                }
                Answer::Reply(text) => reply.extend(text.into_bytes()),
                Answer::StartTls(_) if !self.lines.is_empty() => {
                    break PlainNext::Close(Closing::StartTlsInjection);
                }
                Answer::StartTls(text) => {
                    reply.extend(text.into_bytes());
                    break PlainNext::StartTls;
                }
            }
        };
        PlainStep { next, reply, plain_logins }
    }

    fn answer(&self, line: &[u8]) -> Answer {
        match self.protocol {
            Protocol::Imap => imap(line),
            Protocol::Pop3 => pop3(line),
            Protocol::Submission => submission(line, &self.node_name),
        }
    }
}

fn closing(fault: LineFault) -> Closing {
    match fault {
        LineFault::BareLineEnd => Closing::BareLineEnd,
        LineFault::TooLong => Closing::LineTooLong,
    }
}

fn imap(line: &[u8]) -> Answer {
    let (tag, rest) = line.split_at_checked(tag_octets(line)).unwrap_or((line, &[]));
    let Some(command) = rest.strip_prefix(b" ").filter(|_| !tag.is_empty()) else {
        return Answer::Reply("* BAD a command needs a tag\r\n".to_owned());
    };
    // Only octets that are printable ASCII make a tag.
    let tag = String::from_utf8_lossy(tag);
    let (word, arguments) = verb(command);
    if line.ends_with(b"+}") || line.ends_with(b"-}") {
        let text = format!("{tag} BAD TLS is needed first: STARTTLS\r\n* BYE closing\r\n");
        return Answer::Close(Closing::Literal, text);
    }
    match word.as_str() {
        "CAPABILITY" => Answer::Reply(format!(
            "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n{tag} OK CAPABILITY completed\r\n"
        )),
        "NOOP" => Answer::Reply(format!("{tag} OK NOOP completed\r\n")),
        "LOGOUT" => Answer::Close(Closing::Logout, format!("* BYE closing\r\n{tag} OK LOGOUT completed\r\n")),
        "STARTTLS" if arguments.is_empty() => Answer::StartTls(format!("{tag} OK begin TLS\r\n")),
        // RFC 5530 3.
        "AUTHENTICATE" | "LOGIN" => {
            Answer::Login(format!("{tag} NO [PRIVACYREQUIRED] TLS is needed before a login: STARTTLS\r\n"))
        }
        _ => Answer::Reply(format!("{tag} BAD not understood, or TLS is needed first: STARTTLS\r\n")),
    }
}

/// How many octets the tag has, RFC 9051 9: astring-chars without "+".
fn tag_octets(line: &[u8]) -> usize {
    let is_tag = |octet: &u8| octet.is_ascii_graphic() && !b"(){%*\"\\+".contains(octet);
    line.iter().take_while(|octet| is_tag(octet)).count()
}

fn pop3(line: &[u8]) -> Answer {
    let (word, arguments) = verb(line);
    match word.as_str() {
        // RFC 2449 5: neither USER nor SASL is named, since neither is taken.
        "CAPA" => Answer::Reply("+OK capabilities follow\r\nSTLS\r\nRESP-CODES\r\n.\r\n".to_owned()),
        "STLS" if arguments.is_empty() => Answer::StartTls("+OK begin TLS\r\n".to_owned()),
        "QUIT" => Answer::Close(Closing::Logout, "+OK closing\r\n".to_owned()),
        // RFC 3206 4: the cause lies with the login, not with the server.
        "APOP" | "AUTH" | "PASS" | "USER" => {
            Answer::Login("-ERR [AUTH] TLS is needed before a login: STLS\r\n".to_owned())
        }
        _ => Answer::Reply("-ERR not understood, or TLS is needed first: STLS\r\n".to_owned()),
    }
}

fn submission(line: &[u8], node_name: &str) -> Answer {
    let (word, arguments) = verb(line);
    match word.as_str() {
        "EHLO" => Answer::Reply(format!("250-{node_name}\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n")),
        "HELO" => Answer::Reply(format!("250 {node_name}\r\n")),
        "NOOP" | "RSET" => Answer::Reply("250 2.0.0 OK\r\n".to_owned()),
        "QUIT" => Answer::Close(Closing::Logout, "221 2.0.0 closing\r\n".to_owned()),
        "STARTTLS" if arguments.is_empty() => Answer::StartTls("220 2.0.0 begin TLS\r\n".to_owned()),
        // RFC 3207 4.
        "STARTTLS" => Answer::Reply("501 5.5.4 STARTTLS takes no parameters\r\n".to_owned()),
        // RFC 4954 6.
        "AUTH" => Answer::Login("538 5.7.11 TLS is needed before a login: STARTTLS\r\n".to_owned()),
        // RFC 3207 4.
        _ => Answer::Reply("530 5.7.0 Must issue a STARTTLS command first\r\n".to_owned()),
    }
}
