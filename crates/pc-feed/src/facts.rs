//! What a feed says, whatever its format.

use pc_types::{Build, Date};

/// A document, read and in bounds.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// CISA's list of exploited vulnerabilities.
    Exploited(Exploited),
    /// MSRC or a CVE record: vulnerabilities with their fixes.
    Vulnerabilities(Advisory),
}

/// A document about vulnerabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// Which document: `msrc 2026-Jun`, `cve CVE-2026-45583`.
    pub document: String,
    /// The day it was first released, up to which it tells of updates; `None` for a single record.
    pub covers_until: Option<Date>,
    /// When this revision was made, to the second where it says so, as it stands there.
    pub revised: String,
    /// Those that name an Exchange server.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// One vulnerability.
#[derive(Clone, Debug, PartialEq)]
pub struct Vulnerability {
    /// `CVE-2026-45583`
    pub id: String,
    /// Its title.
    pub title: String,
    /// `Remote Code Execution` and so on.
    pub impact: Option<String>,
    /// `Critical`, `Important` and so on.
    pub severity: Option<String>,
    /// CVSS base score.
    pub score: Option<f64>,
    /// CVSS vector.
    pub vector: Option<String>,
    /// When it was published.
    pub published: Option<Date>,
    /// When what is said of it was changed last.
    pub revised: Option<Date>,
    /// Where it is fixed. Its product's name is not read: records exist in which the names of two cumulative
    /// updates stand with each other's builds (CVE-2024-26198), and the build itself says which level it is of.
    pub fixes: Vec<FixFact>,
}

/// An update that fixes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixFact {
    /// The first build that is not vulnerable.
    pub build: Build,
    /// `KB5094144`
    pub kb: Option<String>,
}

/// CISA's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exploited {
    /// `2026.08.07`
    pub version: String,
    /// The day of this version.
    pub released: Date,
    /// All of them, whatever the product.
    pub entries: Vec<ExploitedEntry>,
}

/// One exploited vulnerability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExploitedEntry {
    /// `CVE-2026-42897`
    pub id: String,
    /// The day it was added.
    pub added: Date,
    /// The day by which American agencies must have closed it; may lie before `added`.
    pub due: Option<Date>,
    /// Whether it is used to extort: `Known` or `Unknown`.
    pub ransomware: Option<String>,
}

/// Why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// CISA's list says how many entries it has, and has others.
    #[error("it says that it has {said} entries, and has {found}: it was cut")]
    Count {
        /// `count`
        said: usize,
        /// Entries found.
        found: usize,
    },
    /// A day is not written YYYY-MM-DD, with or without a time.
    #[error("{0:?} is no day")]
    Day(String),
    /// A document type declaration, or an entity that it would have to declare.
    #[error("it declares or uses entities of its own, which no such feed needs")]
    Entities,
    /// None of the formats.
    #[error(
        "it is none of CVRF (XML or JSON), CISA's list (JSON), a CVE record (JSON) or a catalogue bundle"
    )]
    Format,
    /// The reader's words.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// Something that every such document has.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A record that was withdrawn.
    #[error("the record is {0:?} and not published")]
    NotPublished(String),
    /// A bound of `limits`.
    #[error("{0} are more than any such document has")]
    TooMuch(&'static str),
}
