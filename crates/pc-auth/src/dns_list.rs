//! # Purpose
//! What DNS lists say about an address: the name to ask for, what an answer means, and what follows
//! from all of them together.
//!
//! # Trust
//! The operator chooses the lists. A list that answers nonsense, or answers every question, must not
//! stop all mail: only the answers it is configured to give count.
//!
//! # Standards
//! RFC 5782 2.1 (IPv4), 2.4 (IPv6), 2.3 (answers lie in 127.0.0.0/8).
//!
//! # Invariants
//! A question without an answer is [`Finding::Unknown`]: it never refuses and never vouches.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use pc_types::Escaped;
use pc_types::dns::{Answer, Kind, Query, Records};

use crate::limits::LIST_TEXT_OCTETS_MAX;

/// What stands on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Senders that are vouched for.
    Allow,
    /// Senders that mail should not be taken from.
    Block,
}

/// What follows when a block list names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListMode {
    /// It is noted.
    Report,
    /// 450: the sender may come back.
    Defer,
    /// 550.
    Reject,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its zone.
    pub zone: String,
    /// What stands on it.
    pub kind: ListKind,
    /// What follows.
    pub mode: ListMode,
    /// The answers that count, inclusive.
    pub answers: Vec<RangeInclusive<Ipv4Addr>>,
}

/// What one list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The client stands on it; the answer that says so.
    Listed(Ipv4Addr),
    /// It does not.
    NotListed,
    /// The list refuses to answer us: it blocks our resolver, or we ask too much.
    Refused(Ipv4Addr),
    /// Nobody could say.
    Unknown(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(answer) => write!(formatter, "listed ({answer})"),
            Self::NotListed => formatter.write_str("not listed"),
            Self::Refused(answer) => write!(formatter, "unknown: the list refuses to answer us ({answer})"),
            Self::Unknown(why) => write!(formatter, "unknown: {}", Escaped::new(why)),
        }
    }
}

impl Finding {
    /// Stable, for metric labels.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listed(_) => "listed",
            Self::NotListed => "not_listed",
            Self::Refused(_) => "refused",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Everything that one list said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The list.
    pub list: List,
    /// What it said.
    pub finding: Finding,
    /// Its text about the client, made safe for a reply; empty when there is none.
    pub text: String,
}

/// What follows from all lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Nothing speaks against the client.
    Pass,
    /// An allow list vouches for it, whatever the others say.
    Vouched(&'a Report),
    /// This block list speaks, in its mode.
    Blocked(&'a Report),
}

impl List {
    /// What to ask about `address`; `None` when the zone is too long for it.
    pub fn query(&self, address: IpAddr, kind: Kind) -> Option<Query> {
        Query::new(&format!("{}.{}", reversed(address), self.zone), kind)
    }

    /// What an answer to [`List::query`] for `A` means.
    pub fn judge(&self, answer: &Answer) -> Finding {
        let addresses = match answer {
            Answer::Found(Records::A(addresses)) => addresses,
            Answer::Found(_) | Answer::NotFound => return Finding::NotListed,
            Answer::Temporary(why) => return Finding::Unknown(why.clone()),
        };
        let is_configured = |address: &Ipv4Addr| self.answers.iter().any(|range| range.contains(address));
        let mut addresses = addresses.iter().copied();
        let listing = addresses
            .clone()
            .find(|address| address.is_loopback() && !is_refusal(*address) && is_configured(address));
        if let Some(address) = listing {
            return Finding::Listed(address);
        }
        addresses.find(|address| is_refusal(*address)).map_or(Finding::NotListed, Finding::Refused)
    }
}

/// 127.255.255.0/24: how list operators say that they do not answer this resolver (Spamhaus and
/// others who follow it).
fn is_refusal(address: Ipv4Addr) -> bool {
    address.octets().starts_with(&[127, 255, 255])
}

/// The strictest block list that names the client, unless an allow list vouches.
pub fn decide(reports: &[Report]) -> Decision<'_> {
    let listed = |kind: ListKind| {
        reports
            .iter()
            .filter(move |report| report.list.kind == kind && matches!(report.finding, Finding::Listed(_)))
    };
    if let Some(report) = listed(ListKind::Allow).next() {
        return Decision::Vouched(report);
    }
    // The first of equals, so that the order in the configuration decides.
    match listed(ListKind::Block)
        .reduce(|best, next| if next.list.mode > best.list.mode { next } else { best })
    {
        Some(report) => Decision::Blocked(report),
        None => Decision::Pass,
    }
}

/// What all of them said, on one line, with those first that name the client.
pub fn summary(reports: &[Report]) -> String {
    let (listed, others): (Vec<&Report>, Vec<&Report>) =
        reports.iter().partition(|report| matches!(report.finding, Finding::Listed(_)));
    let words = listed.into_iter().chain(others);
    words.map(|report| format!("{}: {}", report.list.zone, report.finding)).collect::<Vec<_>>().join("; ")
}

/// A list's own text, for a reply.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Found(Records::Txt(texts)) => texts.first().map_or_else(String::new, |text| {
            // A reply is ASCII (RFC 5321 4.2); the sign for a cut is not.
            Escaped::with_octets_max(text, LIST_TEXT_OCTETS_MAX).to_string().replace('…', "...")
        }),
        _ => String::new(),
    }
}

/// An address as labels, the last octet or nibble first: RFC 5782 2.1 and 2.4.
pub fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let digits: Vec<String> =
                format!("{:032x}", address.to_bits()).chars().rev().map(String::from).collect();
            digits.join(".")
        }
    }
}

#[cfg(test)]
mod tests;
