use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pc_types::Timestamp;
use tokio::sync::watch;

use crate::limits::CLOCK_STEP;

/// Where the shells get `now` from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Set by hand: the demo and the tests.
    Manual(ManualClock),
    /// The system's time.
    System,
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl Clock {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Manual(clock) => clock.now(),
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Returns once the clock shows `moment` or later, and when it is set back: then `moment` was chosen by a time
    /// that is wrong, and the caller chooses again.
    pub async fn wait_until(&self, moment: Timestamp) {
        let mut last = self.now();
        match self {
            Self::Manual(clock) => {
                // The sender lives as long as `self`.
                let _ = clock.0.subscribe().wait_for(|shown| *shown >= moment || *shown < last).await;
            }
            Self::System => loop {
                // In steps, since the system's time may be set meanwhile.
                let now = self.now();
                let left = moment.as_microsecond().saturating_sub(now.as_microsecond());
                let Ok(left @ 1..) = u64::try_from(left) else { return };
                if now < last {
                    return;
                }
                last = now;
                tokio::time::sleep(Duration::from_micros(left).min(CLOCK_STEP)).await;
            },
        }
    }
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(start)))
    }

    /// Shows `moment` from here on.
    pub fn set(&self, moment: Timestamp) {
        self.0.send_replace(moment);
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
}
