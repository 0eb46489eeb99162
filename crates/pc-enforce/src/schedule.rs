use crate::limits::{MINUTES_PER_HOUR, STAGES_MAX};

/// One stage of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Counted from 1.
    pub number: u8,
    /// It begins when so many whole days have passed.
    pub day_from: u32,
    /// Minutes of each hour in which mail is deferred.
    pub throttle_minutes: u8,
    /// Minutes of each hour in which mail is blocked.
    pub block_minutes: u8,
}

/// The stages in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Stage>);

/// Why lists make no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The lists differ in length, are empty or longer than 24.
    #[error("days, throttle minutes and block minutes need the same number of entries, 1 to 24")]
    Length,
    /// Days do not begin with 0 or do not rise.
    #[error("days must begin with 0 and rise")]
    Days,
    /// Throttle and block minutes of a stage add up to more than an hour.
    #[error("throttle and block minutes of one stage add up to at most 60")]
    Minutes,
    /// A later stage blocks less, or holds up less in all.
    #[error("a later stage must not be milder than the one before")]
    Milder,
}

impl Schedule {
    /// A schedule from three lists of equal length.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn new(days: &[u32], throttle_minutes: &[u8], block_minutes: &[u8]) -> Result<Self, ScheduleError> {
        let lengths_fit = days.len() == throttle_minutes.len() && days.len() == block_minutes.len();
        if !lengths_fit || days.is_empty() || days.len() > STAGES_MAX {
            return Err(ScheduleError::Length);
        }
        let mut stages: Vec<Stage> = Vec::with_capacity(days.len());
        for (number, ((&day_from, &throttle_minutes), &block_minutes)) in
            (1u8..).zip(days.iter().zip(throttle_minutes).zip(block_minutes))
        {
            let held = u16::from(throttle_minutes) + u16::from(block_minutes);
            if held > u16::from(MINUTES_PER_HOUR) {
                return Err(ScheduleError::Minutes);
            }
            match stages.last() {
                None if day_from != 0 => return Err(ScheduleError::Days),
                Some(before) if before.day_from >= day_from => return Err(ScheduleError::Days),
                Some(before) => {
                    let held_before = u16::from(before.throttle_minutes) + u16::from(before.block_minutes);
                    // Blocking may take the place of throttling, minute for minute.
                    if block_minutes < before.block_minutes || held < held_before {
                        return Err(ScheduleError::Milder);
                    }
                }
                None => {}
            }
            stages.push(Stage { number, day_from, throttle_minutes, block_minutes });
        }
        Ok(Self(stages))
    }

    /// All stages in order.
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// The stage that holds when `days` whole days have passed.
    pub fn stage_at(&self, days: u32) -> Stage {
        let reached = self.0.iter().rev().find(|stage| stage.day_from <= days).or(self.0.first());
        reached.copied().unwrap_or(Stage { number: 1, day_from: 0, throttle_minutes: 0, block_minutes: 0 })
    }
}

impl Default for Schedule {
    /// Exchange Online's stages as published in 2023: report for 30 days, three throttling stages,
    /// three with partial blocking, then blocked.
    fn default() -> Self {
        let days = [0, 30, 40, 50, 60, 70, 80, 90];
        let throttle_minutes = [0, 5, 10, 20, 30, 30, 30, 0];
        let block_minutes = [0, 0, 0, 0, 5, 10, 20, 60];
        let stages = (1u8..).zip(days).zip(throttle_minutes).zip(block_minutes);
        let stage = |(((number, day_from), throttle_minutes), block_minutes)| Stage {
            number,
            day_from,
            throttle_minutes,
            block_minutes,
        };
        Self(stages.map(stage).collect())
    }
}
