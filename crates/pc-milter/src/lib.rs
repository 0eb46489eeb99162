//! # Purpose
//! The milter protocol from the side of the mail server: offers a message to a content scanner such
//! as ClamAV's or Rspamd's and reads its verdict. [`Conversation`] is one message on one connection.
//!
//! # Trust
//! The scanner is the operator's, but it is a large program that reads hostile mail: its octets are
//! bounded and checked like those of any peer. It can refuse a message and add to its header; it
//! cannot write fields that only this product writes, nor lines into our replies.
//!
//! # Standards
//! Sendmail's milter protocol, versions 2 to 6, as libmilter 8.14 and later speak it; there is no RFC.
//! Not here: changing body, sender or recipients (`SMFIR_REPLBODY`, `_CHGFROM`, `_ADDRCPT`,
//! `_DELRCPT`), since the server behind has answered for them before the message came; lists of
//! macros (`SMFIF_SETSYMLIST`); packets over 64 KiB (`SMFIP_MDS_*`).
//!
//! # Invariants
//! No I/O and no clock. A conversation that did not come to a verdict is a [`Fault`], never a pass: a
//! verdict exists only where the scanner said one. What was not negotiated is a fault.
//!
//! # See also
//! `limits` for every number; `pc-smtpd`'s `milter` module for the loop that drives this.

mod conversation;
mod field;
pub mod invariants;
pub mod limits;
mod negotiation;
mod packet;
mod response;
mod transaction;
mod verdict;

pub use conversation::{BodyChunk, Conversation, Effect, Input};
pub use field::{FieldChange, FieldText};
pub use negotiation::{Actions, Negotiated, Steps};
pub use packet::PacketReader;
pub use response::Response;
pub use transaction::{Transaction, Unscannable};
pub use verdict::{Modifications, Verdict};

/// Why a conversation came to no verdict. The connection cannot be used further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The scanner said that it cannot go on (`SMFIR_CONN_FAIL`, `SMFIR_SHUTDOWN`).
    #[error("the milter gave up")]
    GaveUp,
    /// A header field that cannot stand in a message, or that only this product writes.
    #[error("the milter wants a header field that cannot be written")]
    Field,
    /// Octets that are no packet, or a packet whose content does not fit its kind.
    #[error("the milter sent something that is not the milter protocol")]
    Malformed,
    /// A version or steps that we cannot speak.
    #[error("the milter does not speak a version of the protocol that we speak")]
    Negotiation,
    /// A modification that was not negotiated, or that came before the end of the message.
    #[error("the milter wants a change that was not negotiated")]
    NotNegotiated,
    /// A reply code that cannot refuse a message, or text that is no reply.
    #[error("the milter sent a reply that cannot be passed on")]
    Reply,
    /// Over one of the `limits`.
    #[error("the milter sent more than fits")]
    TooLarge,
    /// A reply that nobody waits for; taken for the next one, it would be a verdict too early.
    #[error("the milter replied to what it was not asked")]
    Unasked,
}

impl Fault {
    /// Stable, for logs and metric labels.
    pub fn code(self) -> &'static str {
        match self {
            Self::GaveUp => "gave_up",
            Self::Field => "field",
            Self::Malformed => "malformed",
            Self::Negotiation => "negotiation",
            Self::NotNegotiated => "not_negotiated",
            Self::Reply => "reply",
            Self::TooLarge => "too_large",
            Self::Unasked => "unasked",
        }
    }
}

#[cfg(test)]
mod tests;
