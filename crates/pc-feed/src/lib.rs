//! # Purpose
//! Feeds about Exchange vulnerabilities become facts, and facts become a new state of the catalogue, with a
//! list of what was left out; or a reason why nothing was taken.
//!
//! # Trust
//! Feeds come from the network or from files: hostile until read. A document can at most say that builds near
//! the known ones fix vulnerabilities; it cannot remove anything, take a fix back without a newer revision,
//! name a cumulative update that does not exist, or make up a build that nobody has. Bundles, which can do
//! more, are signed.
//!
//! # Standards
//! CVRF 1.1 as MSRC writes it in XML and JSON, CISA's KEV list, CVE records of format 5, minisign.
//!
//! # Invariants
//! No I/O and no clock. Reading is total and bounded. What cannot be read as a build is unknown and never
//! taken for fixed. Builds of a document find their cumulative update by their numbers, not by the product
//! name beside them.
//!
//! # See also
//! `pc-exchange`, which judges by the catalogue; `fixtures/README.md`.

mod bundle;
mod cvrf;
mod facts;
pub mod invariants;
mod kev;
pub mod limits;
mod merge;
mod read;
mod record;
mod refusal;
mod set;
mod text;
mod vulnerability;
mod xml;

pub use bundle::{BUNDLE_FORMAT, Bundle, check_bundle, check_signature, open_bundle, write_bundle};
pub use facts::{Advisory, Exploited, ExploitedEntry, Feed, FeedError, FixFact, Vulnerability};
pub use merge::{Merged, merge};
pub use read::{is_bundle, read};
pub use refusal::{LeftOut, Refusal};
pub use set::{FileSet, SUMS};

#[cfg(test)]
mod tests;
