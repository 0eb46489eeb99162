//! # Purpose
//! Whom a server sends for: what a connector knew it by, and the policy that holds under each connector.
//!
//! # Trust
//! Connectors come from the operator. What a server is known by was proven: its address, the name in its certificate, or a
//! domain by SPF or DKIM. A greeting name or a reverse path alone matches nothing.
//!
//! # Invariants
//! A connector that is not known, such as one that a reload took away, is the default one.
//!
//! # See also
//! `rollout`, for the kinds of connectors.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Policy;
use crate::record::ServerRecord;

/// The connector of senders that no other one names.
pub const DEFAULT_CONNECTOR: &str = "default";

/// What proved that a connector's rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The range that its address lies in.
    Address,
    /// A name that its client certificate proves.
    Certificate,
    /// The domain that signed the message (DKIM).
    Dkim,
    /// Nothing: the default connector.
    Nothing,
    /// The domain of MAIL FROM, by a pass of SPF.
    Spf,
}

impl MatchedBy {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Dkim => "dkim",
            Self::Nothing => "nothing",
            Self::Spf => "spf",
        }
    }
}

/// Which connector a server came by, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorMatch {
    /// Its name.
    pub connector: String,
    /// What proved it.
    pub by: MatchedBy,
    /// The range, name or domain; empty for nothing.
    pub what: String,
}

impl ConnectorMatch {
    /// The default connector.
    pub fn none() -> Self {
        Self { connector: DEFAULT_CONNECTOR.to_owned(), by: MatchedBy::Nothing, what: String::new() }
    }
}

impl fmt::Display for ConnectorMatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, by, what } = self;
        match by {
            MatchedBy::Address => write!(formatter, "{connector}, by its address in {what}"),
            MatchedBy::Certificate => write!(formatter, "{connector}, by its certificate for {what}"),
            MatchedBy::Dkim => write!(formatter, "{connector}, by the DKIM signature of {what}"),
            MatchedBy::Nothing => write!(formatter, "{connector}, since no other one names it"),
            MatchedBy::Spf => write!(formatter, "{connector}, by SPF for {what}"),
        }
    }
}

/// The policy under each connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    general: Arc<Policy>,
    /// By the name of the connector.
    own: BTreeMap<String, Arc<Policy>>,
}

impl Policies {
    /// One policy for all.
    pub fn new(general: Policy) -> Self {
        Self { general: Arc::new(general), own: BTreeMap::new() }
    }

    /// Another one under a connector.
    #[must_use]
    pub fn with(mut self, connector: &str, policy: Policy) -> Self {
        self.own.insert(connector.to_owned(), Arc::new(policy));
        self
    }

    /// What is configured for the whole node; how a connector differs from it is its own matter.
    pub fn general(&self) -> &Arc<Policy> {
        &self.general
    }

    /// The policy under a connector.
    pub fn under(&self, connector: &str) -> &Arc<Policy> {
        self.own.get(connector).or_else(|| self.own.get(DEFAULT_CONNECTOR)).unwrap_or(&self.general)
    }

    /// The policy for a server, by the connector that it came by last.
    pub fn of(&self, record: &ServerRecord) -> &Arc<Policy> {
        self.under(record.connector_name())
    }

    /// All of them, the general one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        std::iter::once(&self.general).chain(self.own.values())
    }
}

impl From<Policy> for Policies {
    fn from(policy: Policy) -> Self {
        Self::new(policy)
    }
}
