use std::collections::BTreeMap;

use super::{Expect, Verdict, contains, with_line_end, without_starttls};
use crate::limits::{LITERAL_OCTETS_MAX, PENDING_MAX};
use crate::verb;

/// An IMAP dialogue in the state "not authenticated", RFC 9051 3.1.
#[derive(Debug)]
pub(super) struct Imap {
    client: Client,
    /// Commands without their tagged reply.
    pending: BTreeMap<Vec<u8>, Kind>,
    /// Octets of a literal that the server is sending.
    server_literal: u64,
    /// RFC 7888: the server takes literals that the client does not wait for.
    literal_plus: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Login,
    Other,
}

/// What the client may say.
#[derive(Debug)]
enum Client {
    Command,
    /// The rest of a command behind a literal.
    Continuation(Vec<u8>),
    /// Nothing until the server asks for the literal, RFC 9051 4.3.
    GoAhead(Vec<u8>, u64),
    Literal(Vec<u8>, u64),
    /// Nothing until the server's next challenge, RFC 9051 6.2.2.
    Sasl(Vec<u8>),
    SaslResponse(Vec<u8>),
}

/// A literal at the end of a line.
struct Literal {
    octets: u64,
    is_awaited: bool,
}

impl Imap {
    pub(super) fn new(offered: &[u8]) -> Self {
        let literal_plus = offers_literal_plus(offered);
        Self { client: Client::Command, pending: BTreeMap::new(), server_literal: 0, literal_plus }
    }

    pub(super) fn client_expects(&self) -> Expect {
        match &self.client {
            Client::Command | Client::Continuation(_) | Client::SaslResponse(_) => Expect::Line,
            Client::GoAhead(..) | Client::Sasl(_) => Expect::Nothing,
            Client::Literal(_, left) => Expect::Literal(*left),
        }
    }

    pub(super) fn client_literal(&mut self, octets: usize) {
        let Client::Literal(tag, left) = &mut self.client else { return };
        *left = left.saturating_sub(u64::try_from(octets).unwrap_or(u64::MAX));
        if *left == 0 {
            self.client = Client::Continuation(std::mem::take(tag));
        }
    }

    pub(super) fn client_line(&mut self, line: &[u8]) -> Verdict {
        match std::mem::replace(&mut self.client, Client::Command) {
            Client::Continuation(tag) => self.end_of_line(tag, line),
            Client::SaslResponse(tag) => {
                self.client = Client::Sasl(tag);
                Verdict::Pass(with_line_end(line))
            }
            _ => self.command(line),
        }
    }

    fn command(&mut self, line: &[u8]) -> Verdict {
        let (_, rest) = verb(line);
        let tag = line.get(..line.iter().position(|octet| *octet == b' ').unwrap_or(line.len()));
        let tag = tag.unwrap_or_default().to_vec();
        let (word, _) = verb(rest);
        if word == "STARTTLS" && tag.iter().all(u8::is_ascii_graphic) {
            let tag = String::from_utf8_lossy(&tag);
            return Verdict::Answer(format!("{tag} BAD TLS is active already\r\n"));
        }
        let kind = if matches!(word.as_str(), "AUTHENTICATE" | "LOGIN") { Kind::Login } else { Kind::Other };
        if self.pending.len() >= PENDING_MAX {
            return Verdict::Close("pipelined");
        }
        // RFC 9051 2.2.1 asks for a new tag for each command; with one tag for two nobody knows which was meant.
        if self.pending.insert(tag.clone(), kind).is_some() {
            return Verdict::Close("tag_reused");
        }
        if word == "AUTHENTICATE" {
            self.client = Client::Sasl(tag);
            return Verdict::Pass(with_line_end(line));
        }
        self.end_of_line(tag, line)
    }

    /// A line of a command may announce a literal.
    fn end_of_line(&mut self, tag: Vec<u8>, line: &[u8]) -> Verdict {
        match literal(line) {
            Err(()) => return Verdict::Close("literal"),
            Ok(None) => {}
            Ok(Some(Literal { octets, .. })) if octets > LITERAL_OCTETS_MAX => {
                return Verdict::Close("literal");
            }
            Ok(Some(Literal { octets, is_awaited: true })) => self.client = Client::GoAhead(tag, octets),
            // The server would read its octets as commands.
            Ok(Some(_)) if !self.literal_plus => return Verdict::Close("literal"),
            Ok(Some(Literal { octets: 0, .. })) => self.client = Client::Continuation(tag),
            Ok(Some(Literal { octets, .. })) => self.client = Client::Literal(tag, octets),
        }
        Verdict::Pass(with_line_end(line))
    }

