//! # Purpose
//! How long a client may be silent, and how long an exchange with Exchange may be.
//!
//! # Trust
//! A client that sends slowly holds a connection at no cost of its own.
//!
//! # Standards
//! RFC 9110 15.5.9 (408). Only silence is measured, never the length of a request: MAPI and RPC hold theirs open.
//!
//! # Invariants
//! Time during which nobody read does not count against a client. While an answer is awaited a client may be silent.

use std::time::Duration;

use crate::framing::Position;
use crate::limits::{BODY_OCTETS_PER_SECOND_MIN, BODY_PATIENCE, HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT};
use crate::policy::Directory;

/// How long nothing may come from either side of an exchange.
pub fn idle_timeout(directory: Directory) -> Duration {
    Duration::from_secs(match directory {
        // Ping waits for up to 3,540 s (web.config of ActiveSync); RPC over HTTP keeps channels for as long.
        Directory::ActiveSync | Directory::Rpc => 3_600,
        // GetStreamingEvents: up to 30 minutes between two notifications.
        Directory::Ews => 1_800,
        // OWA's notifications are a long poll.
        Directory::Owa | Directory::Ecp | Directory::PowerShell | Directory::Rest => 300,
        // PENDING comes every 15 s (X-PendingPeriod).
        Directory::Mapi => 180,
        Directory::Autodiscover | Directory::Oab => 120,
    })
}

/// What a client was too slow with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// A body.
    Body,
    /// A request line or a header.
    Head,
    /// Its next request.
    NextRequest,
}

impl Lapse {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Body => "slow_body",
            Self::Head => "slow_head",
            Self::NextRequest => "idle",
        }
    }

    /// What the client is told; `None` where it asked for nothing.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Body | Self::Head => Some(408),
            Self::NextRequest => None,
        }
    }
}

/// What is waited for beside the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Nothing.
    Absent,
    /// An answer from behind.
    Ordinary,
    /// The same, and the body may pause: a channel of RPC over HTTP.
    Paused,
}

/// The clock of one connection; moments are counted from its beginning.
#[derive(Debug, Default)]
pub struct Pace {
    idle_since: Option<Duration>,
    head_since: Option<Duration>,
    pending_since: Option<Duration>,
    body_octets: u64,
    body_waited: Duration,
}

impl Pace {
    /// Octets came; `before` and `after` are where the connection stood.
    pub fn received(&mut self, octets: usize, (before, after): (Position, Position), now: Duration) {
        self.idle_since = None;
        let waited = self.pending_since.take().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if before == Position::Body && after == Position::Body {
            self.body_octets = self.body_octets.saturating_add(octets as u64);
            self.body_waited = self.body_waited.saturating_add(waited);
        } else {
            (self.body_octets, self.body_waited) = (0, Duration::ZERO);
        }
        self.head_since = match (before, after) {
            (Position::Head, Position::Head) => self.head_since,
            (_, Position::Head) => Some(now),
            _ => None,
        };
    }

    /// Nothing comes; until when that may go on. `None` is for ever.
    pub fn deadline(
        &mut self,
        position: Position,
        exchange: Exchange,
        now: Duration,
    ) -> Option<(Duration, Lapse)> {
        if position != Position::BetweenRequests || exchange != Exchange::Absent {
            self.idle_since = None;
        }
        match position {
            Position::BetweenRequests if exchange != Exchange::Absent => None,
            Position::BetweenRequests => {
                let since = *self.idle_since.get_or_insert(now);
                Some((since + KEEP_ALIVE_TIMEOUT, Lapse::NextRequest))
            }
            Position::Head => Some((self.head_since.unwrap_or(now) + HEAD_TIMEOUT, Lapse::Head)),
            Position::Body if exchange == Exchange::Paused => None,
            Position::Body => {
                let since = *self.pending_since.get_or_insert(now);
                let earned = Duration::from_secs(self.body_octets / BODY_OCTETS_PER_SECOND_MIN);
                let allowed = (BODY_PATIENCE + earned).saturating_sub(self.body_waited);
                Some((since + allowed, Lapse::Body))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_head_that_trickles_in_ends_ten_seconds_after_its_first_octet() {
        let mut pace = Pace::default();
        pace.received(1, (Position::BetweenRequests, Position::Head), seconds(5));
        for now in 6..15 {
            pace.received(1, (Position::Head, Position::Head), seconds(now));
        }
        let deadline = pace.deadline(Position::Head, Exchange::Absent, seconds(14));
        assert_eq!(deadline, Some((seconds(15), Lapse::Head)));
    }

    #[test]
    fn a_connection_may_be_idle_for_two_minutes_and_as_long_as_it_likes_while_it_awaits_an_answer() {
        let mut pace = Pace::default();
        let between = Position::BetweenRequests;
        assert_eq!(pace.deadline(between, Exchange::Ordinary, seconds(1)), None);
        let idle = Some((seconds(130), Lapse::NextRequest));
        assert_eq!(pace.deadline(between, Exchange::Absent, seconds(10)), idle);
        assert_eq!(
            pace.deadline(between, Exchange::Absent, seconds(60)),
            idle,
            "asking again does not prolong it"
        );
        pace.received(9, (between, between), seconds(61));
        assert_eq!(
            pace.deadline(between, Exchange::Absent, seconds(70)),
            Some((seconds(190), Lapse::NextRequest))
        );
    }

    #[test]
    fn a_body_earns_time_by_its_octets_and_only_the_clients_pauses_count() {
        let mut pace = Pace::default();
        let body = (Position::Body, Position::Body);
        pace.received(100, (Position::Head, Position::Body), seconds(0));
        assert_eq!(
            pace.deadline(Position::Body, Exchange::Ordinary, seconds(100)),
            Some((seconds(130), Lapse::Body)),
            "the first hundred seconds nobody read"
        );
        pace.received(480, body, seconds(120));
        // 20 s are used up; 480 octets earned 2.
        assert_eq!(
            pace.deadline(Position::Body, Exchange::Ordinary, seconds(121)),
            Some((seconds(133), Lapse::Body))
        );
        assert_eq!(pace.deadline(Position::Body, Exchange::Paused, seconds(121)), None, "RPC channels rest");
    }

    #[test]
    fn no_protocol_of_exchange_is_cut_while_it_is_silent_as_it_may_be() {
        for (directory, silence) in [
            (Directory::ActiveSync, 3_540),
            (Directory::Mapi, 15),
            (Directory::Ews, 1_799),
            (Directory::Owa, 299),
            (Directory::Rpc, 3_599),
        ] {
            assert!(idle_timeout(directory) > seconds(silence), "{directory:?}");
        }
    }
}
