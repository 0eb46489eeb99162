//! # Purpose
//! Decides which Received line of a message, if any, speaks for the server that handed it over.
//!
//! # Trust
//! Every line is peer data. A line counts only when it is the topmost one and its writer shares the
//! registrable domain of the name the client greeted with, or is a name the operator configured.
//! A sender that forges a newer build evades judgement; one that forges an older one harms itself.
//!
//! # Standards
//! RFC 5321 4.4: each server prepends its line, so that the topmost was written last.
//!
//! # Invariants
//! Lines written for pickup, agents, shadow copies and resubmission are never judged: they carry
//! the version the directory holds, which updates do not move.
//!
//! # See also
//! `received`, `judgement`.

use pc_types::{Build, Domain, Reason};
use serde::Serialize;

use crate::assessment::Form;
use crate::limits::{RECEIVED_LINES_MAX, RECEIVED_OCTETS_MAX};
use crate::received::{LineKind, ReceivedLine};

/// What is known about the connection a message came over.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The name the client greeted with.
    pub greeting_name: Option<&'a Domain>,
    /// Names the operator set for this client's servers.
    pub configured_names: &'a [Domain],
}

/// What the Received lines of a message say about the server that handed it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The line that counts.
    pub judged: Option<Judged>,
    /// What the lines show.
    pub standing: Standing,
    /// The lines that do not count, each with the reason.
    pub ignored: Vec<Ignored>,
}

/// What the lines of a message show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A build, in `judged`.
    Build,
    /// Two builds of different branches under one host name.
    Conflict(Reason),
    /// Microsoft's hosted service.
    ExchangeOnline(Reason),
    /// Another program than Exchange.
    NotExchange(Reason),
    /// Nothing that can be held against anybody.
    Unknown(Reason),
}

/// The line that speaks for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its place, the newest line being 0.
    pub hop: usize,
    /// The line as handed in.
    pub header: String,
    /// The build it shows, or the one of the mapi line below it.
    pub build: Build,
    /// The form of line the build was taken from.
    pub form: Form,
    /// Why it counts.
    pub reason: Reason,
}

/// A line that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The line as handed in, cut at the length limit.
    pub header: String,
    /// Why it does not count.
    pub reason: Reason,
}

/// Reads the lines of a message as it came over a connection, newest first.
pub fn evidence(received: &[&str], connection: &Connection<'_>) -> Evidence {
    Lines::of(received).weigh(0, |line| tie(line, connection))
}

/// Reads the lines of a stored message. Lines written by the hosts in `received_by` are the
/// reader's own: the last of them names the client. With no such hosts the topmost line is judged
/// as it stands.
pub fn evidence_of_message(received: &[&str], received_by: &[Domain]) -> Evidence {
    let lines = Lines::of(received);
    if received_by.is_empty() {
        return with_hint(lines.weigh(0, |_| Ok(untied())));
    }
    let is_own = |line: &&ReceivedLine| line.by_domain().is_some_and(|host| received_by.contains(&host));
    let own = lines.parsed.iter().take_while(is_own).count();
    let last_own = own.checked_sub(1).and_then(|place| lines.parsed.get(place));
    let greeting = last_own.and_then(|line| line.from_name.as_deref()).and_then(|name| name.parse().ok());
    let connection = Connection { greeting_name: greeting.as_ref(), configured_names: &[] };
    lines.weigh(own, |line| match own {
        0 => Err(Reason::new(
            "name_mismatch",
            "no topmost line was written by a host given with --received-by",
        )),
        _ => tie(line, &connection),
    })
}

struct Lines<'a> {
    texts: Vec<&'a str>,
    parsed: Vec<ReceivedLine>,
}

