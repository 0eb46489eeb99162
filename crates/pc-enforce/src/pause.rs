//! # Purpose
//! Pauses of the ladder for one tenant, out of a budget of days a calendar year; and stops, which hold for all.
//!
//! # Trust
//! The operator asks for them, in a tenant's name.
//!
//! # Standards
//! Exchange Online: 90 days a tenant and calendar year, in one or more pieces. Beyond it: a pause can be ended early,
//! and what was not used is given back.
//!
//! # Invariants
//! Pauses of a tenant do not overlap, and those of a calendar year (UTC) sum to its budget at most. A pause stops the
//! ladder's clock; it never sets it back. A stop costs nobody's budget.
//!
//! # See also
//! `position`, which leaves paused time out.

use pc_types::{Date, Timestamp, time};
use serde::{Deserialize, Serialize};

use crate::limits::{PAUSE_AHEAD_DAYS_MAX, PAUSE_BUDGET_DAYS};
use crate::position::{Pause, SECONDS_PER_DAY};

/// Whose servers no connector with a tenant names.
pub const DEFAULT_TENANT: &str = "default";

/// A pause that was granted, or a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedPause {
    /// Names it.
    pub number: i64,
    /// Whose servers; `None` for everybody's (a stop).
    pub tenant: Option<String>,
    /// First moment.
    pub from: Timestamp,
    /// First moment after it; `None` for a stop that nobody has ended.
    pub until: Option<Timestamp>,
    /// The budget counts it up to here: begun days are whole days.
    pub charged_until: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who is responsible.
    pub owner: String,
    /// When it was asked for.
    pub granted_at: Timestamp,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct PauseRequest {
    /// Whose servers.
    pub tenant: String,
    /// How long.
    pub days: u32,
    /// From when on; `None` for now, or for the end of the pause that runs.
    pub from: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who is responsible.
    pub owner: String,
}

/// Why there is no such pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseRefusal {
    /// More than the year has left.
    #[error("{tenant} has {left} of {PAUSE_BUDGET_DAYS} days left in {year}; ask for fewer days")]
    Budget {
        /// Whose.
        tenant: String,
        /// Which.
        year: i16,
        /// Whole days.
        left: u32,
    },
    /// It has ended.
    #[error("pause {0} has ended")]
    Ended(i64),
    /// It would begin in the past, or too far ahead.
    #[error("a pause begins now or within {PAUSE_AHEAD_DAYS_MAX} days; the clock is not turned back")]
    From,
    /// No day, or more than a year has.
    #[error("days must be from 1 to {PAUSE_BUDGET_DAYS}")]
    Days,
    /// The tenant has another one then.
    #[error("overlaps with pause {0}; end that one, or begin after it")]
    Overlap(i64),
    /// There is none.
    #[error("there is no pause {0}")]
    Unknown(i64),
}

/// What a tenant has of a year's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// Calendar year in UTC.
    pub year: i16,
    /// Whole days used or granted.
    pub used_days: u32,
    /// Whole days left.
    pub left_days: u32,
}

/// Grants a pause. `number` must be unused.
///
/// # Errors
/// See [`PauseRefusal`].
pub fn grant(
    granted: &[GrantedPause],
    request: PauseRequest,
    number: i64,
    now: Timestamp,
) -> Result<GrantedPause, PauseRefusal> {
    if request.days == 0 || request.days > PAUSE_BUDGET_DAYS {
        return Err(PauseRefusal::Days);
    }
    let own = |pause: &&GrantedPause| pause.tenant.as_deref() == Some(request.tenant.as_str());
    let from = match request.from {
        Some(from) => from,
        // Asking again while one runs makes it longer.
        None => granted
            .iter()
            .filter(own)
            .filter(|pause| runs(pause, now))
            .filter_map(|pause| pause.until)
            .fold(now, Timestamp::max),
    };
    let latest = time::add_days(now, i64::from(PAUSE_AHEAD_DAYS_MAX));
    if from < now || from > latest {
        return Err(PauseRefusal::From);
    }
    let until = time::add_days(from, i64::from(request.days));
    // One that ended before it began overlaps with nothing.
    let overlaps = |pause: &&GrantedPause| {
        pause.from < until && pause.until.is_none_or(|end| from < end && pause.from < end)
    };
    if let Some(other) = granted.iter().filter(own).find(overlaps) {
        return Err(PauseRefusal::Overlap(other.number));
    }
    for year in year_of(from)..=year_of(until) {
        let used = used_seconds(granted, &request.tenant, year) + seconds_in_year(from, until, year);
        if used > BUDGET_SECONDS {
            let left = quota(granted, &request.tenant, year).left_days;
            return Err(PauseRefusal::Budget { tenant: request.tenant, year, left });
        }
    }
    Ok(GrantedPause {
        number,
        tenant: Some(request.tenant),
        from,
        until: Some(until),
        charged_until: Some(until),
        reason: request.reason,
        owner: request.owner,
        granted_at: now,
    })
}

