//! # Purpose
//! Joins a client and its server inside TLS and reads along until a login succeeds: who failed, what
//! must not be offered, what must not be passed on before. After that octets pass unread.
//!
//! # Trust
//! The client chooses its octets to be misread. Its commands are therefore matched with the server's
//! replies one by one, and a client that makes that impossible is cut off.
//!
//! # Standards
//! RFC 9051 2.2 and 4.3 (tags, literals), RFC 5530; RFC 1939 3 and 2449 (order of replies), RFC 5034; RFC 5321
//! 4.2 and RFC 4954.
//!
//! # Invariants
//! - STARTTLS inside TLS is neither offered nor passed on.
//! - Before a login the server behind hears of no mail transaction and no XCLIENT: it may trust this
//!   node's address, and must not be an open relay for it.
//! - A failed login is counted only where the server's own words say so.
//!
//! # See also
//! `imap`, `pop3`, `submission`: one dialogue each.

mod imap;
mod pop3;
mod submission;

use imap::Imap;
use pop3::Pop3;
use submission::Submission;

use crate::limits::{COMMANDS_MAX, LINE_OCTETS_MAX};
use crate::line::Lines;
use crate::{Farewell, Protocol};

/// A client and its server, joined.
#[derive(Debug)]
pub enum Relay {
    /// No login has succeeded yet.
    AwaitLogin(Box<AwaitLogin>),
    /// Octets pass as they are.
    Open,
}