impl<'a> Lines<'a> {
    fn of(received: &[&'a str]) -> Self {
        let texts: Vec<&str> = received.iter().take(RECEIVED_LINES_MAX).copied().collect();
        let parsed = texts.iter().map(|text| ReceivedLine::parse(text)).collect();
        Self { texts, parsed }
    }

    /// Judges the line at `hop`; `tie` says why its writer is the client, or why not.
    fn weigh(&self, hop: usize, tie: impl Fn(&ReceivedLine) -> Result<Reason, Reason>) -> Evidence {
        let (Some(line), Some(text)) = (self.parsed.get(hop), self.texts.get(hop)) else {
            let reason = Reason::new("no_received", "no Received line shows who handed the message over");
            return Evidence { judged: None, standing: Standing::NotExchange(reason), ignored: Vec::new() };
        };
        let smtp = match top(line, tie) {
            Ok(smtp) => smtp,
            Err(standing) => return self.nothing_judged(hop, standing),
        };
        let below = self.parsed.get(hop + 1).filter(|below| same_host(line, below));
        let mapi = below.and_then(|below| match below.kind {
            LineKind::ExchangeMapi(build) => Some(build),
            _ => None,
        });
        if let Some(mapi) = mapi
            && mapi.branch() != smtp.build.branch()
        {
            let text = format!("one host shows {} by SMTP and {mapi} by mapi", smtp.build);
            let reason = Reason::new("conflict", text);
            return self.nothing_judged(hop, Standing::Conflict(reason));
        }
        let raised = mapi.filter(|mapi| *mapi >= smtp.build);
        let (build, form, reason) = match raised {
            Some(mapi) => (mapi, Form::Mapi, with_mapi(&smtp.reason, mapi)),
            None => (smtp.build, Form::Smtp, smtp.reason),
        };
        let used_below = usize::from(raised.is_some());
        Evidence {
            judged: Some(Judged { hop, header: (*text).to_owned(), build, form, reason }),
            standing: Standing::Build,
            ignored: self.ignored(|place| place >= hop && place <= hop + used_below, None),
        }
    }

    fn nothing_judged(&self, hop: usize, standing: Standing) -> Evidence {
        let reason = match &standing {
            Standing::Build => None,
            Standing::Conflict(reason)
            | Standing::ExchangeOnline(reason)
            | Standing::NotExchange(reason)
            | Standing::Unknown(reason) => Some((hop, reason.clone())),
        };
        Evidence { judged: None, standing, ignored: self.ignored(|_| false, reason) }
    }

    /// All lines but those that `is_used` names; `fixed` sets the reason of one of them.
    fn ignored(&self, is_used: impl Fn(usize) -> bool, fixed: Option<(usize, Reason)>) -> Vec<Ignored> {
        let lines = self.texts.iter().zip(&self.parsed).enumerate();
        let unused = lines.filter(|(place, _)| !is_used(*place));
        let ignored = unused.map(|(place, (text, line))| {
            let set = fixed.as_ref().filter(|(fixed, _)| *fixed == place).map(|(_, reason)| reason.clone());
            Ignored { header: cut(text), reason: set.unwrap_or_else(|| interior(line)) }
        });
        ignored.collect()
    }
}

struct Tied {
    build: Build,
    reason: Reason,
}

/// The build of the topmost line, or what the line shows instead.
fn top(line: &ReceivedLine, tie: impl Fn(&ReceivedLine) -> Result<Reason, Reason>) -> Result<Tied, Standing> {
    let build = match line.kind {
        LineKind::ExchangeSmtp(build) | LineKind::InternetMailService(Some(build)) => build,
        LineKind::ExchangeOnline => return Err(Standing::ExchangeOnline(kind_reason(line.kind))),
        LineKind::Other | LineKind::SmtpService | LineKind::Unreadable => {
            return Err(Standing::NotExchange(kind_reason(line.kind)));
        }
        LineKind::ExchangeMapi(_)
        | LineKind::ExchangeWithoutId
        | LineKind::InternetMailService(None)
        | LineKind::MailboxResubmission
        | LineKind::Pickup
        | LineKind::ShadowRedundancy
        | LineKind::SubmitAgent => return Err(Standing::Unknown(kind_reason(line.kind))),
    };
    let reason = tie(line).map_err(Standing::Unknown)?;
    Ok(Tied { build, reason })
}

/// Why the writer of the topmost line is the client, or why that is not shown. The line names the
/// receive connector and the greeting the send connector, which differ in their host part at many
/// sites; the registrable domain is what they share.
fn tie(line: &ReceivedLine, connection: &Connection<'_>) -> Result<Reason, Reason> {
    let written = line.by_host.as_deref().unwrap_or_default();
    let mismatch = |text: String| Reason::new("name_mismatch", text);
    let Some(host) = line.by_domain() else {
        return Err(mismatch(format!("the line was written by {written:?}, which is no host name")));
    };
    if connection.configured_names.contains(&host) {
        return Ok(Reason::new("configured_name", format!("{host} is a name configured for this client")));
    }
    let Some(greeting) = connection.greeting_name else {
        return Err(mismatch(format!("the line was written by {host}, and the client greeted with no name")));
    };
    if host.same_registrable(greeting) {
        let text = format!("the topmost line was written by {host}, and the client greeted as {greeting}");
        return Ok(Reason::new("topmost", text));
    }
    Err(mismatch(format!("the line was written by {host}, but the client greeted as {greeting}")))
}

fn untied() -> Reason {
    Reason::new("topmost_as_it_stands", "the topmost line, with no own hop above it to name the client")
}

/// Tells the reader of a stored message what to do when no Exchange line is on top: the line is
/// usually the one their own server wrote.
fn with_hint(mut evidence: Evidence) -> Evidence {
    if let Standing::NotExchange(reason) = &mut evidence.standing {
        reason.text.push_str("; if your own server wrote the topmost line, name it with --received-by NAME");
    }
    evidence
}

fn with_mapi(reason: &Reason, mapi: Build) -> Reason {
    let text = format!("{}; the mapi line of the same host below it shows {mapi}", reason.text);
    Reason::new("mapi_same_host", text)
}

fn same_host(this: &ReceivedLine, that: &ReceivedLine) -> bool {
    match (&this.by_host, &that.by_host) {
        (Some(this), Some(that)) => this.eq_ignore_ascii_case(that),
        _ => false,
    }
}

/// The reason for a line below or above the one looked at.
fn interior(line: &ReceivedLine) -> Reason {
    match line.kind {
        LineKind::ExchangeSmtp(_) | LineKind::ExchangeWithoutId | LineKind::InternetMailService(_) => {
            Reason::new("interior", "not the server that handed the message over")
        }
        kind => kind_reason(kind),
    }
}

fn kind_reason(kind: LineKind) -> Reason {
    let (code, text) = match kind {
        LineKind::ExchangeMapi(_) => ("mapi", "shows the server of a mailbox, not the one that connected"),
        LineKind::ExchangeOnline => ("exchange_online", "written by Microsoft's hosted service"),
        LineKind::ExchangeSmtp(_) => ("interior", "not the server that handed the message over"),
        LineKind::ExchangeWithoutId | LineKind::InternetMailService(None) => {
            ("without_id", "an Exchange line that shows no build")
        }
        LineKind::InternetMailService(Some(_)) => ("interior", "not the server that handed the message over"),
        LineKind::MailboxResubmission => {
            ("resubmission", "shows the version in the directory, which updates do not move")
        }
        LineKind::Other => ("not_exchange", "written by another program than Exchange"),
        LineKind::Pickup => ("pickup", "shows the version in the directory, which updates do not move"),
        LineKind::ShadowRedundancy => {
            ("shadow_redundancy", "shows the version in the directory, which updates do not move")
        }
        LineKind::SmtpService => {
            ("smtp_service", "written by the SMTP service of Windows, whose version is not that of Exchange")
        }
        LineKind::SubmitAgent => {
            ("submit_agent", "shows the version in the directory, which updates do not move")
        }
        LineKind::Unreadable => ("unreadable", "too long, empty, or with an unclosed comment or quote"),
    };
    Reason::new(code, text)
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(RECEIVED_OCTETS_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