    pub(super) fn server_expects(&self) -> Expect {
        if self.server_literal > 0 { Expect::Literal(self.server_literal) } else { Expect::Line }
    }

    pub(super) fn server_literal(&mut self, octets: usize) {
        self.server_literal = self.server_literal.saturating_sub(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    pub(super) fn server_line(&mut self, line: &[u8]) -> Verdict {
        match literal(line) {
            Ok(Some(Literal { octets, .. })) if octets <= LITERAL_OCTETS_MAX => self.server_literal = octets,
            Ok(None) => {}
            Ok(Some(_)) | Err(()) => return Verdict::Unclear("literal", with_line_end(line)),
        }
        if line.starts_with(b"+") {
            self.asked();
            return Verdict::Pass(with_line_end(line));
        }
        let shown = with_line_end(&without_starttls(line));
        if offers_literal_plus(line) {
            self.literal_plus = true;
        }
        if line.starts_with(b"* ") {
            return Verdict::Pass(shown);
        }
        self.tagged(line, shown)
    }

    /// The server asks for the rest.
    fn asked(&mut self) {
        self.client = match std::mem::replace(&mut self.client, Client::Command) {
            Client::GoAhead(tag, 0) => Client::Continuation(tag),
            Client::GoAhead(tag, octets) => Client::Literal(tag, octets),
            Client::Sasl(tag) => Client::SaslResponse(tag),
            other => other,
        };
    }

    fn tagged(&mut self, line: &[u8], shown: Vec<u8>) -> Verdict {
        let (_, rest) = verb(line);
        let tag = line.get(..line.iter().position(|octet| *octet == b' ').unwrap_or(line.len()));
        let tag = tag.unwrap_or_default();
        // A reply that nobody asked for: client and server cut the octets at different places.
        let Some(kind) = self.pending.remove(tag) else { return Verdict::Close("unknown_tag") };
        let is_its_turn = match &self.client {
            Client::GoAhead(own, _) | Client::Sasl(own) | Client::SaslResponse(own) => own == tag,
            Client::Command | Client::Continuation(_) | Client::Literal(..) => false,
        };
        if is_its_turn {
            self.client = Client::Command;
        }
        let (word, text) = verb(rest);
        match (kind, word.as_str()) {
            (Kind::Login, "OK") => Verdict::LoggedIn(shown),
            (Kind::Login, "NO") if !is_of_the_server(text) => Verdict::Failed(shown),
            _ => Verdict::Pass(shown),
        }
    }
}

/// RFC 5530 3: a no that says nothing about the password.
fn is_of_the_server(text: &[u8]) -> bool {
    let upper = text.to_ascii_uppercase();
    let codes = [&b"[UNAVAILABLE]"[..], b"[SERVERBUG]", b"[INUSE]", b"[LIMIT]", b"[PRIVACYREQUIRED]"];
    codes.iter().any(|code| upper.starts_with(code))
}

/// RFC 7888 3 and 4: both spellings allow short ones.
fn offers_literal_plus(line: &[u8]) -> bool {
    let upper = line.to_ascii_uppercase();
    let is_list = contains(&upper, b"CAPABILITY ");
    is_list && (contains(&upper, b" LITERAL+") || contains(&upper, b" LITERAL-"))
}

/// RFC 9051 4.3: `{5}`, or `{5+}` where the client does not wait.
fn literal(line: &[u8]) -> Result<Option<Literal>, ()> {
    let Some(open) = line.strip_suffix(b"}") else { return Ok(None) };
    let (open, is_awaited) = match open.strip_suffix(b"+") {
        Some(open) => (open, false),
        None => (open, true),
    };
    let digits = open.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = open.split_at_checked(open.len() - digits).unwrap_or((open, &[]));
    if digits.is_empty() || !before.ends_with(b"{") {
        return Ok(None);
    }
    let octets = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(())?;
    Ok(Some(Literal { octets, is_awaited }))
}
