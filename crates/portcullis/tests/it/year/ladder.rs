//! The ladder as one would reckon it on paper: it adds up the time in which nothing paused it.

use pc_enforce::{Effect, Pause};
use pc_types::Timestamp;

use super::STEP_SECONDS;

/// First day, minutes throttled and minutes blocked of each stage, as Microsoft published them.
const STAGES: [(i64, u8, u8); 8] =
    [(0, 0, 0), (30, 5, 0), (40, 10, 0), (50, 20, 0), (60, 30, 5), (70, 30, 10), (80, 30, 20), (90, 0, 60)];
const SILENT_SECONDS: i64 = 30 * 86_400;

#[derive(Debug, Default)]
pub struct PlainLadder {
    is_open: bool,
    served_seconds: i64,
    last: Option<Timestamp>,
}

impl PlainLadder {
    /// Adds up to `now`; a sender that was silent for thirty days starts anew.
    pub fn advance(&mut self, now: Timestamp, pauses: &[Pause]) {
        let Some(last) = self.last.replace(now) else { return };
        if now.as_second() - last.as_second() >= SILENT_SECONDS {
            (self.is_open, self.served_seconds) = (false, 0);
        }
        let mut at = last.as_second();
        while self.is_open && at < now.as_second() {
            let is_paused =
                pauses.iter().any(|pause| pause.from.as_second() <= at && at < pause.until.as_second());
            self.served_seconds += if is_paused { 0 } else { STEP_SECONDS };
            at += STEP_SECONDS;
        }
    }

    pub fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Opened | Effect::Raised => (self.is_open, self.served_seconds) = (true, 0),
            Effect::Relapsed => self.is_open = true,
            Effect::Released => self.is_open = false,
            Effect::Conflicting | Effect::Discovered => {}
        }
    }

    /// From 1.
    pub fn stage(&self) -> Option<usize> {
        let day = self.served_seconds / 86_400;
        self.is_open.then(|| STAGES.iter().filter(|(from, ..)| *from <= day).count())
    }

    /// Throttled and blocked in an hour.
    pub fn minutes(&self) -> (u8, u8) {
        self.stage().map_or((0, 0), |stage| (STAGES[stage - 1].1, STAGES[stage - 1].2))
    }
}
