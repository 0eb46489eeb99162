use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pc_types::{Date, Domain, Timestamp};
use serde::{Deserialize, Serialize};

/// What is told; kept as JSON in the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// A source of the catalogue was not fetched, or what it gave was not taken.
    CatalogueRefused {
        /// Its address.
        source: String,
        /// Stable word.
        code: String,
        /// Why.
        error: String,
        /// When.
        at: Timestamp,
    },
    /// What is known of builds and vulnerabilities is older than it may be.
    CatalogueStale {
        /// The date of the newest fact.
        as_of: Date,
        /// How old that is.
        days: i64,
        /// When.
        at: Timestamp,
    },
    /// A spooled message is tried no more and waits for the operator.
    MessageAside {
        /// Its trace id.
        id: String,
        /// Where it goes.
        target: String,
        /// Empty for the null path.
        reverse_path: String,
        /// Why it waits.
        reason: String,
        /// When it was set aside.
        at: Timestamp,
    },
    /// Something about the node itself that its operator must know.
    Node {
        /// What it is about.
        topic: NodeTopic,
        /// One line.
        title: String,
        /// All of it.
        text: String,
        /// As of when.
        at: Timestamp,
    },
    /// A version of the floor was announced that a server which owes nothing today will be below.
    FloorAhead {
        /// What is known of the server.
        server: Box<ServerFacts>,
        /// The floor's name.
        floor: String,
        /// Its version.
        version: u32,
        /// From when on it holds.
        at: Timestamp,
        /// What the server will lack.
        lack: Lack,
    },
    /// A server owes updates: its ladder has begun, or goes on.
    ServerOwing {
        /// What is known of it.
        server: Box<ServerFacts>,
    },
    /// A server showed what is asked; its ladder has ended.
    ServerReleased {
        /// What is known of it.
        server: Box<ServerFacts>,
        /// When.
        at: Timestamp,
    },
    /// A harsher stage lies ahead, or an exemption ends.
    StageAhead {
        /// What is known of the server.
        server: Box<ServerFacts>,
        /// What will hold, and from when on.
        stage: StageFacts,
    },
    /// A harsher stage has begun.
    StageBegun {
        /// What is known of the server.
        server: Box<ServerFacts>,
    },
}

/// A sending server, as it stood when the notice was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Its name with us.
    pub id: String,
    /// Where it connects from.
    pub address: IpAddr,
    /// The greeting name it used last.
    pub greeting_name: Option<String>,
    /// The organisation whose connector it came by.
    pub tenant: Option<String>,
    /// What its last message showed.
    pub product: Option<String>,
    /// As it stood in the header.
    pub build: Option<String>,
    /// Update level.
    pub update: Option<String>,
    /// The header line that was read, escaped.
    pub header: Option<String>,
    /// When it came.
    pub shown_at: Option<Timestamp>,
    /// What it lacks.
    pub lack: Option<Lack>,
    /// What it is held to. Absent in notices of earlier versions.
    #[serde(default)]
    pub floor: Option<FloorFacts>,
    /// Whether anything is held back.
    pub acts: Acts,
    /// How many stages there are.
    pub stages: u8,
    /// Where it stands.
    pub stage: Option<StageFacts>,
    /// What comes, in order.
    pub ahead: Vec<StageFacts>,
    /// A pause is in force, and until when.
    pub paused_until: Option<Timestamp>,
    /// An exemption is in force, and until when.
    pub exempt_until: Option<Timestamp>,
}

/// The version of a floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorFacts {
    /// The floor's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The first day on which it holds; `None` for always.
    pub effective: Option<Date>,
}

/// What a server lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lack {
    /// Stable word.
    pub code: String,
    /// One sentence.
    pub text: String,
    /// What to install.
    pub install: String,
}

/// What a notice about the node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeTopic {
    /// A certificate ends soon.
    Certificate,
    /// What is served is not what the practices of SSL Labs ask for.
    Standard,
    /// What the web edge refused in a week.
    WebWeek,
}

