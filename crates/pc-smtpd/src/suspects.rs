//! Messages over which handling failed. A sender whose message got no answer sends it again, and again it would
//! fail, for days; so it is remembered by its octets, and after the second failure it is set aside.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::limits::{MESSAGE_FAILURES_MAX, SUSPECTS_MAX};

/// Failures by message.
#[derive(Debug, Default)]
pub struct Suspects {
    hasher: RandomState,
    failures: Mutex<HashMap<u64, u32>>,
}

/// What to do with a message over which handling failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The sender may try it again.
    Again,
    /// It is kept for the operator.
    SetAside,
}

impl Suspects {
    /// Counts a failure over the message with these first octets and this size. With the table full the count of
    /// another message is lost, which costs one more attempt.
    pub(crate) fn failed(&self, head: &[u8], octets: u64) -> Verdict {
        let key = self.hasher.hash_one((head, octets));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= SUSPECTS_MAX
            && !failures.contains_key(&key)
            && let Some(other) = failures.keys().next().copied()
        {
            failures.remove(&other);
        }
        let count = failures.entry(key).or_default();
        *count += 1;
        if *count < MESSAGE_FAILURES_MAX {
            return Verdict::Again;
        }
        failures.remove(&key);
        Verdict::SetAside
    }
}

/// Octets in a message that make handling it panic, as a fault of ours would; for tests.
#[derive(Clone, Debug, Default)]
pub struct FaultMark(Option<Vec<u8>>);

impl FaultMark {
    /// Panics over messages that hold `mark` in their first octets.
    pub fn new(mark: &str) -> Self {
        Self(Some(mark.as_bytes().to_vec()))
    }

    #[expect(clippy::panic, reason = "asked for by a test")]
    pub(crate) fn strike(&self, head: &[u8]) {
        if let Some(mark) = self.0.as_deref().filter(|mark| !mark.is_empty())
            && head.windows(mark.len()).any(|octets| octets == mark)
        {
            panic!("the message holds the mark of a test");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_failure_over_the_same_octets_sets_a_message_aside() {
        let suspects = Suspects::default();
        assert_eq!(suspects.failed(b"Subject: a", 10), Verdict::Again);
        assert_eq!(suspects.failed(b"Subject: b", 10), Verdict::Again);
        assert_eq!(suspects.failed(b"Subject: a", 11), Verdict::Again);
        assert_eq!(suspects.failed(b"Subject: a", 10), Verdict::SetAside);
        assert_eq!(suspects.failed(b"Subject: a", 10), Verdict::Again, "counted anew");
    }

    #[test]
    fn the_table_is_bounded() {
        let suspects = Suspects::default();
        for number in 0..2 * SUSPECTS_MAX as u64 {
            suspects.failed(b"", number);
        }
        assert_eq!(suspects.failures.lock().unwrap().len(), SUSPECTS_MAX);
    }
}
