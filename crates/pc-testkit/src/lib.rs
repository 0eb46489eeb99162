//! # Purpose
//! Peers for tests and benchmarks: an SMTP client that says what it is told, and a receiving server
//! that behaves as it is told and keeps what it got.
//!
//! # Invariants
//! Nothing of the product depends on this crate. Peers listen on ports the system chose and end when
//! they are dropped.

mod client;
mod postfix;
mod receiver;
mod unpacked;

pub use client::Client;
pub use postfix::{Postfix, Smtpd};
pub use receiver::{Behaviour, Delivery, Receiver};
pub use unpacked::{Exim, OpenSmtpd, private_command, unpacked};
