//! # Purpose
//! Certificates by ACME, the decisions: when a certificate is asked for, how long to wait after a failure, and what
//! the operator is told of one.
//!
//! # Trust
//! The words of a certificate authority are hostile: they are cut and escaped, its Retry-After is bounded, and nothing
//! it says makes us ask more often than [`limits`] allows or stop asking for good.
//!
//! # Standards
//! RFC 8555 (ACME) 6.6 (rate limits) and 6.7 (errors), RFC 8737 (TLS-ALPN-01). Renewal information (RFC 9773) is not read.
//!
//! # Invariants
//! - No I/O and no clock: `now` is passed in.
//! - After a failure nothing is asked before its delay has passed, across restarts too.
//! - A delay grows with each failure in a row, up to a cap.
//!
//! # See also
//! `pc-acme`, which asks.

mod attempts;
mod failure;
pub mod limits;
mod plan;
#[cfg(test)]
mod tests;

pub use attempts::{Attempts, FailedAttempt};
pub use failure::{Challenge, Failure, FailureKind, retry_after};
pub use plan::{Asked, Held, Service, Step, Why, is_overdue, judge_issued, next, renews_at};
