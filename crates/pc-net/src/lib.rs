//! # Purpose
//! Accepts connections within limits, fences each one off from the others, tells everybody when to
//! stop, and is the only place that asks the system for the time.
//!
//! # Trust
//! Anybody may connect, as often as they like.
//!
//! # Standards
//! None beyond TCP.
//!
//! # Invariants
//! A panic in a connection ends that connection only. A failing accept (EMFILE) is tried again
//! after a pause instead of spinning.

mod clock;
mod fence;
pub mod limits;
mod listener;
mod stop;

pub use clock::{Clock, ManualClock};
pub use fence::{Fenced, Panicked};
pub use listener::{AcceptLimits, Acceptor, network_of};
pub use stop::{Stop, Stopper};
