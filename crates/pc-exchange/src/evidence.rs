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
//! the version the directory holds, which updates do not move. What is kept of a line is escaped and
//! bounded.
//!
//! # See also
//! `received`, `judgement`.

use pc_types::{Build, Domain, Escaped, Reason};
use serde::Serialize;

use crate::assessment::Form;
use crate::catalogue::Branch;
use crate::limits::{HEADER_SHOWN_OCTETS_MAX, RECEIVED_LINES_MAX};
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
    /// How many lines below those were not looked at, being over the limit.
    pub beyond_limit: usize,
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
    /// The line, escaped.
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
    /// The line, escaped.
    pub header: String,
    /// Why it does not count.
    pub reason: Reason,
    /// The build that an Exchange server of somebody else, or of an older hop, stamped there: to be shown, never judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interior: Option<Build>,
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
        let evidence = lines.weigh(0, |_| Ok(untied()));
        return with_hint(evidence, &lines);
    }
    let is_own = |line: &&ReceivedLine<'_>| line.by_domain().is_some_and(|host| received_by.contains(&host));
    let own = lines.parsed.iter().take_while(is_own).count();
    let last_own = own.checked_sub(1).and_then(|place| lines.parsed.get(place));
    let greeting = last_own.and_then(|line| line.from_name).and_then(|name| name.parse().ok());
    let connection = Connection { greeting_name: greeting.as_ref(), configured_names: &[] };
    lines.weigh(own, |line| match own {
        0 => Err(Reason::new(
            "name_mismatch",
            "the topmost line was not written by a host given with --received-by",
        )),
        _ => tie(line, &connection),
    })
}

struct Lines<'a> {
    texts: &'a [&'a str],
    parsed: Vec<ReceivedLine<'a>>,
    beyond_limit: usize,
}

impl<'a> Lines<'a> {
    fn of(received: &'a [&'a str]) -> Self {
        let (texts, beyond) = received.split_at(received.len().min(RECEIVED_LINES_MAX));
        let parsed = texts.iter().map(|text| ReceivedLine::parse(text)).collect();
        Self { texts, parsed, beyond_limit: beyond.len() }
    }

    /// Judges the line at `hop`, below the reader's own; `tie` says why its writer is the client, or
    /// why not.
    fn weigh(&self, hop: usize, tie: impl Fn(&ReceivedLine<'_>) -> Result<Reason, Reason>) -> Evidence {
        let (Some(line), Some(text)) = (self.parsed.get(hop), self.texts.get(hop)) else {
            let reason = Reason::new("no_received", "no Received line shows who handed the message over");
            return self.nothing_judged(hop, Standing::Unknown(reason));
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
            && Branch::of(mapi) != Branch::of(smtp.build)
        {
            let text = format!("one host shows {} by SMTP and {mapi} by mapi", smtp.build);
            let reason = Reason::new("conflict", text);
            return self.nothing_judged(hop, Standing::Conflict(reason));
        }
        // The same id by mapi says more: it would have moved with every update.
        let raised = mapi.filter(|mapi| *mapi >= smtp.build);
        let (build, form, reason) = match raised {
            Some(mapi) => (mapi, Form::Mapi, with_mapi(&smtp.reason, mapi)),
            None => (smtp.build, Form::Smtp, smtp.reason),
        };
        let used = hop..=hop + usize::from(raised.is_some());
        Evidence {
            judged: Some(Judged { hop, header: shown(text), build, form, reason }),
            standing: Standing::Build,
            ignored: self.ignored(hop, |place| used.contains(&place), None),
            beyond_limit: self.beyond_limit,
        }
    }

    fn nothing_judged(&self, hop: usize, standing: Standing) -> Evidence {
        let reason = match &standing {
            Standing::Build => None,
            Standing::Conflict(reason)
            | Standing::ExchangeOnline(reason)
            | Standing::NotExchange(reason)
            | Standing::Unknown(reason) => Some(reason.clone()),
        };
        let ignored = self.ignored(hop, |_| false, reason);
        Evidence { judged: None, standing, ignored, beyond_limit: self.beyond_limit }
    }

    /// All lines but those that `is_used` names; `looked_at` is the reason of the one at `hop`.
    fn ignored(
        &self,
        hop: usize,
        is_used: impl Fn(usize) -> bool,
        looked_at: Option<Reason>,
    ) -> Vec<Ignored> {
        let lines = self.texts.iter().zip(&self.parsed).enumerate();
        let unused = lines.filter(|(place, _)| !is_used(*place));
        let reason = |place: usize, line: &ReceivedLine<'_>| match place {
            above if above < hop => Reason::new("own_hop", "written by the reader's own server"),
            place if place == hop => looked_at.clone().unwrap_or_else(|| interior(line.kind)),
            _ => interior(line.kind),
        };
        unused
            .map(|(place, (text, line))| Ignored {
                header: shown(text),
                reason: reason(place, line),
                interior: interior_build(line.kind).filter(|_| place > hop),
            })
            .collect()
    }
}

struct Tied {
    build: Build,
    reason: Reason,
}

