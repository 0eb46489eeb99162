//! Why something was not taken into the catalogue.

use pc_exchange::CatalogueError;
use pc_types::{Build, Date};

use crate::facts::FeedError;

/// Why nothing of an offer was taken. What was in use stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is dated after today.
    #[error("it is dated {0}, which lies ahead")]
    Ahead(Date),
    /// A fixed build is lower than the one in use, and what is said of it is not newer.
    #[error("it moves the fix of {0} back, without a newer revision")]
    Backwards(String),
    /// The catalogue that would come of it does not hold together.
    #[error("what would come of it is no catalogue: {0}")]
    Catalogue(CatalogueError),
    /// The document could not be read.
    #[error("{0}")]
    Feed(FeedError),
    /// What is in use is newer.
    #[error("it is of {offered}, older than what is in use, of {in_use}")]
    Older {
        /// What is in use.
        in_use: String,
        /// What was offered.
        offered: String,
    },
    /// It holds less than what is in use.
    #[error("it would shrink the catalogue: {0}")]
    Shrinks(String),
    /// The signature is missing, malformed, of another key, or of something else.
    #[error("its signature is not right: {0}")]
    Signature(String),
}

impl Refusal {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead",
            Self::Backwards(_) => "backwards",
            Self::Catalogue(_) => "catalogue",
            Self::Feed(_) => "malformed",
            Self::Older { .. } => "older",
            Self::Shrinks(_) => "shrinks",
            Self::Signature(_) => "signature",
        }
    }
}

/// What of a document was left out, while the rest was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named for what they hold, the variants say what happened")]
pub enum LeftOut {
    /// A fixed build that is lower than the one in use, without a newer revision.
    Backwards { cve: String, in_use: Build, offered: Build },
    /// An update that is dated before the one it follows, or after today.
    Date { cve: String, build: Build },
    /// A build of a cumulative update that gets no updates any more.
    Ended { cve: String, build: Build },
    /// A build of a cumulative update that the catalogue does not know.
    Level { cve: String, build: Build },
    /// A build that cannot be the next one of its cumulative update.
    Number { cve: String, build: Build },
    /// CISA's list has it no more; it stays marked.
    Unlisted { cve: String },
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Backwards { cve, in_use, offered } => write!(
                formatter,
                "{cve}: the fixed build {offered} is below {in_use}, which is in use, and not said in a newer revision"
            ),
            Self::Date { cve, build } => {
                write!(formatter, "{cve}: {build} is dated before the update that it follows, or after today")
            }
            Self::Ended { cve, build } => {
                write!(formatter, "{cve}: the cumulative update of {build} gets no updates any more")
            }
            Self::Level { cve, build } => write!(
                formatter,
                "{cve}: the catalogue knows no cumulative update of {build}; it comes with a newer catalogue"
            ),
            Self::Number { cve, build } => {
                write!(
                    formatter,
                    "{cve}: {build} is no release and cannot be the next one of its cumulative update"
                )
            }
            Self::Unlisted { cve } => {
                write!(formatter, "{cve}: no longer on CISA's list; it stays marked as exploited")
            }
        }
    }
}
