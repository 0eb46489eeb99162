use pc_types::{Timestamp, sha256};
use serde::{Deserialize, Serialize};

use crate::limits::{GATE_FIRST_SECONDS, GATE_LONGEST_SECONDS, JITTER_PERCENT};

/// Whether a server behind is asked: open, shut for a while after it failed, or held by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Failures in a row.
    failures: u32,
    /// Not asked before this moment.
    shut_until: Option<Timestamp>,
    /// Held, and why.
    hold: Option<String>,
}

/// What a [`Gate`] says at a moment.
#[derive(Clone, Debug, PartialEq)]
pub enum GateState {
    /// Held until it is released.
    Held,
    /// Mail may go.
    Open,
    /// One message may go, to see whether the server is back.
    Probe,
    /// Nothing goes before this moment.
    Shut(Timestamp),
}

impl Gate {
    /// What it says at `now`.
    pub fn state(&self, now: Timestamp) -> GateState {
        match (&self.hold, self.shut_until) {
            (Some(_), _) => GateState::Held,
            // Further off than a failure puts it: the clock was set back meanwhile.
            (None, Some(until)) if until > later(now, longest(GATE_LONGEST_SECONDS)) => GateState::Probe,
            (None, Some(until)) if now < until => GateState::Shut(until),
            (None, Some(_)) => GateState::Probe,
            (None, None) => GateState::Open,
        }
    }

    /// The server answered.
    pub fn succeeded(self) -> Self {
        Self { failures: 0, shut_until: None, ..self }
    }

    /// The server could not be reached or broke off. `name` spreads several servers' attempts.
    pub fn failed(self, name: &str, now: Timestamp) -> Self {
        // Failures of attempts that were under way when the gate shut say nothing more.
        if matches!(self.state(now), GateState::Shut(_)) {
            return self;
        }
        let seconds = delay(GATE_FIRST_SECONDS, GATE_LONGEST_SECONDS, self.failures, name);
        let shut_until = Some(later(now, seconds));
        Self { failures: self.failures.saturating_add(1), shut_until, ..self }
    }

    /// Holds all mail, because of `reason`.
    pub fn held(self, reason: &str) -> Self {
        Self { hold: Some(reason.to_owned()), ..self }
    }

    /// Ends a hold, and asks the server at once.
    pub fn released(self) -> Self {
        Self { failures: 0, shut_until: None, hold: None }
    }

    /// Asks the server at once, unless it is held.
    pub fn reopened(self) -> Self {
        Self { failures: 0, shut_until: None, ..self }
    }

    /// Why it is held.
    pub fn hold(&self) -> Option<&str> {
        self.hold.as_deref()
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// `first`, doubled for each earlier failure up to `longest`, and up to a fifth more by `name`.
pub(crate) fn delay(first: i64, longest: i64, earlier: u32, name: &str) -> i64 {
    let doubled = first.saturating_mul(1_i64.checked_shl(earlier.min(32)).unwrap_or(i64::MAX));
    let base = doubled.clamp(first, longest);
    let digest = sha256(format!("{name} {earlier}").as_bytes());
    let seed = digest.iter().take(7).fold(0_u64, |seed, octet| seed << 8 | u64::from(*octet));
    let room = u64::try_from(base).unwrap_or(0) * JITTER_PERCENT / 100;
    base.saturating_add(i64::try_from(seed % (room + 1)).unwrap_or(0))
}

/// The most that [`delay`] makes of `longest`.
pub(crate) const fn longest(longest: i64) -> i64 {
    longest + longest * JITTER_PERCENT.cast_signed() / 100
}

pub(crate) fn later(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}
