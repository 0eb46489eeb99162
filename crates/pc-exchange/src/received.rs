//! # Purpose
//! Reads one Received field: who wrote it, from whom, and whether it is an Exchange line with an id.
//!
//! # Trust
//! Peer data throughout. Whoever hands the message over can write any line, and a client can put
//! whole clauses into its greeting, which a careless server copies into its own line. This module
//! only says what a line claims; `evidence` decides whether the claim counts.
//!
//! # Standards
//! RFC 5321 4.4 (order of the clauses), RFC 5322 3.2.2 (comments, folding) and 3.2.4 (quoted
//! strings). Addresses are not read, of the date only that it holds no clauses.
//!
//! # Invariants
//! Linear in the input, no allocation. Folding never changes the result. Words inside comments and
//! quoted strings are never taken for clauses. An Exchange line has exactly the clauses Exchange
//! writes, in their order; anything else in it makes it unreadable. A build is never claimed without
//! an `id` clause.
//!
//! # See also
//! `evidence`, `invariants`.

use pc_types::{Build, Domain};

use crate::limits::{COMMENT_DEPTH_MAX, RECEIVED_OCTETS_MAX};

/// What kind of program a Received line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// `with mapi id`: a message fetched from a mailbox by the transport of the named host.
    ExchangeMapi(Build),
    /// Written by Microsoft's hosted service, by the host name or the ids 15.20 and 15.21.
    ExchangeOnline,
    /// `with Microsoft SMTP Server ... id`: a message taken by SMTP.
    ExchangeSmtp(Build),
    /// An Exchange line with no id, or with an id that is no build.
    ExchangeWithoutId,
    /// The Internet Mail Service of Exchange 4.0 to 5.5.
    InternetMailService(Option<Build>),
    /// `with MailboxResubmission`: Safety Net.
    MailboxResubmission,
    /// Any other program.
    Other,
    /// `from Pickup`: a file from the Pickup or Replay directory.
    Pickup,
    /// `with ShadowRedundancy`.
    ShadowRedundancy,
    /// `with Microsoft SMTPSVC`: the SMTP service of Windows, whose version is that of Windows.
    SmtpService,
    /// `from SmtpServer.Submit`: mail made by an agent inside the transport.
    SubmitAgent,
    /// Empty, too long, with an unclosed comment or quoted string, or an Exchange line with clauses
    /// that Exchange does not write there.
    Unreadable,
}

/// The transport service that took a message in, Exchange 2013 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `via Frontend Transport`.
    FrontendTransport,
    /// `via Mailbox Transport`.
    MailboxTransport,
    /// Any other words.
    Other,
}

/// One Received field, read. Its texts are parts of the field as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedLine<'a> {
    /// What wrote the line.
    pub kind: LineKind,
    /// The host that wrote the line, as it names itself.
    pub by_host: Option<&'a str>,
    /// The name the client greeted with.
    pub from_name: Option<&'a str>,
    /// The `id` clause as written.
    pub id: Option<&'a str>,
    /// The `via` clause behind the id.
    pub via: Option<Via>,
}

impl<'a> ReceivedLine<'a> {
    /// Reads one field, with or without its name, folded or not.
    pub fn parse(field: &'a str) -> Self {
        if field.len() > RECEIVED_OCTETS_MAX {
            return Self::unreadable();
        }
        let mut tokens = Tokens { rest: without_field_name(field) };
        let mut clauses = Clauses { is_empty: true, ..Clauses::default() };
        let mut place = Place::Start;
        loop {
            match tokens.next() {
                Token::Broken => return Self::unreadable(),
                Token::End => break,
                // RFC 5321 4.4: the date follows the first semicolon.
                Token::Semicolon => place = Place::Date,
                token => place = clauses.take(place, token),
            }
        }
        if clauses.is_empty {
            return Self::unreadable();
        }
        Self {
            kind: clauses.kind(),
            by_host: clauses.by_host,
            from_name: clauses.from_name,
            id: clauses.id,
            via: clauses.via(),
        }
    }

    /// The writing host as a domain name, when it is one.
    pub fn by_domain(&self) -> Option<Domain> {
        self.by_host.and_then(|name| name.parse().ok())
    }

    /// The build the line claims for its writer, whatever that claim is worth.
    pub fn build(&self) -> Option<Build> {
        match self.kind {
            LineKind::ExchangeSmtp(build) | LineKind::ExchangeMapi(build) => Some(build),
            LineKind::InternetMailService(build) => build,
            _ => None,
        }
    }

    const fn unreadable() -> Self {
        Self { kind: LineKind::Unreadable, by_host: None, from_name: None, id: None, via: None }
    }
}

fn without_field_name(field: &str) -> &str {
    const NAME: &str = "received";
    let trimmed = field.trim_start_matches(is_space);
    let Some((head, rest)) = trimmed.split_at_checked(NAME.len()) else { return trimmed };
    if !head.eq_ignore_ascii_case(NAME) {
        return trimmed;
    }
    rest.trim_start_matches(is_space).strip_prefix(':').unwrap_or(trimmed)
}