/// Octets that came.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// From the client.
    Client(&'a [u8]),
    /// From the server behind.
    Server(&'a [u8]),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End both connections; the client is told before. Names the fault.
    Close(&'static str),
    /// A login succeeded; from here on octets pass.
    LoggedIn,
    /// A login failed.
    LoginFailed,
    /// Say to the client.
    ToClient(Vec<u8>),
    /// Say to the server.
    ToServer(Vec<u8>),
    /// The server cannot be followed; from here on octets pass and nothing is counted.
    Unclear(&'static str),
}

/// Reads along until a login succeeds.
#[derive(Debug)]
pub struct AwaitLogin {
    protocol: Protocol,
    client: Lines,
    server: Lines,
    dialogue: Dialogue,
    commands: usize,
}

#[derive(Debug)]
enum Dialogue {
    Imap(Imap),
    Pop3(Pop3),
    Submission(Submission),
}

/// How the next octets of a side are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Line,
    /// So many octets of a literal.
    Literal(u64),
    /// None: it is the other side's turn.
    Nothing,
}

/// What a line leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// A reply of ours in place of the server's; the line goes no further.
    Answer(String),
    Close(&'static str),
    Failed(Vec<u8>),
    LoggedIn(Vec<u8>),
    /// The octets to pass on, which may be none.
    Pass(Vec<u8>),
    Unclear(&'static str, Vec<u8>),
}

impl Relay {
    /// Client and server are in TLS, and the client has had its greeting. `offered` is what the server
    /// told of itself in its greeting.
    pub fn open(protocol: Protocol, offered: &[u8]) -> Self {
        let dialogue = match protocol {
            Protocol::Imap => Dialogue::Imap(Imap::new(offered)),
            Protocol::Pop3 => Dialogue::Pop3(Pop3::default()),
            Protocol::Submission => Dialogue::Submission(Submission::default()),
        };
        let (client, server) = (Lines::default(), Lines::default());
        Self::AwaitLogin(Box::new(AwaitLogin { protocol, client, server, dialogue, commands: 0 }))
    }

    /// Takes octets of one side.
    pub fn handle(self, input: Input<'_>) -> (Self, Vec<Effect>) {
        let state = match self {
            Self::AwaitLogin(state) => state,
            Self::Open => {
                let effect = match input {
                    Input::Client(octets) => Effect::ToServer(octets.to_vec()),
                    Input::Server(octets) => Effect::ToClient(octets.to_vec()),
                };
                return (self, vec![effect]);
            }
        };
        let mut effects = Vec::new();
        let next = match input {
            Input::Client(octets) => state.client(octets, &mut effects),
            Input::Server(octets) => state.server(octets, &mut effects),
        };
        (next, effects)
    }
}

impl AwaitLogin {
    fn client(mut self: Box<Self>, octets: &[u8], effects: &mut Vec<Effect>) -> Relay {
        self.client.push(octets);
        loop {
            let verdict = match self.dialogue.client_expects() {
                Expect::Nothing if self.client.is_empty() => return Relay::AwaitLogin(self),
                Expect::Nothing => Verdict::Close("out_of_turn"),
                Expect::Literal(left) => {
                    let taken = self.client.take(usize::try_from(left).unwrap_or(usize::MAX));
                    if taken.is_empty() {
                        return Relay::AwaitLogin(self);
                    }
                    self.dialogue.client_literal(taken.len());
                    Verdict::Pass(taken)
                }
                Expect::Line => match self.client.next_line(LINE_OCTETS_MAX) {
                    Ok(None) => return Relay::AwaitLogin(self),
                    Ok(Some(line)) => self.client_line(&line),
                    Err(_) => Verdict::Close("line"),
                },
            };
            match verdict {
                Verdict::Answer(text) => to_client(effects, text.into_bytes()),
                Verdict::Pass(octets) => to_server(effects, octets),
                Verdict::Close(code) => return self.close(code, effects),
                // Only replies say these.
                Verdict::Failed(_) | Verdict::LoggedIn(_) | Verdict::Unclear(..) => {}
            }
        }
    }

    fn client_line(&mut self, line: &[u8]) -> Verdict {
        self.commands += 1;
        if self.commands > COMMANDS_MAX {
            return Verdict::Close("too_many_commands");
        }
        match &mut self.dialogue {
            Dialogue::Imap(imap) => imap.client_line(line),
            Dialogue::Pop3(pop3) => pop3.client_line(line),
            Dialogue::Submission(submission) => submission.client_line(line),
        }
    }

    fn server(mut self: Box<Self>, octets: &[u8], effects: &mut Vec<Effect>) -> Relay {
        self.server.push(octets);
        loop {
            let verdict = match self.dialogue.server_expects() {
                Expect::Literal(left) => {
                    let taken = self.server.take(usize::try_from(left).unwrap_or(usize::MAX));
                    if taken.is_empty() {
                        return Relay::AwaitLogin(self);
                    }
                    self.dialogue.server_literal(taken.len());
                    Verdict::Pass(taken)
                }
                Expect::Line | Expect::Nothing => match self.server.next_line(LINE_OCTETS_MAX) {
                    Ok(None) => return Relay::AwaitLogin(self),
                    Ok(Some(line)) => self.dialogue.server_line(line),
                    Err(_) => Verdict::Unclear("line", Vec::new()),
                },
            };
            match verdict {
                Verdict::Failed(octets) => {
                    to_client(effects, octets);
                    effects.push(Effect::LoginFailed);
                }
                Verdict::Pass(octets) => to_client(effects, octets),
                Verdict::Close(code) => return self.close(code, effects),
                Verdict::LoggedIn(octets) => return self.open(Effect::LoggedIn, octets, effects),
                // Without a login nothing but a login may pass to a server that may trust this node.
                Verdict::Unclear(code, _) if self.protocol == Protocol::Submission => {
                    return self.close(code, effects);
                }
                Verdict::Unclear(code, octets) => {
                    return self.open(Effect::Unclear(code), octets, effects);
                }
                // Only commands are answered.
                Verdict::Answer(_) => {}
            }
        }
    }

    fn close(self, code: &'static str, effects: &mut Vec<Effect>) -> Relay {
        to_client(effects, self.protocol.farewell(Farewell::Fault));
        effects.push(Effect::Close(code));
        Relay::Open
    }

    /// Lets go of everything that was held back.
    fn open(self, effect: Effect, octets: Vec<u8>, effects: &mut Vec<Effect>) -> Relay {
        to_client(effects, octets);
        effects.push(effect);
        to_client(effects, self.server.into_rest());
        to_server(effects, self.client.into_rest());
        Relay::Open
    }
}

impl Dialogue {
    fn client_expects(&self) -> Expect {
        match self {
            Self::Imap(imap) => imap.client_expects(),
            Self::Pop3(pop3) => pop3.client_expects(),
            Self::Submission(submission) => submission.client_expects(),
        }
    }

    fn client_literal(&mut self, octets: usize) {
        if let Self::Imap(imap) = self {
            imap.client_literal(octets);
        }
    }

    fn server_expects(&self) -> Expect {
        match self {
            Self::Imap(imap) => imap.server_expects(),
            Self::Pop3(_) | Self::Submission(_) => Expect::Line,
        }
    }

    fn server_literal(&mut self, octets: usize) {
        if let Self::Imap(imap) = self {
            imap.server_literal(octets);
        }
    }

    fn server_line(&mut self, line: Vec<u8>) -> Verdict {
        match self {
            Self::Imap(imap) => imap.server_line(&line),
            Self::Pop3(pop3) => pop3.server_line(&line),
            Self::Submission(submission) => submission.server_line(line),
        }
    }
}

fn to_client(effects: &mut Vec<Effect>, octets: Vec<u8>) {
    match effects.last_mut() {
        _ if octets.is_empty() => {}
        Some(Effect::ToClient(before)) => before.extend(octets),
        _ => effects.push(Effect::ToClient(octets)),
    }
}

fn to_server(effects: &mut Vec<Effect>, octets: Vec<u8>) {
    match effects.last_mut() {
        _ if octets.is_empty() => {}
        Some(Effect::ToServer(before)) => before.extend(octets),
        _ => effects.push(Effect::ToServer(octets)),
    }
}

fn with_line_end(line: &[u8]) -> Vec<u8> {
    [line, b"\r\n"].concat()
}

/// A line of IMAP without the word STARTTLS in a list of capabilities: inside TLS it has no meaning
/// (RFC 9051 6.2.1).
pub(crate) fn without_starttls(line: &[u8]) -> Vec<u8> {
    let upper = line.to_ascii_uppercase();
    let is_list = upper.starts_with(b"* CAPABILITY ") || contains(&upper, b"[CAPABILITY ");
    if !is_list {
        return line.to_vec();
    }
    let mut out = line.to_vec();
    for word in [&b" STARTTLS "[..], b" STARTTLS]"] {
        while let Some(at) = find(&out.to_ascii_uppercase(), word) {
            // The delimiter behind it stays.
            out.drain(at..at + word.len() - 1);
        }
    }
    if out.to_ascii_uppercase().ends_with(b" STARTTLS") {
        out.truncate(out.len() - b" STARTTLS".len());
    }
    out
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|window| window == wanted)
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    find(octets, wanted).is_some()
}
