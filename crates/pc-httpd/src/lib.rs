//! # Purpose
//! The HTTPS edge as a running thing: takes clients by TLS, asks `pc_http` about each request, and passes what is let
//! through to Exchange, octets in both directions as they come.
//!
//! # Trust
//! Clients are hostile. Servers behind have proven themselves by their certificates, and tell too much about themselves.
//!
//! # Standards
//! RFC 9110, 9112 and, for clients of sites that want it, 9113 as a gateway. Servers behind are always asked in HTTP/1.1. Not
//! here: WebSocket and every other upgrade, server push, priorities, caches, compression.
//!
//! # Invariants
//! NTLM and Negotiate log a connection in, not a request (MS-NTHT): one client connection has one connection behind, which
//! nobody else ever gets, and both end together. In HTTP/2 one client connection has several, none of them ever another
//! client's, and such logins do not go over them: clients are sent back to HTTP/1.1. No request is sent twice. No octet reaches the parser that `guard` has not
//! accepted, and nothing is buffered but what fits in the sockets and one buffer each way.
//!
//! # See also
//! `exchange` for one request, `connection` and `stream` for one client, `behind` and `links` for the servers.

mod access;
mod answer;
mod attestation;
mod behind;
mod body;
mod client_page;
mod client_test;
mod connection;
mod edge;
mod exchange;
mod guard;
pub mod limits;
mod links;
mod listener;
mod plain;
mod response;
mod screen;
mod stream;
mod tally;
mod watch;

pub use attestation::{Attested, TakeAttestation};
pub use behind::{HostSettings, ListedHost, ListedSite};
pub use client_page::{Asking, SeenClients};
pub use client_test::{ClientTestListener, serve_client_test};
pub use edge::{Edge, PatchPolicy, Rules, RulesError, SiteRules, SiteSettings};
pub use listener::{PROTOCOLS, WebListener, serve};
pub use plain::{FindProof, PlainListener, serve_plain};
pub use response::Hsts;
pub use tally::{Tallied, TallyKind};
