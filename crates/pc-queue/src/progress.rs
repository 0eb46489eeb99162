use pc_smtp::{Envelope, Notify, ReversePath};
use pc_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Entry;
use crate::gate::{delay, later, longest};
use crate::limits::{FAILURES_MAX, REPLY_OCTETS_MAX, RETRY_FIRST_SECONDS, RETRY_LONGEST_SECONDS};

/// How far a message has come; rewritten after each attempt that changed something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Attempts that got an answer.
    pub attempts: u32,
    /// Not tried before this moment.
    pub next_attempt_at: Timestamp,
    /// What the server behind, or the way to it, said last.
    pub last_reply: Option<String>,
    /// Held by hand.
    pub held: bool,
    /// Faults of our own over this message.
    pub failures: u32,
    /// Why it is set aside for the operator.
    pub aside: Option<String>,
    /// Its sender was told of the delay.
    pub delay_reported: bool,
    /// One for each recipient of the entry, in order.
    pub recipients: Vec<RecipientState>,
}

/// Where a recipient stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientState {
    /// The server behind took the message for it.
    Delivered,
    /// To be tried.
    Pending,
    /// Refused for good, with the reply; nobody was told.
    Refused(String),
    /// Refused for good, and the sender was told.
    Told(String),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// One answer for each pending recipient, in order.
    Answered(Vec<Answer>),
    /// A fault of our own: a panic, or a file that cannot be read.
    Failed(String),
    /// The server could not be reached or broke off before it answered.
    Unreachable(String),
}

/// The answer for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 4xx.
    Deferred(String),
    /// 250 to recipient and message.
    Delivered {
        /// The server does not offer DSN: a report of success is ours to make (RFC 3461 5.2.2).
        dsn_offered: bool,
    },
    /// 5xx.
    Refused(String),
}

/// How long mail is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tried for so long; RFC 5321 4.5.4.1 asks for four to five days.
    pub expire_hours: u32,
    /// The sender is told of a delay after so long; 0 for never.
    pub delay_report_hours: u32,
}

/// What happens to the message.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Set aside for the operator.
    Aside(String),
    /// Every recipient has been answered for.
    Finished,
    /// Tried again at `next_attempt_at`.
    Wait,
}

/// What [`after`] decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// To be written before anything else is done.
    pub progress: Progress,
    /// What happens to the message.
    pub next: Next,
    /// What its sender is owed.
    pub report: Option<Report>,
}

/// What a delivery status notification says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// At least one.
    pub recipients: Vec<ReportedRecipient>,
}

/// One recipient of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedRecipient {
    /// Its place in the entry.
    pub index: usize,
    /// RFC 3464 2.3.3.
    pub action: ReportAction,
    /// What the server behind said.
    pub reply: String,
}

/// RFC 3464 2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the RFC")]
pub enum ReportAction {
    Delayed,
    Failed,
    Relayed,
}

impl Progress {
    /// A message that was just taken and may be tried at once.
    pub fn new(entry: &Entry) -> Self {
        Self {
            attempts: 0,
            next_attempt_at: entry.received_at,
            last_reply: None,
            held: false,
            failures: 0,
            aside: None,
            delay_reported: false,
            recipients: vec![RecipientState::Pending; entry.recipients()],
        }
    }

    /// Places of the recipients to be tried.
    pub fn pending(&self) -> Vec<usize> {
        let places = self.recipients.iter().enumerate();
        places.filter(|(_, state)| **state == RecipientState::Pending).map(|(index, _)| index).collect()
    }

    /// Notes that the sender was told what `report` says.
    pub fn told(&mut self, report: &Report) {
        for recipient in report.recipients.iter().filter(|one| one.action == ReportAction::Failed) {
            set(self, recipient.index, RecipientState::Told(recipient.reply.clone()));
        }
    }

    /// The reply of a recipient that failed without anybody having been told.
    pub fn untold(&self) -> Option<&str> {
        self.recipients.iter().find_map(|state| match state {
            RecipientState::Refused(reply) => Some(reply.as_str()),
            _ => None,
        })
    }
}

/// When a message that is due at `due` is tried at the latest. No attempt puts the next one off for longer than this, so
/// what lies behind it was written by a clock that has been set back since, and would wait for as long as that was.
pub fn due_at_latest(due: Timestamp, now: Timestamp) -> Timestamp {
    if due > later(now, longest(RETRY_LONGEST_SECONDS)) { now } else { due }
}

/// A message that the operator gives back to the queue: tried at once, faults forgotten, also for the
/// recipients that failed without anybody having been told.
pub fn released(mut progress: Progress, now: Timestamp) -> Progress {
    for state in &mut progress.recipients {
        if matches!(state, RecipientState::Refused(_)) {
            *state = RecipientState::Pending;
        }
    }
    Progress { next_attempt_at: now, held: false, failures: 0, aside: None, ..progress }
}