/// The build of the topmost line, or what the line shows instead.
fn top(
    line: &ReceivedLine<'_>,
    tie: impl Fn(&ReceivedLine<'_>) -> Result<Reason, Reason>,
) -> Result<Tied, Standing> {
    let build = match line.kind {
        LineKind::ExchangeSmtp(build) | LineKind::InternetMailService(Some(build)) => build,
        LineKind::ExchangeOnline => return Err(Standing::ExchangeOnline(interior(line.kind))),
        LineKind::Other | LineKind::SmtpService => {
            return Err(Standing::NotExchange(interior(line.kind)));
        }
        LineKind::ExchangeMapi(_)
        | LineKind::ExchangeWithoutId
        | LineKind::InternetMailService(None)
        | LineKind::MailboxResubmission
        | LineKind::Pickup
        | LineKind::ShadowRedundancy
        | LineKind::SubmitAgent
        | LineKind::Unreadable => return Err(Standing::Unknown(interior(line.kind))),
    };
    let reason = tie(line).map_err(Standing::Unknown)?;
    Ok(Tied { build, reason })
}

/// Why the writer of the topmost line is the client, or why that is not shown. The line names the
/// receive connector and the greeting the send connector, which differ in their host part at many
/// sites; the registrable domain is what they share.
fn tie(line: &ReceivedLine<'_>, connection: &Connection<'_>) -> Result<Reason, Reason> {
    let mismatch = |text: String| Reason::new("name_mismatch", text);
    let Some(host) = line.by_domain() else {
        let written = Escaped::new(line.by_host.unwrap_or_default());
        return Err(mismatch(format!("the line was written by \"{written}\", which is no host name")));
    };
    if connection.configured_names.contains(&host) {
        return Ok(Reason::new("configured_name", format!("{host} is a name configured for this client")));
    }
    if !is_public(&host) {
        let text = format!(
            "the line was written by {host}, a name that any network can use: set it for the connector to have it \
             count"
        );
        return Err(mismatch(text));
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

/// Whether a name can belong to one organisation only. Single labels and the suffixes of private
/// networks cannot: anybody's server may be called `mail.corp.local`.
fn is_public(host: &Domain) -> bool {
    host.registrable().is_some() && !PRIVATE_SUFFIXES.iter().any(|suffix| host.is_within(suffix))
}

/// RFC 6761 section 6, RFC 6762 appendix G, RFC 8375, and `localdomain`, which many systems set by
/// themselves.
const PRIVATE_SUFFIXES: &[&str] = &[
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
    "test",
];

fn untied() -> Reason {
    Reason::new("topmost_as_it_stands", "the topmost line, with no own hop above it to name the client")
}

/// Tells the reader of a stored message what to do when Exchange lines stand below one of another
/// program: that one is usually the one their own server wrote.
fn with_hint(mut evidence: Evidence, lines: &Lines<'_>) -> Evidence {
    let deeper = lines.parsed.iter().filter(|line| is_exchange(line.kind)).count();
    if let Standing::NotExchange(reason) = &mut evidence.standing
        && deeper > 0
    {
        reason.text.push_str(&format!(
            "; Exchange lines stand deeper ({deeper}): if your own server wrote the topmost line, name it with \
             --received-by NAME"
        ));
    }
    evidence
}

fn is_exchange(kind: LineKind) -> bool {
    !matches!(kind, LineKind::ExchangeOnline | LineKind::Other | LineKind::SmtpService | LineKind::Unreadable)
}

fn with_mapi(reason: &Reason, mapi: Build) -> Reason {
    let text = format!("{}; the mapi line of the same host below it shows {mapi}", reason.text);
    Reason::new("mapi_same_host", text)
}

fn same_host(this: &ReceivedLine<'_>, that: &ReceivedLine<'_>) -> bool {
    match (this.by_host, that.by_host) {
        (Some(this), Some(that)) => this.eq_ignore_ascii_case(that),
        _ => false,
    }
}

/// The build of a line that a running Exchange server wrote. Lines written from the directory show none.
fn interior_build(kind: LineKind) -> Option<Build> {
    match kind {
        LineKind::ExchangeSmtp(build) | LineKind::ExchangeMapi(build) => Some(build),
        _ => None,
    }
}

/// Why a line of this kind does not count, being interior at the best.
fn interior(kind: LineKind) -> Reason {
    let (code, text) = match kind {
        LineKind::ExchangeSmtp(_) | LineKind::InternetMailService(Some(_)) => {
            ("interior", "not the server that handed the message over")
        }
        LineKind::ExchangeMapi(_) => ("mapi", "shows the server of a mailbox, not the one that connected"),
        LineKind::ExchangeOnline => ("exchange_online", "written by Microsoft's hosted service"),
        LineKind::ExchangeWithoutId | LineKind::InternetMailService(None) => {
            ("without_id", "an Exchange line that shows no build")
        }
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
        LineKind::Unreadable => {
            ("unreadable", "empty, too long, not closed, or with clauses that Exchange does not write there")
        }
    };
    Reason::new(code, text)
}

/// A line made safe to keep and to show.
fn shown(text: &str) -> String {
    let is_plain = |octet: u8| matches!(octet, 0x20..=0x7e) && octet != b'\\';
    if text.len() <= HEADER_SHOWN_OCTETS_MAX && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    Escaped::with_octets_max(text, HEADER_SHOWN_OCTETS_MAX).to_string()
}