#[derive(Clone, Copy)]
enum Token<'a> {
    /// A comment or a quoted string does not end.
    Broken,
    Comment(&'a str),
    End,
    Quoted(&'a str),
    Semicolon,
    Word(&'a str),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Token<'a> {
        // A closing parenthesis without an opening one divides words and says nothing.
        self.rest = self.rest.trim_start_matches(|character| is_space(character) || character == ')');
        let Some(first) = self.rest.bytes().next() else { return Token::End };
        match first {
            b';' => {
                self.skip(1);
                Token::Semicolon
            }
            b'(' => self.enclosed(comment_end, Token::Comment),
            b'"' => self.enclosed(quotes_end, Token::Quoted),
            _ => {
                let is_end =
                    |octet: u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b'"' | b';');
                let end = self.rest.bytes().position(is_end).unwrap_or(self.rest.len());
                Token::Word(self.skip(end))
            }
        }
    }

    /// Cuts off and returns the first `octets`, which end at an ASCII character or at the end.
    fn skip(&mut self, octets: usize) -> &'a str {
        let (head, rest) = self.rest.split_at_checked(octets).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }

    fn enclosed(&mut self, end: fn(&str) -> Option<usize>, token: fn(&'a str) -> Token<'a>) -> Token<'a> {
        self.skip(1);
        let Some(end) = end(self.rest) else { return Token::Broken };
        let inner = self.skip(end);
        self.skip(1);
        token(inner)
    }
}

/// Where the comment that has begun ends. A backslash quotes the next character (RFC 5322 3.2.1).
fn comment_end(text: &str) -> Option<usize> {
    let mut depth: usize = 1;
    let mut octets = text.bytes().enumerate();
    while let Some((place, octet)) = octets.next() {
        match octet {
            b'\\' => _ = octets.next()?,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(place);
        }
        if depth > COMMENT_DEPTH_MAX {
            return None;
        }
    }
    None
}

fn quotes_end(text: &str) -> Option<usize> {
    let mut octets = text.bytes().enumerate();
    while let Some((place, octet)) = octets.next() {
        match octet {
            b'\\' => _ = octets.next()?,
            b'"' => return Some(place),
            _ => {}
        }
    }
    None
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// The words of a clause: as many as any clause of interest has, and how many there were.
#[derive(Clone, Copy, Default)]
struct Words<'a> {
    kept: [&'a str; 4],
    count: usize,
}

impl<'a> Words<'a> {
    fn push(&mut self, word: &'a str) {
        if let Some(place) = self.kept.get_mut(self.count) {
            *place = word;
        }
        self.count += 1;
    }

    fn are(&self, expected: &[&str]) -> bool {
        self.count == expected.len()
            && self.kept.iter().zip(expected).all(|(word, expected)| word.eq_ignore_ascii_case(expected))
    }
}

#[derive(Default)]
struct Clauses<'a> {
    from_name: Option<&'a str>,
    by_host: Option<&'a str>,
    with: Words<'a>,
    /// The first comment inside the `with` clause.
    with_comment: Option<&'a str>,
    id: Option<&'a str>,
    via: Words<'a>,
    is_empty: bool,
    /// Something stands where Exchange writes nothing: words between the clauses, a clause behind
    /// the id or behind the date. A client that greets with `x by VICTIM with Microsoft SMTP Server
    /// id 15.0.847.32` leaves such a line at a server that copies greetings unseen.
    is_irregular: bool,
}

/// The clause whose words come next. RFC 5321 4.4 fixes this order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    From,
    AfterFrom,
    By,
    AfterBy,
    With,
    AfterWith,
    Id,
    AfterId,
    Via,
    Tail,
    Date,
}

impl<'a> Clauses<'a> {
    fn take(&mut self, place: Place, token: Token<'a>) -> Place {
        self.is_empty = false;
        match token {
            Token::Word(word) => self.take_word(place, word),
            Token::Quoted(text) => match place {
                Place::From | Place::By | Place::Id => self.take_name(place, text),
                _ => {
                    self.is_irregular = true;
                    place
                }
            },
            Token::Comment(text) => {
                if place == Place::With && self.with_comment.is_none() {
                    self.with_comment = Some(text);
                }
                // A comment in the place of a name means that the name is absent.
                if place == Place::From { Place::AfterFrom } else { place }
            }
            Token::Broken | Token::End | Token::Semicolon => place,
        }
    }

