//! # Purpose
//! Which server of a site a client connection is given to, by what is known of each server's protocols; and whether the
//! certificates on both sides of us let Extended Protection work.
//!
//! # Trust
//! The servers are the operator's own and have proven themselves by their certificates.
//!
//! # Standards
//! Exchange answers `healthcheck.htm` of each directory with 200 while managed availability holds the protocol to be in
//! service. RFC 5929 4 (tls-server-end-point): the hash of the certificate that the client saw.
//!
//! # Invariants
//! Unknown is not up: a server that has not answered yet is asked after those that have. A server that is down is asked
//! last of all, since being asked in vain costs less than refusing everybody on a wrong check.

use std::collections::BTreeMap;

use crate::policy::Directory;

/// A protocol of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Its health check was answered with 200.
    Up,
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It answered something else, or not at all.
    Down,
}

impl Service {
    /// Stable word for events, metrics and the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }
}

/// What is known of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHealth(BTreeMap<Directory, Service>);

impl ServerHealth {
    /// Of a directory.
    pub fn of(&self, directory: Directory) -> Service {
        self.0.get(&directory).copied().unwrap_or_default()
    }

    /// A health check came to its end. Whether that is news.
    pub fn checked(&mut self, directory: Directory, service: Service) -> bool {
        self.0.insert(directory, service).unwrap_or_default() != service
    }

    /// All that is known, in the order of the directories.
    pub fn iter(&self) -> impl Iterator<Item = (Directory, Service)> {
        self.0.iter().map(|(directory, service)| (*directory, *service))
    }
}

/// A server that a connection may be given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its health in the directory that is asked for.
    pub service: Service,
    /// The lowest is asked first.
    pub priority: u16,
    /// Client connections that it has.
    pub connections: usize,
}

/// The order in which servers are asked, by their numbers: health, priority, fewest connections, and among equals in turn.
pub fn order(candidates: &[Candidate], turn: usize) -> Vec<usize> {
    let count = candidates.len().max(1);
    let mut order: Vec<(usize, Candidate)> = candidates.iter().copied().enumerate().collect();
    order.sort_by_key(|(number, candidate)| {
        let place = (number + count - turn % count) % count;
        (candidate.service, candidate.priority, candidate.connections, place)
    });
    order.into_iter().map(|(number, _)| number).collect()
}

/// What our certificates and that of a server are to each other. Extended Protection takes a Windows login only where the
/// client saw the certificate that the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Every certificate that we show for the site is the server's.
    Match,
    /// None is.
    Mismatch,
    /// Some are: logins fail for the clients that got another one.
    Partial,
}

impl Binding {
    /// Compares SHA-256 of leaves.
    pub fn of(ours: &[[u8; 32]], theirs: [u8; 32]) -> Self {
        match ours.iter().filter(|leaf| **leaf == theirs).count() {
            0 => Self::Mismatch,
            count if count == ours.len() => Self::Match,
            _ => Self::Partial,
        }
    }

    /// Stable word for events, metrics and the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Partial => "partial",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(service: Service, priority: u16, connections: usize) -> Candidate {
        Candidate { service, priority, connections }
    }

    #[test]
    fn health_counts_before_priority_and_priority_before_load() {
        let candidates = [
            candidate(Service::Down, 1, 0),
            candidate(Service::Up, 20, 0),
            candidate(Service::Up, 10, 9),
            candidate(Service::Unknown, 10, 0),
            candidate(Service::Up, 10, 3),
        ];
        assert_eq!(order(&candidates, 0), [4, 2, 1, 3, 0]);
    }

    #[test]
    fn equals_take_turns() {
        let candidates = [candidate(Service::Up, 10, 0); 3];
        let firsts: Vec<usize> = (0..6).map(|turn| order(&candidates, turn)[0]).collect();
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2]);
        assert_eq!(order(&[], 7), Vec::<usize>::new());
    }

    #[test]
    fn news_is_what_changes() {
        let mut health = ServerHealth::default();
        assert_eq!(health.of(Directory::Owa), Service::Unknown);
        assert!(health.checked(Directory::Owa, Service::Up));
        assert!(!health.checked(Directory::Owa, Service::Up));
        assert!(health.checked(Directory::Owa, Service::Down));
        assert_eq!(health.of(Directory::Ews), Service::Unknown, "each protocol for itself");
    }

    #[test]
    fn logins_work_for_everybody_only_with_one_certificate_on_both_sides() {
        let (one, two) = ([1; 32], [2; 32]);
        assert_eq!(Binding::of(&[one], one), Binding::Match);
        assert_eq!(Binding::of(&[one, two], one), Binding::Partial);
        assert_eq!(Binding::of(&[two], one), Binding::Mismatch);
        assert_eq!(Binding::of(&[], one), Binding::Mismatch);
    }
}