/// What follows from an attempt at `now`.
pub fn after(
    entry: &Entry,
    envelope: &Envelope,
    progress: Progress,
    attempt: Attempt,
    policy: Policy,
    now: Timestamp,
) -> Outcome {
    let mut progress = progress;
    let mut reported = Vec::new();
    match attempt {
        Attempt::Answered(answers) => {
            progress.attempts = progress.attempts.saturating_add(1);
            let seconds = delay(RETRY_FIRST_SECONDS, RETRY_LONGEST_SECONDS, progress.attempts - 1, &entry.id);
            progress.next_attempt_at = later(now, seconds);
            for (index, answer) in progress.pending().into_iter().zip(answers) {
                if let Some(report) = answered(&mut progress, envelope, index, answer) {
                    reported.push(report);
                }
            }
        }
        Attempt::Failed(why) => {
            progress.failures = progress.failures.saturating_add(1);
            progress.next_attempt_at = later(now, RETRY_FIRST_SECONDS);
            progress.last_reply = Some(cut(&why));
            if progress.failures >= FAILURES_MAX {
                let why = format!("handling it failed {} times: {}", progress.failures, cut(&why));
                progress.aside = Some(why.clone());
                return Outcome { progress, next: Next::Aside(why), report: None };
            }
        }
        // The gate keeps the time; the message itself did nothing wrong.
        Attempt::Unreachable(why) => progress.last_reply = Some(cut(&why)),
    }
    let expires_at = later(entry.received_at, i64::from(policy.expire_hours) * 3_600);
    let pending = progress.pending();
    if now >= expires_at {
        let last = progress.last_reply.clone().unwrap_or_else(|| "it was not tried".to_owned());
        for index in pending {
            let reply = cut(&format!("4.4.7 not delivered in {} hours: {last}", policy.expire_hours));
            reported.extend(refused(&mut progress, envelope, index, reply));
        }
    } else if !pending.is_empty() {
        progress.next_attempt_at = progress.next_attempt_at.min(expires_at);
        reported.extend(delayed(entry, envelope, &mut progress, &pending, policy, now));
        return Outcome { progress, next: Next::Wait, report: report(envelope, reported) };
    }
    Outcome { progress, next: Next::Finished, report: report(envelope, reported) }
}

fn answered(
    progress: &mut Progress,
    envelope: &Envelope,
    index: usize,
    answer: Answer,
) -> Option<ReportedRecipient> {
    match answer {
        Answer::Deferred(reply) => {
            progress.last_reply = Some(cut(&reply));
            None
        }
        Answer::Delivered { dsn_offered } => {
            set(progress, index, RecipientState::Delivered);
            let asked = matches!(notify(envelope, index), Some(Notify::On { success: true, .. }));
            (asked && !dsn_offered).then(|| relayed_recipient(index))
        }
        Answer::Refused(reply) => {
            progress.last_reply = Some(cut(&reply));
            refused(progress, envelope, index, cut(&reply))
        }
    }
}

fn relayed_recipient(index: usize) -> ReportedRecipient {
    let reply = "2.0.0 taken by a server that sends no reports of its own".to_owned();
    ReportedRecipient { index, action: ReportAction::Relayed, reply }
}

/// What the sender is owed when a server without DSN took the message at once (RFC 3461 5.2.2).
pub fn relayed(envelope: &Envelope) -> Option<Report> {
    let asked = envelope
        .recipients
        .iter()
        .enumerate()
        .filter(|(_, recipient)| matches!(recipient.notify, Some(Notify::On { success: true, .. })));
    report(envelope, asked.map(|(index, _)| relayed_recipient(index)).collect())
}

fn refused(
    progress: &mut Progress,
    envelope: &Envelope,
    index: usize,
    reply: String,
) -> Option<ReportedRecipient> {
    set(progress, index, RecipientState::Refused(reply.clone()));
    // RFC 3461 4.1: without NOTIFY a failure is reported.
    let asked = match notify(envelope, index) {
        Some(Notify::Never) => false,
        Some(Notify::On { failure, .. }) => failure,
        None => true,
    };
    asked.then_some(ReportedRecipient { index, action: ReportAction::Failed, reply })
}

fn delayed(
    entry: &Entry,
    envelope: &Envelope,
    progress: &mut Progress,
    pending: &[usize],
    policy: Policy,
    now: Timestamp,
) -> Vec<ReportedRecipient> {
    let due = later(entry.received_at, i64::from(policy.delay_report_hours) * 3_600);
    if policy.delay_report_hours == 0 || progress.delay_reported || now < due {
        return Vec::new();
    }
    progress.delay_reported = true;
    let reply = progress.last_reply.clone().unwrap_or_else(|| "4.4.1 not tried yet".to_owned());
    let asked = pending.iter().filter(|index| match notify(envelope, **index) {
        Some(Notify::Never) => false,
        Some(Notify::On { delay, .. }) => delay,
        None => true,
    });
    asked
        .map(|index| ReportedRecipient { index: *index, action: ReportAction::Delayed, reply: reply.clone() })
        .collect()
}

fn report(envelope: &Envelope, recipients: Vec<ReportedRecipient>) -> Option<Report> {
    // RFC 5321 4.5.5: nothing is sent back to a null reverse path.
    let answerable = matches!(envelope.reverse_path, ReversePath::Mailbox(_)) && !recipients.is_empty();
    answerable.then_some(Report { recipients })
}

fn notify(envelope: &Envelope, index: usize) -> Option<Notify> {
    envelope.recipients.get(index).and_then(|recipient| recipient.notify)
}

fn set(progress: &mut Progress, index: usize, state: RecipientState) {
    if let Some(place) = progress.recipients.get_mut(index) {
        *place = state;
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(REPLY_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
