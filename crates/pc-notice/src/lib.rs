//! # Purpose
//! What is told to whom: the facts of a notice, when the notices that wait are due, and the mail or webhook that says
//! them.
//!
//! # Trust
//! Facts hold peer data (addresses, replies of servers); it is escaped before it becomes text.
//!
//! # Standards
//! RFC 5322 (the message), RFC 2045 to 2047 (lettre encodes), RFC 3834 5 (Auto-Submitted: auto-generated). No delivery
//! reports are asked for and none is answered.
//!
//! # Invariants
//! No I/O and no clock. A mail of ours is answered by nobody: it has a null sender in its envelope and says that a
//! machine wrote it. The same facts at the same time give the same octets. What is told of a server is a function of
//! its record, never of a mail that came: a bounce of a notice of ours makes no other one.
//!
//! # See also
//! `pc-notify`, which carries this out; `pc-store`, which keeps the outbox.

mod catalogue;
mod digest;
mod ladder;
mod language;
mod letter;
pub mod limits;
mod mail;
mod node;
mod notice;
mod outbox;
mod webhook;
mod webhook_try;

pub use catalogue::catalogue_digest;
pub use digest::digest;
pub use ladder::{Keyed, floor_notice, ladder_notices, may_have_ladder_notices};
pub use language::{Language, LanguageError};
pub use letter::{Letter, Sender, server_letter, servers_letter};
pub use mail::{Mail, MailError};
pub use node::{
    CertificateFacts, SiteWeek, WebWeek, certificate_notice, node_digest, revoked_notice, standard_notice,
    web_week_notice,
};
pub use notice::{Acts, Addressee, Lack, NodeTopic, Notice, ServerFacts, StageFacts, WEBHOOK_MARK};
pub use outbox::{Due, Parcel, Waiting, due, parcels};
pub use webhook::{
    TEST_EVENT, WEBHOOK_EVENTS, WebhookSecretError, WebhookSecrets, test_body, webhook_body, webhook_event,
    webhook_id,
};
pub use webhook_try::{Tried, TryEnd, WebhookState, after_try};

#[cfg(test)]
mod tests;
