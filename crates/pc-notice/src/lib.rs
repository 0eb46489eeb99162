//! # Purpose
//! What is told to whom: the facts of a notice, when the notices that wait are due, and the mail that says them.
//!
//! # Trust
//! Facts hold peer data (addresses, replies of servers); it is escaped before it becomes text.
//!
//! # Standards
//! RFC 5322 (the message), RFC 2045 to 2047 (lettre encodes), RFC 3834 5 (Auto-Submitted: auto-generated).
//!
//! # Invariants
//! No I/O and no clock. A mail of ours is answered by nobody: it has a null sender in its envelope and says that a
//! machine wrote it. The same facts at the same time give the same octets.
//!
//! # See also
//! `pc-notify`, which carries this out; `pc-store`, which keeps the outbox.

mod digest;
pub mod limits;
mod mail;
mod notice;
mod outbox;

pub use digest::digest;
pub use mail::{Mail, MailError};
pub use notice::{Addressee, Notice};
pub use outbox::{Due, Waiting, due};

#[cfg(test)]
mod tests;
