use pc_types::{SignedDuration, Timestamp};

use crate::record::{Cycle, ServerRecord};
use crate::schedule::Stage;
use crate::window::{Window, window};
use crate::{Mode, Policy};

/// A stretch of time in which the ladder stands still. One that ends before it begins is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// First moment.
    pub from: Timestamp,
    /// First moment after it.
    pub until: Timestamp,
}

/// Where a server stands at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stage, unless the server owes nothing.
    pub stage: Option<Stage>,
    /// Whole days on the ladder.
    pub day: u32,
    /// What holds inside the hour.
    pub window: Window,
    /// When each stage began or will begin, pauses known today included; empty without a cycle.
    pub stage_dates: Vec<StageDate>,
    /// A pause is in force.
    pub paused: bool,
    /// An exemption is in force.
    pub exempt: bool,
}

/// A stage with the moment at which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageDate {
    /// The stage.
    pub stage: Stage,
    /// When.
    pub at: Timestamp,
}

impl Position {
    /// The next harsher stage.
    pub fn next_stage(&self) -> Option<StageDate> {
        let current = self.stage?;
        self.stage_dates.iter().find(|date| date.stage.number == current.number + 1).copied()
    }
}

/// Computes the position of `record` at `now`.
pub fn position(policy: &Policy, record: &ServerRecord, pauses: &[Pause], now: Timestamp) -> Position {
    let paused = pauses.iter().any(|pause| pause.from <= now && now < pause.until);
    let exempt = record.exemption.as_ref().is_some_and(|exemption| now < exemption.until);
    let cycle = record.cycle.filter(|_| policy.mode != Mode::Off && !is_decayed(policy, record, now));
    let Some(cycle) = cycle else {
        return Position {
            stage: None,
            day: 0,
            window: Window::Open,
            stage_dates: Vec::new(),
            paused,
            exempt,
        };
    };
    let cycle = resumed(policy.counted(cycle, record, now), pauses, now);
    let served = served_in(cycle, pauses, now);
    let day = u32::try_from(served.max(0) / SECONDS_PER_DAY).unwrap_or(u32::MAX);
    let stage = policy.schedule.stage_at(day);
    let window = if paused || exempt { Window::Open } else { window(&record.id, stage, now) };
    let stage_dates = policy.schedule.stages().iter().map(|stage| {
        let needed = i64::from(stage.day_from) * SECONDS_PER_DAY - cycle.carried_seconds;
        StageDate { stage: *stage, at: moment_after(cycle.opened_at, needed, pauses) }
    });
    Position { stage: Some(stage), day, window, stage_dates: stage_dates.collect(), paused, exempt }
}

/// Seconds that the cycle which is open has run, for the record to carry on.
pub(crate) fn served_seconds(record: &ServerRecord, pauses: &[Pause], now: Timestamp) -> i64 {
    record.cycle.map_or(record.served_seconds, |cycle| served_in(resumed(cycle, pauses, now), pauses, now))
}

/// The cycle as it goes on from `now` if it was suspended: what it ran before is carried along.
pub(crate) fn resumed(cycle: Cycle, pauses: &[Pause], now: Timestamp) -> Cycle {
    let Some(suspended_at) = cycle.suspended_at else { return cycle };
    let carried_seconds = served_in(cycle, pauses, suspended_at.min(now));
    Cycle { opened_at: now, carried_seconds, suspended_at: None }
}

fn served_in(cycle: Cycle, pauses: &[Pause], now: Timestamp) -> i64 {
    cycle.carried_seconds.saturating_add(running_seconds(cycle.opened_at, now, pauses))
}

/// Whether nothing was heard of the server for so long that its row counts for nothing.
pub(crate) fn is_decayed(policy: &Policy, record: &ServerRecord, now: Timestamp) -> bool {
    let silent = now.as_second().saturating_sub(record.last_seen.as_second());
    silent >= i64::from(policy.decay_days) * SECONDS_PER_DAY
}

/// Seconds from `from` to `to` outside of all pauses. Pauses may overlap.
fn running_seconds(from: Timestamp, to: Timestamp, pauses: &[Pause]) -> i64 {
    let mut running = 0;
    let mut at = from;
    for pause in in_order(pauses) {
        if at < pause.from {
            running += seconds_between(at, pause.from.min(to)).max(0);
        }
        at = at.max(pause.until);
        if at >= to {
            return running;
        }
    }
    running + seconds_between(at, to).max(0)
}

/// The moment at which `needed` running seconds after `from` have passed. A negative number of
/// seconds lies before `from`, where pauses are no longer known.
fn moment_after(from: Timestamp, needed: i64, pauses: &[Pause]) -> Timestamp {
    let mut left = needed;
    let mut at = from;
    if needed > 0 {
        for pause in in_order(pauses) {
            let run = seconds_between(at, pause.from).max(0);
            if run >= left {
                break;
            }
            left -= run;
            at = at.max(pause.until);
        }
    }
    at.saturating_add(SignedDuration::from_secs(left)).unwrap_or(Timestamp::MAX)
}

fn in_order(pauses: &[Pause]) -> Vec<Pause> {
    let mut sorted: Vec<Pause> = pauses.iter().copied().filter(|pause| pause.from < pause.until).collect();
    sorted.sort_by_key(|pause| pause.from);
    sorted
}

fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second())
}

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
