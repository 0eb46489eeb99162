//! # Purpose
//! A server behind from its first octet to the point where the client can be joined to it.
//!
//! # Trust
//! Before TLS anybody may speak in its place; of that only the consent to STARTTLS is used, and the
//! certificate then shows who it is.
//!
//! # Standards
//! RFC 9051 6.2.1, RFC 2595 4, RFC 3207 4, and their greetings.
//!
//! # Invariants
//! Nothing that came before TLS reaches the client. Octets behind the consent to STARTTLS are a fault
//! (response injection). A server that greets with PREAUTH is refused: it would let every client in as
//! one user.

use pc_types::Escaped;

use crate::Protocol;
use crate::limits::{LINE_OCTETS_MAX, REPLY_LINES_MAX, UNTAGGED_LINES_MAX};
use crate::line::{LineFault, Lines};
use crate::relay::without_starttls;

/// A server behind that is not joined yet.
#[derive(Debug)]
pub struct Behind {
    protocol: Protocol,
    node_name: String,
    state: State,
    lines: Lines,
    /// Lines of the reply that is being read.
    reply: Vec<Vec<u8>>,
}

/// What it owes us.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The answer to EHLO in plain text.
    Capabilities,
    /// The consent to STARTTLS.
    Consent,
    /// The greeting inside TLS.
    Greeting,
    /// The greeting in plain text.
    PlainGreeting,
}

/// What follows.
#[derive(Debug)]
pub enum BehindNext {
    /// More octets of the server.
    Await(Behind),
    /// No connection to this server.
    Failed(BehindFault),
    /// The client can be joined.
    Ready {
        /// For the client, if it waits for one.
        greeting: Vec<u8>,
        /// What the server said behind it, inside TLS.
        rest: Vec<u8>,
    },
    /// The handshake.
    StartTls,
}

/// Why a server behind cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BehindFault {
    /// Octets between the consent to STARTTLS and TLS.
    #[error("octets came between STARTTLS and TLS; somebody may stand in between")]
    Injection,
    /// What came is no line.
    #[error("{0}")]
    Line(#[from] LineFault),
    /// It greets clients as logged in.
    #[error(
        "the server greets with PREAUTH, which would let every client in; do not let it trust this node's address"
    )]
    Preauth,
    /// It said no.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// It does not offer STARTTLS.
    #[error(
        "the server does not offer STARTTLS; set tls = \"implicit\" with that port, or enable STARTTLS on the server"
    )]
    StartTlsMissing,
    /// It says too much.
    #[error("the server's reply has too many lines")]
    TooManyLines,
}

impl BehindFault {
    /// Stable, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Injection => "starttls_injection",
            Self::Line(_) | Self::TooManyLines => "malformed",
            Self::Preauth => "preauth",
            Self::Refused(_) => "greeting",
            Self::StartTlsMissing => "starttls_missing",
        }
    }
}

/// What a whole reply leads to.
enum Step {
    /// A line that is of no interest.
    More,
    Next(State, String),
    Ready(Vec<u8>),
    StartTls,
}

impl Behind {
    /// A server that is spoken to in plain text first.
    pub fn plain(protocol: Protocol, node_name: &str) -> Self {
        Self::in_state(protocol, node_name, State::PlainGreeting)
    }

    /// A server whose TLS came with the first octet.
    pub fn in_tls(protocol: Protocol, node_name: &str) -> Self {
        Self::in_state(protocol, node_name, State::Greeting)
    }

    /// The greeting for a client whose server gave its own before TLS.
    pub fn greeting_of_ours(protocol: Protocol, node_name: &str) -> Vec<u8> {
        match protocol {
            Protocol::Imap => b"* OK ready\r\n".to_vec(),
            Protocol::Pop3 => b"+OK ready\r\n".to_vec(),
            Protocol::Submission => format!("220 {node_name} ESMTP ready\r\n").into_bytes(),
        }
    }

    fn in_state(protocol: Protocol, node_name: &str, state: State) -> Self {
        let node_name = node_name.to_owned();
        Self { protocol, node_name, state, lines: Lines::default(), reply: Vec::new() }
    }