    fn take_word(&mut self, place: Place, word: &'a str) -> Place {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        match place {
            Place::From | Place::By | Place::Id => self.take_name(place, word),
            Place::Start if is("from") => Place::From,
            Place::Start | Place::AfterFrom if is("by") => Place::By,
            Place::AfterBy if is("with") => Place::With,
            Place::AfterBy | Place::With | Place::AfterWith if is("id") => Place::Id,
            Place::With if is("via") || is("for") => Place::AfterWith,
            Place::With => {
                self.with.push(word);
                Place::With
            }
            Place::AfterId if is("via") => Place::Via,
            Place::AfterId | Place::Via if is("for") => Place::Tail,
            Place::Via => {
                self.is_irregular |= is_clause(word);
                self.via.push(word);
                Place::Via
            }
            Place::AfterWith | Place::Tail | Place::Date => {
                self.is_irregular |= is_clause(word);
                place
            }
            Place::Start | Place::AfterFrom | Place::AfterBy | Place::AfterId => {
                self.is_irregular = true;
                place
            }
        }
    }

    fn take_name(&mut self, place: Place, text: &'a str) -> Place {
        match place {
            Place::From => {
                self.from_name = Some(text);
                Place::AfterFrom
            }
            Place::By => {
                self.by_host = Some(text);
                Place::AfterBy
            }
            Place::Id => {
                self.id = Some(text);
                Place::AfterId
            }
            other => other,
        }
    }

    fn via(&self) -> Option<Via> {
        match self.via {
            via if via.count == 0 => None,
            via if via.are(&["Frontend", "Transport"]) => Some(Via::FrontendTransport),
            via if via.are(&["Mailbox", "Transport"]) => Some(Via::MailboxTransport),
            _ => Some(Via::Other),
        }
    }

    fn kind(&self) -> LineKind {
        if self.by_host.is_some_and(is_host_of_exchange_online) {
            return LineKind::ExchangeOnline;
        }
        let is_mapi = self.with.are(&["mapi"]);
        if is_mapi || self.with.are(&["Microsoft", "SMTP", "Server"]) {
            return if self.is_irregular { LineKind::Unreadable } else { self.exchange_kind(is_mapi) };
        }
        if self.with.are(&["ShadowRedundancy"]) {
            return LineKind::ShadowRedundancy;
        }
        if self.with.are(&["MailboxResubmission"]) {
            return LineKind::MailboxResubmission;
        }
        if self.with.are(&["Microsoft", "SMTPSVC"]) {
            return LineKind::SmtpService;
        }
        if self.with.are(&["Internet", "Mail", "Service"]) {
            return LineKind::InternetMailService(self.internet_mail_build(self.with_comment));
        }
        let comment = self.with_comment.and_then(|comment| after_words(comment, INTERNET_MAIL_COMMENT));
        if self.with.are(&["SMTP"]) && comment.is_some() {
            return LineKind::InternetMailService(self.internet_mail_build(comment));
        }
        LineKind::Other
    }

    fn exchange_kind(&self, is_mapi: bool) -> LineKind {
        // The line of a message that was not taken over the network. Its id is the version that the
        // directory holds for the server, which updates do not move.
        if self.from_name.is_some_and(|name| name.eq_ignore_ascii_case("Pickup")) {
            return LineKind::Pickup;
        }
        if self.from_name.is_some_and(|name| name.eq_ignore_ascii_case("SmtpServer.Submit")) {
            return LineKind::SubmitAgent;
        }
        match self.id.and_then(|id| id.parse::<Build>().ok()) {
            Some(build) if is_build_of_exchange_online(build) => LineKind::ExchangeOnline,
            Some(build) if is_mapi => LineKind::ExchangeMapi(build),
            Some(build) => LineKind::ExchangeSmtp(build),
            None => LineKind::ExchangeWithoutId,
        }
    }

    /// The Internet Mail Service writes its version in a comment and a message id in the `id`
    /// clause. A line without that clause is not one of its own, so that nothing is claimed.
    fn internet_mail_build(&self, version: Option<&str>) -> Option<Build> {
        self.id?;
        if self.is_irregular {
            return None;
        }
        version?.trim_matches(is_space).parse().ok()
    }
}

fn is_clause(word: &str) -> bool {
    ["by", "from", "id", "with"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// What follows `words` in `text`, whatever white space divides them.
fn after_words<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(text, |rest, word| rest.trim_start_matches(is_space).strip_prefix(word))
}

const INTERNET_MAIL_COMMENT: &[&str] = &["Microsoft", "Exchange", "Internet", "Mail", "Service", "Version"];

/// Ids of the hosted service since August 2017 (15.20) and June 2026 (15.21).
pub(crate) fn is_build_of_exchange_online(build: Build) -> bool {
    build.major == 15 && matches!(build.minor, 20 | 21)
}

fn is_host_of_exchange_online(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    EXCHANGE_ONLINE_HOSTS.iter().any(|parent| {
        let cut = host.len().checked_sub(parent.len());
        let Some((head, tail)) = cut.and_then(|cut| host.split_at_checked(cut)) else { return false };
        tail.eq_ignore_ascii_case(parent) && (head.is_empty() || head.ends_with('.'))
    })
}

/// Names under which the hosted services write lines, consumer mail and Forefront included. Before
/// August 2017 their ids cannot be told from those of installed servers, the names can.
const EXCHANGE_ONLINE_HOSTS: &[&str] = &[
    "bigfish.com",
    "exchangelabs.com",
    "frontbridge.com",
    "hotmail.com",
    "microsoftonline.com",
    "office365.com",
    "office365.us",
    "outlook.cn",
    "outlook.com",
    "outlook.de",
    "phx.gbl",
    "protection.gbl",
];

#[cfg(test)]
mod tests;
