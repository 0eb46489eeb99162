//! # Purpose
//! The edge for mail programs as a running thing: takes their connections, brings them under TLS, opens
//! one connection to the server behind for each, joins the two, and counts failed logins.
//!
//! # Trust
//! Clients are hostile. The server behind is proven by its certificate before anything of a client
//! reaches it.
//!
//! # Standards
//! See `pc-stream`. RFC 8314 3.3 for TLS from the first octet; the PROXY protocol version 2 to the server.
//!
//! # Invariants
//! One client has one server connection of its own, which ends with it. No octet goes to a server before
//! both sides are in TLS, but the header that names the client and our own STARTTLS. What one side does
//! not read is not taken from the other.
//!
//! # See also
//! `connection` for the way of a client, `server` for hosts behind, `pipe` for what passes after a login.

mod connection;
pub mod limits;
mod pipe;
mod server;

pub use connection::{Listener, ListenerTls, Shared, serve};
pub use server::{HostSettings, Server, ServerSettings, begin_tls};
