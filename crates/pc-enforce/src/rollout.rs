//! # Purpose
//! A staged roll-out: which servers the ladder acts on from which day, product by product and kind by kind.
//!
//! # Trust
//! Steps come from the operator. The product is what the server's own line showed.
//!
//! # Standards
//! Exchange Online began with one product after the other, and with connectors of one kind.
//!
//! # Invariants
//! Without steps the mode holds for all. With steps, a server that none names yet is reported only; when its day comes
//! it begins at the first stage, however long it was reported before.
//!
//! # See also
//! `position`, which counts from the step's day.

use pc_types::{Date, Timestamp, time};
use serde::{Deserialize, Serialize};

use crate::record::{Cycle, ServerRecord};
use crate::{Mode, Policy};

/// Whose servers a connector names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorKind {
    /// Anybody's: no connector names them.
    #[default]
    Internet,
    /// The operator's own, or a tenant's.
    OnPremises,
    /// Those of an organisation that it works with.
    Partner,
}

impl ConnectorKind {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::OnPremises => "on_premises",
            Self::Partner => "partner",
        }
    }
}

/// What the ladder acts on from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStep {
    /// Such as `2016`; empty for all, also for those whose product is not known.
    pub products: Vec<String>,
    /// Empty for all.
    pub kinds: Vec<ConnectorKind>,
    /// The first day, UTC.
    pub from: Date,
}

impl RolloutStep {
    fn names(&self, record: &ServerRecord) -> bool {
        let product = record.shown.as_ref().and_then(|shown| shown.product.as_ref());
        let has_product =
            self.products.is_empty() || product.is_some_and(|product| self.products.contains(product));
        has_product && (self.kinds.is_empty() || self.kinds.contains(&record.kind))
    }
}

impl Policy {
    /// The mode as it holds for one server.
    pub fn mode_for(&self, record: &ServerRecord, now: Timestamp) -> Mode {
        match self.mode {
            Mode::Enforce if !self.rollout.is_empty() && self.acts_from(record, now).is_none() => {
                Mode::Report
            }
            mode => mode,
        }
    }

    /// Since when the ladder acts on a server by a step of the roll-out.
    fn acts_from(&self, record: &ServerRecord, now: Timestamp) -> Option<Timestamp> {
        let steps = self.rollout.iter().filter(|step| step.names(record));
        steps.map(|step| time::start_of(step.from)).filter(|from| *from <= now).min()
    }

    /// The cycle as the ladder counts it: one that was only reported begins anew on the day of its step.
    pub(crate) fn counted(&self, cycle: Cycle, record: &ServerRecord, now: Timestamp) -> Cycle {
        let acts_from = if self.mode == Mode::Enforce { self.acts_from(record, now) } else { None };
        match acts_from {
            Some(from) if cycle.opened_at < from => Cycle {
                opened_at: from,
                carried_seconds: 0,
                suspended_at: cycle.suspended_at.filter(|at| *at >= from),
            },
            _ => cycle,
        }
    }
}
