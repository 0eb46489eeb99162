use std::net::IpAddr;

use pc_types::{Domain, ServerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::connector::{ConnectorMatch, DEFAULT_CONNECTOR};
use crate::floor::FloorMark;
use crate::rollout::ConnectorKind;

/// All that is stored about a sending server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its name with us.
    pub id: ServerId,
    /// Where it connects from.
    pub address: IpAddr,
    /// The greeting name it used last.
    pub greeting_name: Option<Domain>,
    /// The organisation whose connector it came by. Absent in rows of earlier versions.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What kind of connector that was. Absent in rows of earlier versions.
    #[serde(default)]
    pub kind: ConnectorKind,
    /// Which one that was, and why. Absent in rows of earlier versions.
    #[serde(default)]
    pub connector: Option<ConnectorMatch>,
    /// First connection.
    pub first_seen: Timestamp,
    /// Last connection.
    pub last_seen: Timestamp,
    /// What its last proven evidence means.
    pub standing: Standing,
    /// What its last message showed, proven or not.
    pub shown: Option<Shown>,
    /// What its messages have shown without a break. Absent in rows of earlier versions.
    #[serde(default)]
    pub run: Option<Run>,
    /// Since when its messages contradict each other. Absent in rows of earlier versions.
    #[serde(default)]
    pub conflict_since: Option<Timestamp>,
    /// Since when its mail contradicts what its owner attested. Absent in rows of earlier versions.
    #[serde(default)]
    pub attestation_contradicted_since: Option<Timestamp>,
    /// The running cycle, while it owes something.
    pub cycle: Option<Cycle>,
    /// Seconds on the ladder in earlier cycles; a relapse goes on from there.
    pub served_seconds: i64,
    /// The floor that it met last; a raise of it is no relapse. Absent in rows of earlier versions.
    #[serde(default)]
    pub met_floor: Option<FloorMark>,
    /// When it was last released.
    pub released_at: Option<Timestamp>,
    /// When a transaction was last let through a window to its headers.
    pub last_probe_at: Option<Timestamp>,
    /// Set by an operator.
    pub exemption: Option<Exemption>,
    /// Totals.
    pub counts: Counts,
}

impl ServerRecord {
    /// The connector that it came by last.
    pub fn connector_name(&self) -> &str {
        self.connector.as_ref().map_or(DEFAULT_CONNECTOR, |matched| matched.connector.as_str())
    }
}

/// What the evidence of a server means to the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// It owes nothing.
    Met,
    /// No on-premises Exchange was ever proven behind it.
    NotExchange,
    /// It owes updates or an upgrade.
    Owing {
        /// Stable word.
        code: String,
        /// One sentence.
        text: String,
        /// What to install.
        install: String,
    },
    /// Evidence was unreadable, unproven or contradicts itself.
    Unknown {
        /// Stable word.
        code: String,
        /// One sentence.
        text: String,
    },
}

impl Standing {
    /// Stable word for listings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotExchange => "not_exchange",
            Self::Owing { .. } => "owing",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What a message showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The judge's verdict.
    pub verdict: String,
    /// Such as `2016`.
    pub product: Option<String>,
    /// Such as `15.1.2507.39`.
    pub build: Option<String>,
    /// Update level, such as `CU23 Jan25SU`.
    pub update: Option<String>,
    /// The line that was read, escaped.
    pub header: Option<String>,
    /// Why it was taken, or why none was.
    pub reason: String,
    /// Exchange servers further back, which nobody is held to. Absent in rows of earlier versions.
    #[serde(default)]
    pub interior: Vec<Interior>,
    /// When.
    pub at: Timestamp,
}

/// A line that an Exchange server behind the one that connected wrote, its own or somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interior {
    /// Such as `15.1.2507.39`.
    pub build: String,
    /// The line, escaped and cut.
    pub header: String,
}

/// Messages one after the other that meant the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What they meant.
    pub of: RunOf,
    /// When the first of them came.
    pub since: Timestamp,
    /// How many.
    pub sightings: u32,
    /// It began because what is asked came up, not because the server went down.
    pub raised: bool,
}

/// What a run of messages means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOf {
    /// Nothing is owed.
    Met,
    /// Something is owed.
    Owing,
}

/// A run on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// When it began, or went on after a relapse or a time in mode off.
    pub opened_at: Timestamp,
    /// Seconds brought along from before that.
    pub carried_seconds: i64,
    /// Since when it stands still because the mode is off. Absent in rows of earlier versions.
    #[serde(default)]
    pub suspended_at: Option<Timestamp>,
}

/// An operator's decision to let a server through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// Why.
    pub reason: String,
    /// Who is responsible.
    pub owner: String,
    /// Ends by itself then.
    pub until: Timestamp,
}

/// Totals of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Transactions that reached MAIL.
    pub transactions: u64,
    /// Answered 450 by the ladder.
    pub throttled: u64,
    /// Answered 550, or 450 in its place, in a block window.
    pub blocked: u64,
    /// Would have been answered so in enforce mode.
    pub would_hold: u64,
}