/// A stage with its first moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFacts {
    /// Counted from 1.
    pub number: u8,
    /// Minutes of each hour in which mail is deferred.
    pub throttle_minutes: u8,
    /// Minutes of each hour in which mail is refused.
    pub block_minutes: u8,
    /// When it begins or began.
    pub at: Timestamp,
}

/// Whether the ladder acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acts {
    /// Mail is held back.
    Enforce,
    /// Nothing is held back yet.
    Report,
}

impl Notice {
    /// As it is kept in the outbox.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields without maps")
    }

    /// Reads [`Notice::to_json`]; `None` for what a later version wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Stable word, for logs, metrics and listings.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CatalogueRefused { .. } => "catalogue_refused",
            Self::CatalogueStale { .. } => "catalogue_stale",
            Self::FloorAhead { .. } => "floor_ahead",
            Self::MessageAside { .. } => "message_aside",
            Self::Node { topic: NodeTopic::Certificate, .. } => "node_certificate",
            Self::Node { topic: NodeTopic::Standard, .. } => "node_standard",
            Self::Node { topic: NodeTopic::WebWeek, .. } => "node_web_week",
            Self::ServerOwing { .. } => "server_owing",
            Self::ServerReleased { .. } => "server_released",
            Self::StageAhead { .. } => "stage_ahead",
            Self::StageBegun { .. } => "stage_begun",
        }
    }

    /// The server that it is about, if any.
    pub fn server(&self) -> Option<&ServerFacts> {
        match self {
            Self::CatalogueRefused { .. }
            | Self::CatalogueStale { .. }
            | Self::MessageAside { .. }
            | Self::Node { .. } => None,
            Self::FloorAhead { server, .. }
            | Self::ServerOwing { server }
            | Self::ServerReleased { server, .. }
            | Self::StageAhead { server, .. }
            | Self::StageBegun { server } => Some(server),
        }
    }
}

/// Who is told. The text form is what the outbox keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addressee {
    /// Whom the `[[connector]]` of this name names, when the mail is made.
    Connector(String),
    /// Whom `[notify]` names, when the mail is made.
    Operator,
    /// `postmaster` of this domain, under which the server greets.
    Postmaster(Domain),
    /// Whom the `[[tenant]]` of this name names, when the mail is made.
    Tenant(String),
    /// The `[[notify.webhook]]` of this name, a machine.
    Webhook(String),
}

impl Addressee {
    /// Stable word, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connector(_) => "connector",
            Self::Operator => "operator",
            Self::Postmaster(_) => "postmaster",
            Self::Tenant(_) => "tenant",
            Self::Webhook(_) => "webhook",
        }
    }
}

impl fmt::Display for Addressee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connector(name) => write!(formatter, "connector {name}"),
            Self::Operator => formatter.write_str("operator"),
            Self::Postmaster(domain) => write!(formatter, "postmaster@{domain}"),
            Self::Tenant(name) => write!(formatter, "tenant {name}"),
            Self::Webhook(name) => write!(formatter, "{WEBHOOK_MARK}{name}"),
        }
    }
}

/// The outbox holds an addressee that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no addressee of a notice")]
pub struct AddresseeError(String);

impl FromStr for Addressee {
    type Err = AddresseeError;

    fn from_str(text: &str) -> Result<Self, AddresseeError> {
        let unknown = || AddresseeError(text.to_owned());
        if text == "operator" {
            return Ok(Self::Operator);
        }
        if let Some(domain) = text.strip_prefix("postmaster@") {
            return domain.parse().map(Self::Postmaster).map_err(|_| unknown());
        }
        match text.split_once(' ') {
            Some((_, "")) | None => Err(unknown()),
            Some(("connector", name)) => Ok(Self::Connector(name.to_owned())),
            Some(("tenant", name)) => Ok(Self::Tenant(name.to_owned())),
            Some(("webhook", name)) => Ok(Self::Webhook(name.to_owned())),
            Some(_) => Err(unknown()),
        }
    }
}

/// What the text form of a webhook begins with; the store finds them by it.
pub const WEBHOOK_MARK: &str = "webhook ";
