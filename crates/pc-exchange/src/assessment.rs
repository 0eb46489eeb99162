//! What an assessment says, and what follows from it.

use std::fmt;

use pc_types::{Build, Date};
use serde::{Serialize, Serializer};

/// How a build was learned, which decides what it can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From the server's programs or an inventory.
    Exact,
    /// The id of a `with mapi` line, which follows every update.
    Mapi,
    /// The id of a `with Microsoft SMTP Server` line, which before May 2021 stayed at the
    /// cumulative update.
    Smtp,
}

/// The state of a server in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Updates that fix no known vulnerability are missing.
    Behind,
    /// Nothing is missing.
    Current,
    /// Not an installed Exchange server.
    NotExchange,
    /// Not enough is known.
    Unknown,
    /// The product or its cumulative update gets no updates any more.
    Unsupported,
    /// A known vulnerability is open.
    Vulnerable,
}

impl Verdict {
    /// The word used in JSON, logs and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Current => "current",
            Self::NotExchange => "not_exchange",
            Self::Unknown => "unknown",
            Self::Unsupported => "unsupported",
            Self::Vulnerable => "vulnerable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An update that is out and not installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingUpdate {
    /// Level and update: `CU23 Oct25SU`.
    pub update: String,
    /// The build it brings.
    pub build: Build,
    /// Its day of release.
    pub released: Date,
    /// The article in Microsoft's knowledge base.
    pub kb: Option<String>,
    /// Whether it fixes vulnerabilities.
    pub security: bool,
    /// Whether only organisations enrolled in extended security updates are given it.
    pub esu_only: bool,
}

/// A vulnerability that is open at the build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenCve {
    /// `CVE-2021-26855`, or an advisory.
    pub id: String,
    /// `RCE`, `EoP` and so on.
    pub class: Option<String>,
    /// CVSS base score.
    pub cvss: Option<f64>,
    /// Whether it is in CISA's list of exploited vulnerabilities; `None` when it is newer than the
    /// list in the catalogue.
    pub kev: Option<bool>,
}

/// A vulnerability that no build settles, or not alone. It is not held against the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotSettled {
    /// `CVE-2021-1730`, or an advisory.
    pub id: String,
    /// The step beside the update, when one is known.
    pub step: Option<String>,
}

/// An update whose presence the id cannot show. It is not held against the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenUpdate {
    /// Level and update.
    pub update: String,
    /// The build it brings.
    pub build: Build,
    /// Its day of release.
    pub released: Date,
    /// What is open without it.
    pub cves: Vec<String>,
}
