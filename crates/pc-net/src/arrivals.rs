//! # Purpose
//! How many connections a network may open in a minute: handshakes are dear, and limits of open connections do not see those that
//! are closed at once.
//!
//! # Standards
//! The generic cell rate algorithm (ITU-T I.371 annex A) with a burst of the whole amount.
//!
//! # Invariants
//! What is refused is not counted, so that asking again does not prolong the wait. At most [`NETWORKS_MAX`] networks are kept; while
//! the table is full of others that have not recovered, new ones are not counted, and the limit over all holds alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::NETWORKS_MAX;

const MINUTE: Duration = Duration::from_secs(60);

/// The connections of one listener by network.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// What one connection costs; zero without a limit.
    each: Duration,
    /// When each network is fully recovered.
    recoveries: HashMap<IpAddr, Instant>,
}

impl Arrivals {
    /// `per_minute` of 0 is no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        let each = MINUTE.checked_div(per_minute).unwrap_or(Duration::ZERO);
        Self { each, recoveries: HashMap::new() }
    }

    /// Whether one more may come from `network` at `now`.
    pub(crate) fn take(&mut self, network: IpAddr, now: Instant) -> bool {
        if self.each.is_zero() {
            return true;
        }
        if self.recoveries.len() >= NETWORKS_MAX && !self.recoveries.contains_key(&network) {
            self.recoveries.retain(|_, recovery| *recovery > now);
            if self.recoveries.len() >= NETWORKS_MAX {
                return true;
            }
        }
        let recovery = self.recoveries.entry(network).or_insert(now);
        let after = (*recovery).max(now) + self.each;
        let is_within = after <= now + MINUTE;
        if is_within {
            *recovery = after;
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_amount_may_come_at_once_and_room_grows_evenly() {
        let mut arrivals = Arrivals::new(60);
        let now = Instant::now();
        let taken = (0..100).filter(|_| arrivals.take(network(1), now)).count();
        assert_eq!(taken, 60);
        assert!(arrivals.take(network(2), now), "another network has its own");
        assert!(!arrivals.take(network(1), now + Duration::from_millis(999)));
        assert!(arrivals.take(network(1), now + Duration::from_secs(1)));
        assert!(!arrivals.take(network(1), now + Duration::from_secs(1)));
        let later = now + 2 * MINUTE;
        assert_eq!((0..100).filter(|_| arrivals.take(network(1), later)).count(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_never_turns_strangers_away() {
        let mut arrivals = Arrivals::new(1);
        let now = Instant::now();
        for number in 0..NETWORKS_MAX {
            assert!(arrivals.take(network(number), now));
        }
        assert!(!arrivals.take(network(0), now));
        for _ in 0..2 {
            assert!(arrivals.take(network(NETWORKS_MAX), now), "not counted");
        }
        assert_eq!(arrivals.recoveries.len(), NETWORKS_MAX);
        assert!(arrivals.take(network(NETWORKS_MAX), now + MINUTE));
        assert_eq!(arrivals.recoveries.len(), 1, "who has recovered is forgotten");
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut arrivals = Arrivals::new(0);
        let now = Instant::now();
        assert!((0..1_000).all(|_| arrivals.take(network(1), now)));
        assert!(arrivals.recoveries.is_empty());
    }
}
