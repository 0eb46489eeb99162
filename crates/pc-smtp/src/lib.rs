//! # Purpose
//! SMTP as values: what a client may say ([`Command`]), what we answer ([`Reply`]), how a message is
//! received ([`data`], [`chunk`]), the session as a chain of states ([`Session`]), the client side
//! towards the server behind ([`client`]) and the header block of a message ([`header`]).
//!
//! # Trust
//! Every octet comes from a hostile peer, on both sides: from senders, and in replies of the server
//! behind.
//!
//! # Standards
//! RFC 5321 (SMTP), 2920 (PIPELINING), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 2034 and 3463
//! (enhanced status codes), 3030 (CHUNKING, without BINARYMIME), 3207 (STARTTLS), 3461 (DSN).
//! Not here: AUTH, ETRN, BINARYMIME, REQUIRETLS, VRFY and EXPN beyond a refusal.
//!
//! # Invariants
//! No I/O and no clock. Only CRLF ends a line and only CRLF.CRLF ends DATA. A transaction is moved
//! from state to state and never reset: leaving it drops it. A `250` to a message can only be built
//! from a [`custody::Custody`], which exists only after somebody else holds the message.
//!
//! # See also
//! `limits` for every number; `pc-smtpd` for the loop that drives this.

pub mod chunk;
pub mod client;
mod command;
pub mod custody;
pub mod data;
mod envelope;
pub mod header;
pub mod invariants;
pub mod limits;
mod octets;
mod path;
mod received;
mod reply;
mod session;

pub use command::{Command, SyntaxError};
pub use envelope::{BodyType, Envelope, MailParameters, Notify, Recipient, Ret};
pub use path::{ForwardPath, Mailbox, PathDomain, PathError, ReversePath};
pub use received::{Protocol, Received};
pub use reply::{EnhancedCode, Reply};
pub use session::{Effect, EndAnswer, Greeting, Input, Offer, Rejection, Session, TlsPolicy};
