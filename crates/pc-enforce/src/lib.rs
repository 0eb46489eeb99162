//! # Purpose
//! The ladder. A sending server that owes updates is reported, then throttled, then blocked, and
//! released by one good sighting. Everything is a function of the policy, the server's stored
//! record and `now`, so that two nodes with the same record answer alike.
//!
//! # Trust
//! The record is ours. What a peer can do to it is send mail: old evidence opens its own row only,
//! unknown or missing evidence neither opens nor closes one.
//!
//! # Standards
//! Stages and replies follow Exchange Online's transport-based enforcement as published from 2023 to
//! 2026. RFC 3463 for the codes, RFC 5321 4.5.1 and RFC 2142 for postmaster and abuse, RFC 5321 4.5.5
//! for the null sender. No notices here.
//!
//! # Invariants
//! A stage is never harsher than its day in the schedule. Minutes of windows in an hour add up to
//! those of the stage. In report mode nothing is ever sent. Null sender, postmaster and abuse never
//! get a 5xx.
//!
//! # See also
//! `pc-exchange`, which says what a server owes.

mod attestation;
mod connector;
mod decision;
mod floor;
pub mod limits;
mod observe;
mod pause;
mod position;
mod preview;
mod raise;
mod record;
mod rejudge;
mod rollout;
mod schedule;
mod self_test;
mod window;

pub use attestation::{
    Attestation, AttestationKey, AttestationKeyError, AttestationRefusal, Claim, Comparison, FIELDS, FORMAT,
    FitBy, Held, SCRIPT, compare,
};
pub use connector::{ConnectorMatch, DEFAULT_CONNECTOR, MatchedBy, Policies};
pub use decision::{
    AcceptedRecipients, Action, Decision, Hold, HoldKind, RecipientRole, ReversePathKind, after_headers,
    decide,
};
pub use floor::{Floor, FloorError, FloorMark, FloorVersion, Judged, PRESETS, preset_version};
pub use observe::{Effect, Sighting, observe, seen};
pub use pause::{
    DEFAULT_TENANT, GrantedPause, PauseRefusal, PauseRequest, Quota, end, grant, pauses_of, quota, runs, stop,
};
pub use pc_exchange::{Demand, Entitlement, EsuOnly, Wanted};
pub use position::{Pause, Position, StageDate, position};
pub use preview::{PreviewRow, preview};
pub use raise::{Raise, raise_ahead};
pub use record::{Counts, Cycle, Exemption, Interior, Run, RunOf, ServerRecord, Shown, Standing};
pub use rejudge::{Revised, rejudge};
pub use rollout::{ConnectorKind, RolloutStep};
pub use schedule::{Schedule, ScheduleError, Stage};
pub use self_test::self_test;
pub use window::{Window, start_minute};

use std::sync::Arc;

use pc_types::Domain;

/// Whether the ladder acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Throttles and blocks.
    Enforce,
    /// Opens no rows, decides nothing, and stops the clock of rows that are open.
    Off,
    /// The clock runs and decisions are counted, nothing is sent.
    Report,
}

/// What a blocked sender hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReply {
    /// 550 5.7.230: the sender's users get a bounce.
    Permanent,
    /// 450 4.7.230: the mail stays in the sender's queue.
    Temporary,
}

/// The settings of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether it acts.
    pub mode: Mode,
    /// On whom it acts from when on, where it does not act on all.
    pub rollout: Vec<RolloutStep>,
    /// Its stages.
    pub schedule: Schedule,
    /// What it asks.
    pub floor: Arc<Floor>,
    /// What a blocked sender hears.
    pub block_reply: BlockReply,
    /// The ladder begins after so many messages without a break that show the debt ...
    pub open_sightings: u32,
    /// ... over at least so many hours.
    pub open_hours: u32,
    /// A row is forgotten after so many days without any connection.
    pub decay_days: u32,
    /// Inside a window one transaction in so many minutes is let through to its headers, so that a
    /// new patch level is noticed.
    pub probe_interval_minutes: u32,
    /// NAME in the replies.
    pub node_name: Domain,
    /// Put at the end of replies; left out where it is not printable ASCII or does not fit the line.
    pub link: Option<String>,
}

impl Policy {
    /// The defaults of the configuration under the name of a node.
    pub fn new(node_name: Domain) -> Self {
        Self {
            mode: Mode::Report,
            rollout: Vec::new(),
            schedule: Schedule::default(),
            floor: Arc::new(Floor::default()),
            block_reply: BlockReply::Permanent,
            open_sightings: limits::OPEN_SIGHTINGS,
            open_hours: limits::OPEN_HOURS,
            decay_days: limits::DECAY_DAYS,
            probe_interval_minutes: limits::PROBE_INTERVAL_MINUTES,
            node_name,
            link: None,
        }
    }
}

#[cfg(test)]
mod tests;
