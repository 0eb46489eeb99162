use pc_types::{SignedDuration, Timestamp};

use crate::limits::{GATHER_SECONDS, MAILS_PER_DAY_MAX};
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
    let all = to(waiting, &Addressee::Operator);
    let Some(first) = all.iter().map(|waiting| waiting.at).min() else { return Due::Nothing };
    let gathered = after(first, SignedDuration::from_secs(GATHER_SECONDS));
    let spaced = last_mail_at.map(|last| after(last, SignedDuration::from_mins(i64::from(interval_minutes))));
    // A mail that a clock running ahead has dated must not silence the next ones.
    let spaced = spaced.filter(|_| last_mail_at.is_some_and(|last| last <= now));
    let due_at = spaced.map_or(gathered, |spaced| spaced.max(gathered));
    if due_at <= now || first > now { Due::Now(all) } else { Due::Later(due_at) }
}

/// One mail.
#[derive(Clone, Debug, PartialEq)]
pub enum Parcel<'a> {
    /// What is told of one server, in the order of the outbox; the last says how things stand.
    Server(Vec<&'a Waiting>),
    /// What is told of many: one mail for each would be too many for its reader.
    Servers(Vec<&'a Waiting>),
}

impl<'a> Parcel<'a> {
    /// What it tells.
    pub fn waiting(&self) -> &[&'a Waiting] {
        match self {
            Self::Server(waiting) | Self::Servers(waiting) => waiting,
        }
    }
}

/// What is due to an addressee who is not the operator: one mail for each server, or one for all where a day would
/// bring too many. `mails` are the moments of the mails it got before; the second value is when to look again.
pub fn parcels<'a>(
    waiting: &'a [Waiting],
    addressee: &Addressee,
    mails: &[Timestamp],
    now: Timestamp,
) -> (Vec<Parcel<'a>>, Option<Timestamp>) {
    let all = to(waiting, addressee);
    let Some(first) = all.iter().map(|waiting| waiting.at).min() else { return (Vec::new(), None) };
    let gathered = after(first, SignedDuration::from_secs(GATHER_SECONDS));
    if now < gathered && first <= now {
        return (Vec::new(), Some(gathered));
    }
    let day = SignedDuration::from_hours(24);
    let mut recent: Vec<Timestamp> =
        mails.iter().copied().filter(|at| *at <= now && now < after(*at, day)).collect();
    recent.sort_unstable();
    let groups = by_server(&all);
    match MAILS_PER_DAY_MAX.saturating_sub(recent.len()) {
        0 => (Vec::new(), recent.first().map(|at| after(*at, day))),
        left if groups.len() <= left => (groups.into_iter().map(Parcel::Server).collect(), None),
        _ => (vec![Parcel::Servers(all)], None),
    }
}

/// Of the notices about one server each, in the order of the first.
fn by_server<'a>(all: &[&'a Waiting]) -> Vec<Vec<&'a Waiting>> {
    let id = |waiting: &Waiting| waiting.notice.server().map(|server| server.id.clone());
    let mut groups: Vec<Vec<&Waiting>> = Vec::new();
    for waiting in all {
        let same = |group: &&mut Vec<&Waiting>| group.first().is_some_and(|first| id(first) == id(waiting));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(waiting),
            None => groups.push(vec![waiting]),
        }
    }
    groups
}

fn to<'a>(waiting: &'a [Waiting], addressee: &Addressee) -> Vec<&'a Waiting> {
    waiting.iter().filter(|waiting| waiting.addressee == *addressee).collect()
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}
