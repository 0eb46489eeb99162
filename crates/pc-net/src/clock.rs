use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pc_types::Timestamp;

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
pub struct ManualClock(Arc<AtomicI64>);

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
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_microsecond())))
    }

    /// Shows `moment` from here on.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.as_microsecond(), Ordering::SeqCst);
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
