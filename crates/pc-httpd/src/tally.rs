//! # Purpose
//! How much was refused on which site and why, or would have been: counted in memory, taken away by whoever keeps it.
//!
//! # Trust
//! Clients are hostile; nothing of theirs is a key, so that they cannot make it grow.
//!
//! # Invariants
//! Nothing is counted twice, and nothing that was taken away is counted again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TallyKind {
    /// A request that was refused; with the code of the access log.
    Refused,
    /// A hit of a virtual patch that acted, with its id.
    RuleActed,
    /// A hit of a virtual patch that only reports, with its id.
    RuleReported,
}

impl TallyKind {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RuleActed => "rule_acted",
            Self::RuleReported => "rule_reported",
        }
    }
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// By name; empty where the request never named a served host.
    pub site: String,
    /// What.
    pub kind: TallyKind,
    /// A code or the id of a rule.
    pub code: String,
    /// How often.
    pub count: u64,
}

type Key = (Arc<str>, TallyKind, String);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Key, u64>>);

impl Tally {
    pub(crate) fn count(&self, site: &Arc<str>, kind: TallyKind, code: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((Arc::clone(site), kind, code.to_owned())).or_default() += 1;
    }

    pub(crate) fn take(&self) -> Vec<Tallied> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let tallied =
            |((site, kind, code), count): (Key, u64)| Tallied { site: site.to_string(), kind, code, count };
        counts.into_iter().map(tallied).collect()
    }
}