/// Stops the ladder for everybody, until somebody ends it.
pub fn stop(reason: String, owner: String, number: i64, now: Timestamp) -> GrantedPause {
    GrantedPause {
        number,
        tenant: None,
        from: now,
        until: None,
        charged_until: None,
        reason,
        owner,
        granted_at: now,
    }
}

/// Ends a pause or a stop early; what it did not use goes back to the budget, in whole days.
///
/// # Errors
/// It has ended, or there is none.
pub fn end(granted: &[GrantedPause], number: i64, now: Timestamp) -> Result<GrantedPause, PauseRefusal> {
    let pause = granted.iter().find(|pause| pause.number == number).ok_or(PauseRefusal::Unknown(number))?;
    if pause.until.is_some_and(|until| until <= now) {
        return Err(PauseRefusal::Ended(number));
    }
    let used = now.as_second().saturating_sub(pause.from.as_second()).max(0);
    let days = (used + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY;
    let charged_until = pause.charged_until.map(|until| until.min(time::add_days(pause.from, days)));
    // One that has not begun never was.
    Ok(GrantedPause { until: Some(now.max(pause.from)), charged_until, ..pause.clone() })
}

/// What `tenant` has of the budget of `year`.
pub fn quota(granted: &[GrantedPause], tenant: &str, year: i16) -> Quota {
    let used = used_seconds(granted, tenant, year);
    let used_days = u32::try_from((used + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY).unwrap_or(u32::MAX);
    Quota { year, used_days, left_days: PAUSE_BUDGET_DAYS.saturating_sub(used_days) }
}

/// The stretches in which the ladder stands still for servers of `tenant`; stops included.
pub fn pauses_of(granted: &[GrantedPause], tenant: Option<&str>) -> Vec<Pause> {
    let tenant = tenant.unwrap_or(DEFAULT_TENANT);
    granted
        .iter()
        .filter(|pause| pause.tenant.as_deref().is_none_or(|own| own == tenant))
        .map(|pause| Pause { from: pause.from, until: pause.until.unwrap_or(Timestamp::MAX) })
        .collect()
}

/// Whether it is in force.
pub fn runs(pause: &GrantedPause, now: Timestamp) -> bool {
    pause.from <= now && pause.until.is_none_or(|until| now < until)
}

const BUDGET_SECONDS: i64 = PAUSE_BUDGET_DAYS as i64 * SECONDS_PER_DAY;

fn used_seconds(granted: &[GrantedPause], tenant: &str, year: i16) -> i64 {
    let own = granted.iter().filter(|pause| pause.tenant.as_deref() == Some(tenant));
    own.filter_map(|pause| Some(seconds_in_year(pause.from, pause.charged_until?, year))).sum()
}

fn seconds_in_year(from: Timestamp, until: Timestamp, year: i16) -> i64 {
    let (begins, ends) = (begin_of(year), begin_of(year.saturating_add(1)));
    (until.as_second().min(ends) - from.as_second().max(begins)).max(0)
}

fn year_of(at: Timestamp) -> i16 {
    time::date_of(at).year()
}

/// Of a calendar year in UTC, in seconds of the epoch.
fn begin_of(year: i16) -> i64 {
    Date::new(year, 1, 1).map_or(i64::MAX, |first| time::start_of(first).as_second())
}

#[cfg(test)]
mod tests;