    /// Takes octets of the server; with what follows comes what is said to it.
    pub fn handle(mut self, octets: &[u8]) -> (BehindNext, Vec<u8>) {
        self.lines.push(octets);
        let mut out = Vec::new();
        loop {
            let line = match self.lines.next_line(LINE_OCTETS_MAX) {
                Ok(Some(line)) => line,
                Ok(None) => return (BehindNext::Await(self), out),
                Err(fault) => return (BehindNext::Failed(fault.into()), out),
            };
            match self.line(line) {
                Err(fault) => return (BehindNext::Failed(fault), out),
                Ok(Step::More) => {}
                Ok(Step::Next(state, command)) => {
                    // What comes before it is asked for is nobody's answer.
                    if !self.lines.is_empty() {
                        return (BehindNext::Failed(BehindFault::Injection), Vec::new());
                    }
                    self.state = state;
                    self.reply.clear();
                    out.extend(command.into_bytes());
                }
                Ok(Step::StartTls) if !self.lines.is_empty() => {
                    return (BehindNext::Failed(BehindFault::Injection), Vec::new());
                }
                Ok(Step::StartTls) => return (BehindNext::StartTls, out),
                Ok(Step::Ready(greeting)) => {
                    return (BehindNext::Ready { greeting, rest: self.lines.into_rest() }, out);
                }
            }
        }
    }

    fn line(&mut self, line: Vec<u8>) -> Result<Step, BehindFault> {
        match self.protocol {
            Protocol::Imap => self.imap(&line),
            Protocol::Pop3 => self.pop3(&line),
            Protocol::Submission => self.submission(line),
        }
    }

    fn imap(&mut self, line: &[u8]) -> Result<Step, BehindFault> {
        if let State::Consent = self.state {
            if line.starts_with(b"* ") {
                // Said in plain text, so it is forgotten.
                return self.counted(Vec::new());
            }
            let consents = line.len() >= 5 && line.to_ascii_uppercase().starts_with(b"P OK");
            return if consents { Ok(Step::StartTls) } else { Err(refused(line)) };
        }
        let upper = line.to_ascii_uppercase();
        if upper.starts_with(b"* PREAUTH") {
            return Err(BehindFault::Preauth);
        }
        if !upper.starts_with(b"* OK") {
            return Err(refused(line));
        }
        Ok(self.greeted(with_line_end(&without_starttls(line)), "p STARTTLS\r\n"))
    }

    fn pop3(&mut self, line: &[u8]) -> Result<Step, BehindFault> {
        if !line.starts_with(b"+OK") {
            return Err(refused(line));
        }
        if let State::Consent = self.state {
            return Ok(Step::StartTls);
        }
        Ok(self.greeted(with_line_end(line), "STLS\r\n"))
    }

    fn submission(&mut self, line: Vec<u8>) -> Result<Step, BehindFault> {
        let is_last = line.get(3) != Some(&b'-');
        let wanted: &[u8] = if let State::Capabilities = self.state { b"250" } else { b"220" };
        if !line.starts_with(wanted) {
            return Err(refused(&line));
        }
        let step = self.counted(line)?;
        if !is_last {
            return Ok(step);
        }
        Ok(match self.state {
            State::Capabilities => {
                let offers =
                    |line: &Vec<u8>| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS"));
                if !self.reply.iter().any(offers) {
                    return Err(BehindFault::StartTlsMissing);
                }
                Step::Next(State::Consent, "STARTTLS\r\n".to_owned())
            }
            State::Consent => Step::StartTls,
            State::Greeting => Step::Ready(self.reply.iter().flat_map(|line| with_line_end(line)).collect()),
            State::PlainGreeting => Step::Next(State::Capabilities, format!("EHLO {}\r\n", self.node_name)),
        })
    }

    /// After the greeting of IMAP and POP3.
    fn greeted(&self, greeting: Vec<u8>, starttls: &str) -> Step {
        match self.state {
            State::Greeting => Step::Ready(greeting),
            _ => Step::Next(State::Consent, starttls.to_owned()),
        }
    }

    fn counted(&mut self, line: Vec<u8>) -> Result<Step, BehindFault> {
        let lines_max = if self.protocol == Protocol::Imap { UNTAGGED_LINES_MAX } else { REPLY_LINES_MAX };
        if self.reply.len() >= lines_max {
            return Err(BehindFault::TooManyLines);
        }
        self.reply.push(line);
        Ok(Step::More)
    }
}

fn refused(line: &[u8]) -> BehindFault {
    let text = String::from_utf8_lossy(line.get(..line.len().min(200)).unwrap_or_default()).into_owned();
    BehindFault::Refused(Escaped::new(&text).to_string())
}

fn with_line_end(line: &[u8]) -> Vec<u8> {
    [line, b"\r\n"].concat()
}
