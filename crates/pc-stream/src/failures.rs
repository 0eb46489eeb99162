//! # Purpose
//! Counts failed logins of each network and says when there were too many of late.
//!
//! # Trust
//! A client chooses how often it fails and, with IPv6, from how many networks. It cannot make us forget
//! others that failed more often.
//!
//! # Standards
//! A sliding window of an hour by two counters: the hour before counts for the part of it that the
//! window still covers.
//!
//! # Invariants
//! At most [`FAILURE_NETWORKS_MAX`] networks are kept; the one with the oldest and then the fewest
//! failures goes first. However the clock is set, nobody is refused for longer than two hours.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use pc_types::Timestamp;

use crate::limits::FAILURE_NETWORKS_MAX;

const HOUR_SECONDS: i64 = 3_600;

/// Failed logins by network: an IPv4 address or an IPv6 /64.
#[derive(Debug)]
pub struct LoginFailures {
    networks_max: usize,
    rows: HashMap<IpAddr, Row>,
    order: BTreeSet<(i64, u64, IpAddr)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    hour: i64,
    this_hour: u64,
    hour_before: u64,
}

impl Default for LoginFailures {
    fn default() -> Self {
        Self { networks_max: FAILURE_NETWORKS_MAX, rows: HashMap::new(), order: BTreeSet::new() }
    }
}

impl LoginFailures {
    /// One more failed.
    pub fn count(&mut self, network: IpAddr, now: Timestamp) {
        let known = self.rows.get(&network).copied();
        if let Some(row) = known {
            self.order.remove(&(row.hour, row.total(), network));
        }
        let mut row = known.unwrap_or_default().at(hour_of(now));
        row.this_hour = row.this_hour.saturating_add(1);
        self.order.insert((row.hour, row.total(), network));
        self.rows.insert(network, row);
        if self.rows.len() > self.networks_max
            && let Some((_, _, forgotten)) = self.order.pop_first()
        {
            self.rows.remove(&forgotten);
        }
    }

    /// How many there were in the hour before `now`.
    pub fn in_the_last_hour(&self, network: IpAddr, now: Timestamp) -> u64 {
        let Some(row) = self.rows.get(&network) else { return 0 };
        let row = row.at(hour_of(now));
        let gone = u64::try_from(now.as_second().rem_euclid(HOUR_SECONDS)).unwrap_or(0);
        let left = 3_600_u64.saturating_sub(gone);
        row.this_hour.saturating_add(row.hour_before.saturating_mul(left).div_ceil(3_600))
    }
}

impl Row {
    fn total(self) -> u64 {
        self.this_hour.saturating_add(self.hour_before)
    }

    /// The row as it is in another hour. A clock that was set back by more than an hour begins anew.
    fn at(self, hour: i64) -> Self {
        match hour.saturating_sub(self.hour) {
            0 => self,
            1 => Self { hour, this_hour: 0, hour_before: self.this_hour },
            // The clock went back a little.
            -1 => self,
            _ => Self { hour, this_hour: 0, hour_before: 0 },
        }
    }
}

fn hour_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(HOUR_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn failures_fade_within_two_hours() {
        let mut failures = LoginFailures::default();
        for _ in 0..60 {
            failures.count(address(1), at(0));
        }
        let at_minutes = |minutes: i64| failures.in_the_last_hour(address(1), at(minutes * 60));
        assert_eq!([at_minutes(0), at_minutes(59), at_minutes(90), at_minutes(119)], [60, 60, 30, 1]);
        assert_eq!(at_minutes(120), 0);
        assert_eq!(failures.in_the_last_hour(address(2), at(0)), 0, "others are not concerned");
    }

    #[test]
    fn a_flood_of_networks_does_not_drive_out_who_failed_more_often() {
        let mut failures = LoginFailures { networks_max: 10, ..LoginFailures::default() };
        for _ in 0..3 {
            failures.count(address(1), at(0));
        }
        for last in 2..=200 {
            failures.count(address(last), at(1));
        }
        assert_eq!(failures.rows.len(), 10);
        assert_eq!(failures.order.len(), 10);
        assert_eq!(failures.in_the_last_hour(address(1), at(2)), 3);
    }

    #[test]
    fn a_clock_that_jumps_back_a_day_refuses_nobody_for_that_day() {
        let mut failures = LoginFailures::default();
        failures.count(address(1), at(86_400));
        assert_eq!(failures.in_the_last_hour(address(1), at(0)), 0);
    }
}
