//! How often one client may do what costs us more than it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pc_types::{SignedDuration, Timestamp};

use crate::limits::{ALLOWANCE_CLIENTS_MAX, ALLOWANCE_PER_MINUTE};

/// Counts of the last minute, by client.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    rows: BTreeMap<IpAddr, Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    since: Timestamp,
    count: u32,
}

impl Allowance {
    /// Whether `client`, an IPv4 address or an IPv6 network, may once more at `now`. While the table is full of others, nobody new may:
    /// who can fill it has as many addresses as it takes to get by any count.
    pub fn take(&mut self, client: IpAddr, now: Timestamp) -> bool {
        let is_over = |row: &Row| now.duration_since(row.since).abs() >= SignedDuration::from_secs(60);
        if self.rows.len() >= ALLOWANCE_CLIENTS_MAX && !self.rows.contains_key(&client) {
            self.rows.retain(|_, row| !is_over(row));
            if self.rows.len() >= ALLOWANCE_CLIENTS_MAX {
                return false;
            }
        }
        let row = self.rows.entry(client).or_insert(Row { since: now, count: 0 });
        if is_over(row) {
            *row = Row { since: now, count: 0 };
        }
        row.count = row.count.saturating_add(1);
        row.count <= ALLOWANCE_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn each_client_has_its_own_minute() {
        let mut allowance = Allowance::default();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let taken = (0..100).filter(|_| allowance.take(one, at(0))).count();
        assert_eq!(taken, usize::try_from(ALLOWANCE_PER_MINUTE).unwrap());
        assert!(allowance.take("192.0.2.2".parse().unwrap(), at(0)));
        assert!(!allowance.take(one, at(59)));
        assert!(allowance.take(one, at(60)));
    }

    #[test]
    fn the_table_is_bounded_and_empties_by_itself() {
        let mut allowance = Allowance::default();
        let client = |number: usize| IpAddr::from(u128::try_from(number).unwrap().to_be_bytes());
        for number in 0..ALLOWANCE_CLIENTS_MAX {
            assert!(allowance.take(client(number), at(0)));
        }
        assert!(!allowance.take(client(ALLOWANCE_CLIENTS_MAX), at(0)), "no room");
        assert!(allowance.take(client(0), at(0)), "those inside go on");
        assert!(allowance.take(client(ALLOWANCE_CLIENTS_MAX), at(60)));
        assert_eq!(allowance.rows.len(), 1);
    }
}
