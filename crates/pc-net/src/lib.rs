//! # Purpose
//! Accepts connections within limits, fences each one off from the others, tells everybody when to
//! stop, and is the only place that asks the system for the time.
//!
//! # Trust
//! Anybody may connect, as often as they like. Load balancers that the operator named say whom they
//! connect for.
//!
//! # Standards
//! TCP, and the PROXY protocol version 2 (see `proxy`).
//!
//! # Invariants
//! A panic in a connection ends that connection only. A failing accept (EMFILE) is tried again
//! after a pause instead of spinning.

mod clock;
mod fence;
pub mod limits;
mod listener;
mod proxy;
mod stop;

pub use clock::{Clock, ManualClock};
pub use fence::{Fenced, Panicked};
pub use listener::{AcceptLimits, Acceptor, network_of};
pub use proxy::{ProxyFault, ProxyHeader, ProxySource, proxy_invariants, read_proxy_header};
pub use stop::{Stop, Stopper};
