//! # Purpose
//! Asks the DNS: with a time for each question, a budget for each message or connection, a bounded
//! cache, and answers that tell absence from failure. Runs SPF evaluations over it.
//!
//! # Trust
//! The servers that are asked are the operator's; what they pass on is anybody's. Names come from
//! peers: how much one peer makes us ask is bounded by its [`Budget`].
//!
//! # Standards
//! RFC 1035, 2308 (what may be kept), 6891. No DNSSEC: nothing here may rest on an answer alone where
//! a forged one would let mail through that else would not be.
//!
//! # Invariants
//! [`Answer::NotFound`] is said only where a server said so. A time that ran out, a budget used up, and
//! every code but NOERROR and NXDOMAIN are [`Answer::Temporary`], which is never remembered. The same
//! question is under way once; who asks meanwhile waits for the same answer.
//!
//! # See also
//! `pc_auth`, which knows what to ask; `hickory-resolver`, which only this crate names.

mod budget;
mod cache;
pub mod limits;
mod resolver;
mod spf;

pub use budget::Budget;
pub use pc_types::dns::{Answer, Kind, Query, Records};
pub use resolver::{Resolver, ResolverSettings};
pub use spf::evaluate_spf;

#[cfg(test)]
mod tests;
