//! # Purpose
//! Who a sender proves to be: SPF evaluation, and what DNS lists say about an address.
//!
//! # Trust
//! Senders choose the domains that are asked about and publish the records that are read here.
//!
//! # Standards
//! RFC 7208 (SPF) without `exp`, whose text would be a stranger's words in our replies; RFC 5782 (DNS
//! lists); RFC 8601 (the words for results). DKIM and DMARC are not here.
//!
//! # Invariants
//! No I/O: answers of the DNS come in, questions go out. What could not be found out is neither good
//! nor bad, and is told apart from both.
//!
//! # See also
//! `pc-dns`, which asks; `pc-smtpd`, which acts.

mod client;
pub mod dns_list;
pub mod invariants;
pub mod limits;
pub mod spf;

pub use client::is_private;
