//! # Purpose
//! The words every other crate speaks: moments and dates, Exchange build numbers, host names,
//! server ids, addresses of the web and of hosts, codes over shared secrets, questions to the DNS and their answers, reasons and text made safe for logs.
//!
//! # Trust
//! Constructors are fed with peer data. Each parses once and returns a value that cannot be malformed.
//!
//! # Standards
//! RFC 5890 (host names as A-labels), RFC 3339 (times). No public suffix is ever guessed: the
//! registrable domain comes from the Public Suffix List shipped with the `psl` crate.
//!
//! # Invariants
//! No I/O, no clock, no randomness: `jiff` is built without its `std` feature, so that the current
//! time cannot be asked for here or in any crate that takes time from here.
//!
//! # See also
//! `ARCHITECTURE.md`, glossary.

mod address;
mod base64;
mod build;
mod digest;
pub mod dns;
mod domain;
mod escaped;
mod https_url;
mod mac;
mod reason;
mod responder_url;
mod server_id;
pub mod time;

pub use address::{Inside, Reach, check_address};
pub use base64::{base64, from_base64};
pub use build::{Build, BuildError};
pub use digest::{hex, sha256, sha512};
pub use domain::{Domain, DomainError};
pub use escaped::Escaped;
pub use https_url::{HttpsUrl, UrlError, UrlHost};
pub use mac::{hmac_sha256, is_same_code};
pub use reason::Reason;
pub use responder_url::{ResponderScheme, ResponderUrl};
pub use server_id::{ServerId, ServerIdError};
pub use time::{Date, SignedDuration, Timestamp};
