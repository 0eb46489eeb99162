//! # Purpose
//! Reads one Received field: who wrote it, from whom, and whether it is an Exchange line with an id.
//!
//! # Trust
//! Peer data throughout. Whoever hands the message over can write any line; this module only says
//! what a line claims, `evidence` decides whether the claim counts.
//!
//! # Standards
//! RFC 5321 4.4 (order of the clauses), RFC 5322 3.2.2 (comments, folding) and 3.2.4 (quoted
//! strings). Dates and addresses are not read.
//!
//! # Invariants
//! Linear in the input. Folding never changes the result. Words inside comments and quoted strings
//! are never taken for clauses. A build is never claimed without an `id` clause.
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
    /// Empty, too long, or with an unclosed comment or quoted string.
    Unreadable,
}

/// One Received field, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedLine {
    /// What wrote the line.
    pub kind: LineKind,
    /// The host that wrote the line, as it names itself.
    pub by_host: Option<String>,
    /// The name the client greeted with.
    pub from_name: Option<String>,
    /// The `id` clause as written.
    pub id: Option<String>,
}

impl ReceivedLine {
    /// Reads one field, with or without its name, folded or not.
    pub fn parse(field: &str) -> Self {
        let unreadable = Self { kind: LineKind::Unreadable, by_host: None, from_name: None, id: None };
        if field.len() > RECEIVED_OCTETS_MAX {
            return unreadable;
        }
        let Some(tokens) = tokens(without_field_name(field)) else { return unreadable };
        if tokens.is_empty() {
            return unreadable;
        }
        let clauses = Clauses::of(&tokens);
        Self { kind: clauses.kind(), by_host: clauses.by_host, from_name: clauses.from_name, id: clauses.id }
    }

    /// The writing host as a domain name, when it is one.
    pub fn by_domain(&self) -> Option<Domain> {
        self.by_host.as_deref().and_then(|name| name.parse().ok())
    }

