//! # Purpose
//! Carries the outbox out: looks what is due, composes the mail, hands it to the server that takes mail for its
//! addressee, and notes that it is on its way; to webhooks it goes itself.
//!
//! # Trust
//! Addressees are the operator's own words in the configuration. Facts hold peer data, which `pc-notice` escapes.
//!
//! # Standards
//! RFC 5321 4.5.5 and RFC 3834 4: the envelope's sender is null, so nobody answers.
//!
//! # Invariants
//! A notice counts as told once its mail is in the spool or in a Maildir, or once a webhook's receiver answered. What fails stays in the outbox and is tried
//! again; nothing here holds up mail.
//!
//! # See also
//! `pc-notice`, which decides; `pc-store`, which keeps the outbox.

pub mod limits;
mod notifier;
mod survey;
mod webhooks;

pub use pc_notice::WEBHOOK_MARK;

pub use notifier::{ConnectorContacts, Contacts, Notifier, NotifyError, NotifySettings};
pub use webhooks::{ListedWebhook, WebhookSettings, WebhookTest, Webhooks, secrets};
