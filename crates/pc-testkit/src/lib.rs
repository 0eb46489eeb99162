//! # Purpose
//! Peers for tests and benchmarks: an SMTP client that says what it is told, a receiving server,
//! a milter, a DNS server, and an Exchange front end and a client for the web that behave as they are told and keep what they got.
//!
//! # Invariants
//! Nothing of the product depends on this crate. Peers listen on ports the system chose and end when
//! they are dropped.

mod client;
mod dns;
mod dovecot;
mod exchange;
mod exchange_pages;
mod feeds;
mod milter;
mod ntlm;
mod ocsp;
mod owa;
mod pebble;
mod postfix;
mod receiver;
mod scripted;
mod unpacked;
mod web_client;
mod webhook;

pub use client::Client;
pub use dns::{DnsBehaviour, DnsServer, NEGATIVE_TTL};
pub use dovecot::{Dovecot, DovecotPorts};
pub use exchange::{Exchange, WebRequest};
pub use feeds::{Feed, FeedServer};
pub use milter::{Milter, MilterAnswer, MilterCommand, MilterScript, milter_packet};
pub use ntlm::Ntlm;
pub use ocsp::{OcspAuthority, OcspResponder, OcspSigner};
pub use pebble::{Pebble, PebblePlaces, PebbleSettings};
pub use postfix::{Postfix, Smtpd};
pub use receiver::{Behaviour, Delivery, Receiver};
pub use scripted::{Scripted, Step, Trouble};
pub use unpacked::{Exim, OpenSmtpd, private_command, unpacked};
pub use web_client::{WebClient, WebResponse};
pub use webhook::{WebhookAnswer, WebhookReceiver, WebhookRequest};
