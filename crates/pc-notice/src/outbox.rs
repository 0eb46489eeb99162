use pc_types::{SignedDuration, Timestamp};

use crate::limits::GATHER_SECONDS;
use crate::notice::{Addressee, Notice};

/// A notice that has not been told.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its place in the outbox.
    pub number: i64,
    /// When it was put there.
    pub at: Timestamp,
    /// Who is to be told.
    pub addressee: Addressee,
    /// What.
    pub notice: Notice,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Due<'a> {
    /// Nothing waits.
    Nothing,
    /// One mail with all of these, in the order of the outbox.
    Now(Vec<&'a Waiting>),
    /// Something waits; nothing is due before.
    Later(Timestamp),
}

/// What is due to the operator: everything that waits, in one mail, once the first of it has waited for others and
/// the mail before lies `interval_minutes` back.
pub fn due(
    waiting: &[Waiting],
    last_mail_at: Option<Timestamp>,
    interval_minutes: u32,
    now: Timestamp,
) -> Due<'_> {
    let all: Vec<&Waiting> =
        waiting.iter().filter(|waiting| waiting.addressee == Addressee::Operator).collect();
    let Some(first) = all.iter().map(|waiting| waiting.at).min() else { return Due::Nothing };
    let gathered = after(first, SignedDuration::from_secs(GATHER_SECONDS));
    let spaced = last_mail_at.map(|last| after(last, SignedDuration::from_mins(i64::from(interval_minutes))));
    // A mail that a clock running ahead has dated must not silence the next ones.
    let spaced = spaced.filter(|_| last_mail_at.is_some_and(|last| last <= now));
    let due_at = spaced.map_or(gathered, |spaced| spaced.max(gathered));
    if due_at <= now || first > now { Due::Now(all) } else { Due::Later(due_at) }
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}
