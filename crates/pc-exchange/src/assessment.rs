//! What an assessment says, and what follows from it.

use pc_types::{Build, Date, Reason, time::days_between};
use serde::Serialize;

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

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
    /// Whether it is in CISA's list of exploited vulnerabilities, as far as the catalogue reaches.
    pub kev: bool,
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

/// What one build owes on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The state in one word.
    pub state: Verdict,
    /// The id that was judged.
    pub build: Build,
    /// `SE`, `2019` and so on; `None` when the branch is unknown.
    pub product: Option<String>,
    /// The product's full name.
    pub product_name: Option<String>,
    /// The cumulative update or service pack.
    pub level: Option<String>,
    /// Level and update that the id proves.
    pub update: Option<String>,
    /// Support in a sentence, with dates.
    pub support: String,
    /// The last day of support, once it has passed.
    pub support_ended: Option<Date>,
    /// The period of extended security updates that the build shows enrolment in.
    pub esu: Option<String>,
    /// Updates that are out and not installed, oldest first.
    pub missing: Vec<MissingUpdate>,
    /// Vulnerabilities open at this build: exploited ones first, then by score.
    pub cves: Vec<OpenCve>,
    /// Vulnerabilities that need a step beside the update, which no build can show.
    pub not_settled_by_build: Vec<String>,
    /// Updates that the id cannot show.
    pub not_visible: Vec<HiddenUpdate>,
    /// What to install.
    pub install: String,
    /// How the verdict came about, the deciding reason first.
    pub reasons: Vec<Reason>,
}

/// Whether a server owes an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    /// It does not.
    Nothing,
    /// Not enough is known to say.
    Unknown(Reason),
    /// It does.
    Update {
        /// Why.
        reason: Reason,
        /// The last day of support, or the release of the oldest missing security update.
        since: Date,
    },
}

impl Assessment {
    /// Whether an update is owed on `date`: support has ended, or a security update that is missing
    /// came out more than `grace_days` before.
    pub fn owed(&self, grace_days: u32, date: Date) -> Owed {
        match self.state {
            Verdict::Unknown => Owed::Unknown(self.first_reason()),
            Verdict::NotExchange | Verdict::Current => Owed::Nothing,
            Verdict::Unsupported => {
                Owed::Update { reason: self.first_reason(), since: self.support_ended.unwrap_or(date) }
            }
            Verdict::Behind | Verdict::Vulnerable => self.owed_update(grace_days, date),
        }
    }

    fn owed_update(&self, grace_days: u32, date: Date) -> Owed {
        let oldest =
            self.missing.iter().filter(|update| update.security).min_by_key(|update| update.released);
        match oldest {
            Some(update) if days_between(update.released, date) > i64::from(grace_days) => {
                let text = format!(
                    "{} is missing the security update {} of {}, out for more than {grace_days} days",
                    self.product_name.as_deref().unwrap_or("the server"),
                    update.update,
                    update.released,
                );
                Owed::Update { reason: Reason::new("security_update_missing", text), since: update.released }
            }
            _ => Owed::Nothing,
        }
    }

    fn first_reason(&self) -> Reason {
        let first = self.reasons.first().cloned();
        first.unwrap_or_else(|| Reason::new(self.state.as_str(), self.support.clone()))
    }
}
