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
//! A panic in a connection ends that connection only. With no file handle left (EMFILE) a spare one is
//! given up to say so; any other failing accept is tried again after a pause instead of spinning.

mod arrivals;
mod clock;
mod fence;
mod keep_alive;
pub mod limits;
mod listener;
mod own;
mod proxy;
mod resources;
mod stop;
mod terminal;

pub use clock::{Clock, ManualClock};
pub use fence::{Fenced, Panicked};
pub use keep_alive::KeepAlive;
pub use listener::{AcceptLimits, Acceptor, Refusals, network_of};
pub use own::{OwnConnections, OwnPeers};
pub use proxy::{
    ProxyFault, ProxyHeader, ProxySource, ProxyTls, proxy_header, proxy_invariants, read_proxy_header,
};
pub use resources::{free_octets, has_run_out, raise_file_handles};
pub use stop::{Stop, Stopper};
pub use terminal::without_echo;