    /// The build the line claims for its writer, whatever that claim is worth.
    pub fn build(&self) -> Option<Build> {
        match self.kind {
            LineKind::ExchangeSmtp(build) | LineKind::ExchangeMapi(build) => Some(build),
            LineKind::InternetMailService(build) => build,
            _ => None,
        }
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

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Comment(String),
    Quoted(String),
    Word(String),
}

/// Everything before the date, split. `None` when a comment or a quoted string does not end.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let ends_word = is_space(character) || matches!(character, '(' | ')' | '"' | ';');
        if !ends_word {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            found.push(Token::Word(std::mem::take(&mut word)));
        }
        match character {
            // RFC 5321 4.4: the date follows the first semicolon.
            ';' => return Some(found),
            '(' => found.push(Token::Comment(enclosed(&mut characters, Enclosure::Comment)?)),
            '"' => found.push(Token::Quoted(enclosed(&mut characters, Enclosure::Quotes)?)),
            _ => {}
        }
    }
    if !word.is_empty() {
        found.push(Token::Word(word));
    }
    Some(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Enclosure {
    Comment,
    Quotes,
}

/// The text up to the closing character, runs of white space made one space. A backslash quotes the
/// next character (RFC 5322 3.2.1).
fn enclosed(characters: &mut std::str::Chars<'_>, enclosure: Enclosure) -> Option<String> {
    let mut text = String::new();
    let mut depth: usize = 1;
    while let Some(character) = characters.next() {
        match (enclosure, character) {
            (_, '\\') => {
                push_spaced(&mut text, characters.next()?);
                continue;
            }
            (Enclosure::Quotes, '"') => depth = 0,
            (Enclosure::Comment, '(') => depth += 1,
            (Enclosure::Comment, ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(text.trim_end().to_owned());
        }
        if depth > COMMENT_DEPTH_MAX {
            return None;
        }
        push_spaced(&mut text, character);
    }
    None
}

fn push_spaced(text: &mut String, character: char) {
    if !is_space(character) {
        text.push(character);
    } else if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[derive(Default)]
struct Clauses {
    from_name: Option<String>,
    by_host: Option<String>,
    /// The words of the `with` clause in lower case, joined by one space.
    with: String,
    /// The first comment inside the `with` clause.
    with_comment: Option<String>,
    id: Option<String>,
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
    End,
}

impl Clauses {
    fn of(tokens: &[Token]) -> Self {
        let mut clauses = Self::default();
        let mut place = Place::Start;
        for token in tokens {
            place = clauses.take(place, token);
        }
        clauses
    }

    fn take(&mut self, place: Place, token: &Token) -> Place {
        let text = match token {
            Token::Word(text) => text,
            Token::Quoted(text) => return self.take_name(place, text),
            Token::Comment(text) => {
                if place == Place::With && self.with_comment.is_none() {
                    self.with_comment = Some(text.clone());
                }
                // A comment in the place of a name means that the name is absent.
                return if place == Place::From { Place::AfterFrom } else { place };
            }
        };
        let keyword = text.to_ascii_lowercase();
        match (place, keyword.as_str()) {
            (Place::From | Place::By | Place::Id, _) => self.take_name(place, text),
            (Place::Start, "from") => Place::From,
            (Place::Start | Place::AfterFrom, "by") => Place::By,
            (Place::AfterBy, "with") => Place::With,
            (Place::AfterBy | Place::With | Place::AfterWith, "id") => Place::Id,
            (Place::With, "via" | "for") => Place::AfterWith,
            (Place::With, word) => {
                if !self.with.is_empty() {
                    self.with.push(' ');
                }
                self.with.push_str(word);
                Place::With
            }
            (other, _) => other,
        }
    }

    fn take_name(&mut self, place: Place, text: &str) -> Place {
        match place {
            Place::From => {
                self.from_name = Some(text.to_owned());
                Place::AfterFrom
            }
            Place::By => {
                self.by_host = Some(text.to_owned());
                Place::AfterBy
            }
            Place::Id => {
                self.id = Some(text.to_owned());
                Place::End
            }
            other => other,
        }
    }

    fn kind(&self) -> LineKind {
        if self.is_by_exchange_online() {
            return LineKind::ExchangeOnline;
        }
        let build = self.id.as_deref().and_then(|id| id.parse::<Build>().ok());
        let is_mapi = self.with == "mapi";
        if is_mapi || self.with == "microsoft smtp server" {
            if let Some(origin) = self.inner_origin() {
                return origin;
            }
            return match build {
                Some(build) if is_exchange_online(build) => LineKind::ExchangeOnline,
                Some(build) if is_mapi => LineKind::ExchangeMapi(build),
                Some(build) => LineKind::ExchangeSmtp(build),
                None => LineKind::ExchangeWithoutId,
            };
        }
        match self.with.as_str() {
            "shadowredundancy" => LineKind::ShadowRedundancy,
            "mailboxresubmission" => LineKind::MailboxResubmission,
            "microsoft smtpsvc" => LineKind::SmtpService,
            "internet mail service" => LineKind::InternetMailService(self.internet_mail_build("")),
            "smtp" if self.comment_starts_with(INTERNET_MAIL_COMMENT) => {
                LineKind::InternetMailService(self.internet_mail_build(INTERNET_MAIL_COMMENT))
            }
            _ => LineKind::Other,
        }
    }

    /// The line of a message that was not taken over the network. Its id is the version that the
    /// directory holds for the server, which updates do not move.
    fn inner_origin(&self) -> Option<LineKind> {
        let name = self.from_name.as_deref()?;
        if name.eq_ignore_ascii_case("Pickup") {
            Some(LineKind::Pickup)
        } else if name.eq_ignore_ascii_case("SmtpServer.Submit") {
            Some(LineKind::SubmitAgent)
        } else {
            None
        }
    }

    fn is_by_exchange_online(&self) -> bool {
        let host = self.by_host.as_deref().and_then(|name| name.parse::<Domain>().ok());
        host.is_some_and(|host| EXCHANGE_ONLINE_HOSTS.iter().any(|parent| host.is_within(parent)))
    }

    fn comment_starts_with(&self, start: &str) -> bool {
        self.with_comment.as_deref().is_some_and(|comment| comment.starts_with(start))
    }

    /// The Internet Mail Service writes its version in a comment and a message id in the `id`
    /// clause. A line without that clause is not one of its own, so that nothing is claimed.
    fn internet_mail_build(&self, start: &str) -> Option<Build> {
        self.id.as_ref()?;
        self.with_comment.as_deref()?.strip_prefix(start)?.trim().parse().ok()
    }
}

const INTERNET_MAIL_COMMENT: &str = "Microsoft Exchange Internet Mail Service Version";

/// Ids of the hosted service since August 2017 (15.20) and June 2026 (15.21).
fn is_exchange_online(build: Build) -> bool {
    build.major == 15 && matches!(build.minor, 20 | 21)
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
