//! # Purpose
//! Says which Exchange build handed a message over, and what that build owes: support, missing
//! updates, open vulnerabilities, what to install.
//!
//! # Trust
//! Received lines are peer data: whoever hands a message over can write any of them. Only the
//! topmost line, tied to the connection by its name, is ever judged. The catalogue is trusted once
//! its checksums match; a damaged file is refused by name.
//!
//! # Standards
//! RFC 5321 4.4 and RFC 5322 3.2.2 for the line; its Exchange wording is that of the lines in
//! `fixtures/`. Facts about builds come from `catalog/`, whose README names the sources.
//!
//! # Invariants
//! No I/O and no clock: dates are arguments. An id is a lower bound inside its branch. Doubt is
//! counted in the server's favour, and a build the catalogue does not know is never guessed.
//!
//! # See also
//! `pc-enforce` (what follows from a debt), `catalog/README.md`, `fixtures/README.md`.

mod assess;
mod assessment;
mod catalogue;
mod compare;
mod demand;
mod evidence;
mod exposure;
pub mod invariants;
mod judgement;
pub mod limits;
mod load;
mod received;
mod remedy;
mod support;

pub use assess::{Assessment, Owed};
pub use assessment::{Form, HiddenUpdate, MissingUpdate, NotSettled, OpenCve, Verdict};
pub use catalogue::{Catalogue, Identified, Level, Period, Product, Relation, Release};
pub use compare::{CatalogueChange, Revision};
pub use demand::{Demand, Entitlement, EsuOnly, Wanted};
pub use evidence::{Connection, Evidence, Ignored, Judged, Standing, evidence, evidence_of_message};
pub use judgement::{Judgement, JudgementEvidence};
pub use load::{CATALOGUE_FILES, CatalogueError, CatalogueFault, CatalogueFile, embedded_files};
pub use received::{LineKind, ReceivedLine, Via};
pub use support::SupportPhase;

#[cfg(test)]
mod tests;
