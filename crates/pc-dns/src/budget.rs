use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What one message or connection may make us ask.
#[derive(Debug)]
pub struct Budget {
    questions: AtomicU32,
    deadline: Instant,
}

impl Budget {
    /// So many questions, answered from the cache or not, within `time` from this moment.
    pub fn new(questions: u32, time: Duration) -> Self {
        Self { questions: AtomicU32::new(questions), deadline: Instant::now() + time }
    }

    /// When its time is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn is_over(&self) -> bool {
        self.deadline <= Instant::now()
    }

    /// Takes one question out; `false` when none is left.
    pub(crate) fn spend(&self) -> bool {
        let spent =
            self.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        spent.is_ok()
    }
}
