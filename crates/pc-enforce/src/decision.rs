use pc_types::time::TimeZone;
use pc_types::{ServerId, SignedDuration, Timestamp};

use crate::limits::REPLY_TEXT_OCTETS_MAX;
use crate::position::{Pause, Position, position};
use crate::record::{ServerRecord, Standing};
use crate::window::Window;
use crate::{BlockReply, Mode, Policy};

/// What the ladder says to a transaction at MAIL FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// Where the server stands; `None` for one without a record.
    pub position: Option<Position>,
}

/// What to do with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer its recipients with the reply.
    Hold(Hold),
    /// The ladder has nothing to say.
    Pass,
    /// Let it through to its headers; if they still show the old level, answer the end of data with
    /// the reply.
    Probe(Hold),
    /// Report mode: pass, and count that it would have been held.
    WouldHold(Hold),
}

/// A reply of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which window.
    pub kind: HoldKind,
    /// 450 or 550.
    pub code: u16,
    /// Behind the enhanced code.
    pub text: String,
}

/// Which window holds a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// The block window.
    Block,
    /// The throttle window.
    Throttle,
}

/// Whether a reverse path can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversePathKind {
    /// `<address>`
    Mailbox,
    /// `<>`
    Null,
}

/// What a recipient is to the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientRole {
    /// `postmaster` or `abuse` of any domain: how a held sender asks for help.
    Contact,
    /// Everybody else.
    Other,
    /// In a domain that the connector's scope leaves out: the ladder does not speak for it.
    OutOfScope,
}

impl Decision {
    /// Stable word for header, log and trace.
    pub fn code(&self) -> &'static str {
        match &self.action {
            Action::Hold(Hold { kind: HoldKind::Block, .. }) => "block",
            Action::Hold(Hold { kind: HoldKind::Throttle, .. }) => "throttle",
            Action::Pass => "pass",
            Action::Probe(_) => "probe",
            Action::WouldHold(Hold { kind: HoldKind::Block, .. }) => "would_block",
            Action::WouldHold(Hold { kind: HoldKind::Throttle, .. }) => "would_throttle",
        }
    }

    /// The reply to a recipient, if the ladder holds it. RFC 5321 4.5.1 and RFC 2142: contacts are
    /// always reached. RFC 5321 4.5.5: a report must not be lost, so it is deferred at most.
    pub fn reply_to(&self, reverse_path: ReversePathKind, recipient: RecipientRole) -> Option<Hold> {
        match &self.action {
            Action::Hold(hold) if recipient == RecipientRole::Other => Some(softened(hold, reverse_path)),
            _ => None,
        }
    }
}

/// Decides about a transaction of the server behind `record` at `now`.
pub fn decide(policy: &Policy, record: Option<&ServerRecord>, pauses: &[Pause], now: Timestamp) -> Decision {
    let Some(record) = record else { return Decision { action: Action::Pass, position: None } };
    let position = position(policy, record, pauses, now);
    let hold = hold(policy, &record.id, &position, now);
    let action = match (policy.mode_for(record, now), hold) {
        (_, None) | (Mode::Off, _) => Action::Pass,
        (Mode::Report, Some(hold)) => Action::WouldHold(hold),
        (Mode::Enforce, Some(hold)) if is_probe_due(policy, record, now) => Action::Probe(hold),
        (Mode::Enforce, Some(hold)) => Action::Hold(hold),
    };
    Decision { action, position: Some(position) }
}

/// The recipients of a message that were accepted before its headers were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedRecipients {
    /// Some whom the ladder would have held.
    pub held: bool,
    /// Contacts, or some that the scope leaves out.
    pub spared: bool,
}

/// The answer to the end of data after the headers were read: `None` lets the message go on. A message has one answer: where
/// it is for spared recipients as well it is deferred at most, and comes again outside of the window.
pub fn after_headers(
    decision: &Decision,
    standing: &Standing,
    reverse_path: ReversePathKind,
    recipients: AcceptedRecipients,
) -> Option<Hold> {
    match (&decision.action, standing) {
        // The one good sighting that releases.
        (Action::Probe(_), Standing::Met) => None,
        (Action::Probe(hold), _) if recipients.held && recipients.spared => {
            Some(softened(hold, ReversePathKind::Null))
        }
        (Action::Probe(hold), _) if recipients.held => Some(softened(hold, reverse_path)),
        _ => None,
    }
}

fn softened(hold: &Hold, reverse_path: ReversePathKind) -> Hold {
    match reverse_path {
        ReversePathKind::Mailbox => hold.clone(),
        ReversePathKind::Null => Hold { code: 450, ..hold.clone() },
    }
}

fn is_probe_due(policy: &Policy, record: &ServerRecord, now: Timestamp) -> bool {
    let interval = SignedDuration::from_mins(i64::from(policy.probe_interval_minutes));
    // In either direction: a stamp of a clock that ran ahead must not keep a patched server out.
    record.last_probe_at.is_none_or(|last| now.duration_since(last).abs() >= interval)
}

fn hold(policy: &Policy, id: &ServerId, position: &Position, now: Timestamp) -> Option<Hold> {
    let stage = position.stage?;
    let (kind, code, word, minutes, ends_at) = match position.window {
        Window::Open => return None,
        Window::Throttle { ends_at } => {
            (HoldKind::Throttle, 450, "throttled", stage.throttle_minutes, ends_at)
        }
        Window::Block { ends_at } => {
            let code = match policy.block_reply {
                BlockReply::Permanent => 550,
                BlockReply::Temporary => 450,
            };
            (HoldKind::Block, code, "blocked", stage.block_minutes, ends_at)
        }
    };
    let mut text = format!(
        "Connecting Exchange server version is out-of-date; connection to {} {word} for {minutes} mins/hr. (server {id}, \
         stage {}, {})",
        policy.node_name,
        stage.number,
        window_end(minutes, ends_at, now),
    );
    if let Some(link) = policy.link.as_deref().filter(|link| fits_behind(&text, link)) {
        text.push(' ');
        text.push_str(link);
    }
    Some(Hold { kind, code, text })
}

/// Half a link leads nowhere and a line end in it would forge a reply: it is put in whole or not at all.
/// Without a link the text fits even with the longest node name.
fn fits_behind(text: &str, link: &str) -> bool {
    let printable = link.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    printable && !link.is_empty() && text.len() + 1 + link.len() <= REPLY_TEXT_OCTETS_MAX
}

/// A window of the whole hour does not end by the clock.
fn window_end(minutes: u8, ends_at: Timestamp, now: Timestamp) -> String {
    if minutes >= crate::limits::MINUTES_PER_HOUR || ends_at <= now {
        return "until updated".to_owned();
    }
    let ends_at = ends_at.to_zoned(TimeZone::UTC);
    format!("until {:02}:{:02} UTC", ends_at.hour(), ends_at.minute())
}
