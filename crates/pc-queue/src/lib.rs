//! # Purpose
//! Decisions about mail that the server behind could not take at once: what is kept beside a message
//! ([`Entry`], [`Progress`]), when it is tried again ([`after`]), when a server behind is asked again
//! ([`Gate`]), which of its hosts is asked first ([`Health`]), and what the sender is told ([`dsn`]).
//!
//! # Trust
//! Entries were written by ourselves, but to a disk that may have lost part of them: reading one is
//! parsing. Addresses and replies inside them are peer data.
//!
//! # Standards
//! RFC 5321 4.5.4.1 (retry strategy) and 6.1 (reliable delivery), RFC 3461 (what a sender asked for),
//! RFC 3464, 6522, 6533 and 3834 (delivery status notifications).
//!
//! # Invariants
//! A recipient that was answered for is never offered again. A message leaves the queue only when
//! each of its recipients has been taken, or has been told about, or the message is set aside. Nothing
//! is reported to a null reverse path.
//!
//! # See also
//! `pc_store::spool` for the files, `pc_smtpd::queue` for the loop.

pub mod dsn;
mod entry;
mod gate;
mod health;
pub mod limits;
mod progress;

pub use entry::{Entry, EntryError, Origin, Proof};
pub use gate::{Gate, GateState};
pub use health::{Health, HealthFault, HealthState, LastFault};
pub use progress::{
    Answer, Attempt, Next, Outcome, Policy, Progress, RecipientState, Report, ReportAction,
    ReportedRecipient, after, due_at_latest, relayed, released,
};

#[cfg(test)]
mod tests;
