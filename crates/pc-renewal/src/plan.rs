use pc_types::{Domain, SignedDuration, Timestamp};

use crate::attempts::Attempts;
use crate::limits::{ISSUE_INTERVAL_MIN, ISSUED_LEFT_MIN, RETRY_AFTER_MAX};

/// What the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// On the certificate.
    pub names: Vec<Domain>,
    /// Days before its end at which the next one is asked for, in place of a third of its lifetime.
    pub renew_days: Option<u32>,
}

/// A certificate that was issued and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Host names on it.
    pub names: Vec<String>,
    /// Its beginning.
    pub not_before: Timestamp,
    /// Its end.
    pub not_after: Timestamp,
}

impl Held {
    /// Whether each of `names` stands on it. Wildcards are never asked for.
    pub fn has(&self, names: &[Domain]) -> bool {
        names.iter().all(|name| self.names.iter().any(|held| held == name.as_str()))
    }
}

/// Whether a listener shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It does, or nobody knows.
    In,
    /// It lies in the folder only.
    Out,
}

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for a certificate.
    Issue(Why),
    /// Put the one that is held in service.
    Serve,
    /// Nothing is to be done before.
    Wait(Timestamp),
}

/// Why one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The end of the one that is held comes near.
    Due,
    /// There is none.
    Missing,
    /// The one that is held leaves out a name.
    Names,
}

impl Why {
    /// Stable word.
    pub fn code(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Missing => "missing",
            Self::Names => "names",
        }
    }
}

/// The next step.
pub fn next(asked: &Asked, held: Option<(&Held, Service)>, attempts: &Attempts, now: Timestamp) -> Step {
    let (due, why) = match held {
        None => (Timestamp::MIN, Why::Missing),
        Some((held, _)) if !held.has(&asked.names) => (Timestamp::MIN, Why::Names),
        Some((held, _)) => (renews_at(asked, held), Why::Due),
    };
    // A moment that no delay can have named was written under a clock that ran ahead.
    let latest = later(now, RETRY_AFTER_MAX);
    let allowed = attempts.not_before.map_or(Timestamp::MIN, |at| if at > latest { now } else { at });
    let mut from = due.max(allowed);
    // Also where what was issued has ended or is not fit any more: an authority may issue such ones again and again.
    if let Some(issued_at) = attempts.issued_at.filter(|at| *at <= now) {
        from = from.max(later(issued_at, ISSUE_INTERVAL_MIN));
    }
    match held {
        _ if from <= now => Step::Issue(why),
        Some((_, Service::Out)) if allowed <= now => Step::Serve,
        Some((_, Service::Out)) => Step::Wait(from.min(allowed)),
        _ => Step::Wait(from),
    }
}

/// Whether a certificate that was issued may take the place of the one that is held.
///
/// # Errors
/// Why not, with the remedy.
pub fn judge_issued(asked: &Asked, fresh: &Held, held: Option<&Held>, now: Timestamp) -> Result<(), String> {
    let end = fresh.not_after;
    if !fresh.has(&asked.names) {
        return Err(format!("what was issued is for other names: {}", fresh.names.join(", ")));
    }
    if end < later(now, ISSUED_LEFT_MIN) {
        let hours = ISSUED_LEFT_MIN.as_hours();
        return Err(format!("what was issued ends at {end:.0}, in less than {hours} hours"));
    }
    match held.filter(|held| held.has(&asked.names)) {
        Some(held) if end < held.not_after => Err(format!(
            "what was issued ends at {end:.0}, sooner than the one that is held ({:.0}); to take it all the same, move \
             certificate.pem out of the folder acme in the data folder",
            held.not_after
        )),
        _ => Ok(()),
    }
}

/// When the certificate that is held is to be renewed.
pub fn renews_at(asked: &Asked, held: &Held) -> Timestamp {
    later(held.not_after, -before_end(asked, held))
}

/// Whether the renewal has not come although a quarter of its time has passed: then the operator hears of the end.
/// Before that every short-lived certificate would be told of.
pub fn is_overdue(asked: &Asked, held: &Held, now: Timestamp) -> bool {
    now >= later(renews_at(asked, held), before_end(asked, held) / 4)
}

/// A third of the lifetime, or what the operator named, at most half of the lifetime: a certificate that is due from its
/// beginning on would be asked for again and again.
fn before_end(asked: &Asked, held: &Held) -> SignedDuration {
    let lifetime = held.not_after.duration_since(held.not_before).max(SignedDuration::ZERO);
    match asked.renew_days {
        Some(days) => SignedDuration::from_hours(24 * i64::from(days)).min(lifetime / 2),
        None => lifetime / 3,
    }
}

/// Bounded by the range of time.
pub(crate) fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    let bound = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    moment.saturating_add(by).unwrap_or(bound)
}
