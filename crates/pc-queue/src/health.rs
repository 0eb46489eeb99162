use pc_types::Timestamp;

use crate::gate::{delay, later};
use crate::limits::{HEALTH_FIRST_SECONDS, HEALTH_LONGEST_SECONDS};

/// What is known of one host of a server behind: whether mail is offered to it before others, and when
/// it is looked at again. It orders the hosts and forbids none: where all are down, all are tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    state: State,
    /// Since when it is in this state.
    since: Timestamp,
    /// When it last answered or failed.
    seen_at: Timestamp,
    last_fault: Option<LastFault>,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Doubtful,
    Down { until: Timestamp, times: u32 },
    Up,
}

/// What a [`Health`] says at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It broke off once, after it had greeted; the next fault takes it down.
    Doubtful,
    /// Asked after all others until this moment.
    Down(Timestamp),
    /// It was down for long enough to be tried.
    Due,
    /// It answers.
    Up,
}

impl HealthState {
    /// Stable, for logs, labels and listings.
    pub fn code(self) -> &'static str {
        match self {
            Self::Doubtful => "doubtful",
            Self::Down(_) => "down",
            Self::Due => "due",
            Self::Up => "up",
        }
    }
}

/// How a host failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthFault {
    /// Within a transaction. The message may be to blame, so once is not enough.
    BrokeOff,
    /// Before one: it cannot be reached, is not who it should be, or sends everybody away.
    Unreachable,
}

/// The last failure of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct LastFault {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub text: String,
}

impl Health {
    /// A host of which nothing is known yet is taken to be up.
    pub fn new(now: Timestamp) -> Self {
        Self { state: State::Up, since: now, seen_at: now, last_fault: None }
    }

    /// What it says at `now`.
    pub fn state(&self, now: Timestamp) -> HealthState {
        match self.state {
            State::Doubtful => HealthState::Doubtful,
            State::Down { until, .. } if now < until => HealthState::Down(until),
            State::Down { .. } => HealthState::Due,
            State::Up => HealthState::Up,
        }
    }

    /// Since when it is up, doubtful, or down.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Its last failure, however long ago.
    pub fn last_fault(&self) -> Option<&LastFault> {
        self.last_fault.as_ref()
    }

    /// It answered: to mail or to a look at it.
    pub fn answered(self, now: Timestamp) -> Self {
        let since = if self.state == State::Up { self.since } else { now };
        Self { state: State::Up, since, seen_at: now, ..self }
    }

    /// It failed. `seed` spreads the looks at several hosts.
    pub fn failed(self, fault: HealthFault, text: &str, seed: &str, now: Timestamp) -> Self {
        let last_fault = Some(LastFault { at: now, text: text.to_owned() });
        let (state, since) = match (self.state(now), &self.state, fault) {
            // Failures of attempts that were under way say nothing more.
            (HealthState::Down(_), state, _) => (state.clone(), self.since),
            (HealthState::Up, _, HealthFault::BrokeOff) => (State::Doubtful, now),
            (_, State::Down { times, .. }, _) => (down(times.saturating_add(1), seed, now), self.since),
            (..) => (down(0, seed, now), now),
        };
        Self { state, since, seen_at: now, last_fault }
    }

    /// One message tries a host that is due; others go elsewhere until it has told.
    pub fn tried(self, now: Timestamp) -> Self {
        match self.state {
            State::Down { until, times } if until <= now => {
                let until = later(now, HEALTH_FIRST_SECONDS);
                Self { state: State::Down { until, times }, ..self }
            }
            _ => self,
        }
    }

    /// When it is looked at, if it is looked at every so many seconds while it is up.
    pub fn check_at(&self, every_seconds: i64) -> Timestamp {
        match self.state {
            State::Down { until, .. } => until,
            State::Doubtful | State::Up => later(self.seen_at, every_seconds),
        }
    }
}

fn down(times: u32, seed: &str, now: Timestamp) -> State {
    let seconds = delay(HEALTH_FIRST_SECONDS, HEALTH_LONGEST_SECONDS, times, seed);
    State::Down { until: later(now, seconds), times }
}

#[cfg(test)]
mod tests;
