//! # Purpose
//! The admin API, the pages over it, the report, and the client with which the command line asks the
//! same API.
//!
//! # Trust
//! On TCP anybody who reaches the loopback address, also a browser led astray: foreign Host names are refused (DNS
//! rebinding), and only who is signed in changes anything, by a form that carries the session's token. On the Unix
//! socket whoever the file system lets in: the owner of the data folder. Records hold peer data; maud escapes it.
//!
//! # Standards
//! OpenAPI 3.1 at `/api/openapi.json`, Prometheus text at `/metrics`, RFC 4180 for CSV.
//!
//! # Invariants
//! Every write takes a [`Permit`], which only a router for [`Access::Full`] and a session mint. Pages carry no script.

mod access;
mod api;
mod attestations;
mod audit_page;
pub mod client;
pub mod limits;
mod login;
mod notices;
mod openapi;
mod page;
mod pauses;
mod pauses_page;
mod raises;
pub mod report;
mod serve;
mod server_list;
mod server_page;
mod sign_in;
mod spool;
mod timeline;
mod tls_clients;
mod trace;
mod view;
mod web_tally;

use std::sync::Arc;

use arc_swap::ArcSwap;
use pc_enforce::Policies;
use pc_net::Clock;
use pc_notify::Webhooks;
use pc_smtpd::queue::Queue;
use pc_store::{PauseBook, ServerBook, Store, Writer};
use pc_telemetry::Metrics;
use pc_types::{Date, Domain};
use serde_json::Value;

pub use access::{Access, Permit};
pub use attestations::{AttestationView, Attestor, TakeError, Way, attestation_key, new_attestation_key};
pub use axum::Router;
pub use login::{Logins, PasswordError, User, hash_password, is_password_hash};
pub use openapi::openapi;
pub use raises::RaiseAhead;
pub use serve::{router, serve_tcp, serve_unix};

/// What a build lacks at a date, as the object that `portcullis judge --json` prints; `Null` for no
/// build.
pub type Judge = Arc<dyn Fn(&str, Date) -> Value + Send + Sync>;

/// Whether the node can do its work; the error says what is missing.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What an operator should look at although the node is ready, one sentence each.
pub type Remarks = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// The sites of the web edge with what is known of their servers, as a list.
pub type Sites = Arc<dyn Fn() -> Value + Send + Sync>;

/// What the node saw when it looked at its own listeners, as a list.
pub type Listeners = Arc<dyn Fn() -> Value + Send + Sync>;

/// Takes the catalogue anew; the error says why it could not be.
pub type ReloadCatalogue = Arc<dyn Fn() -> Result<Value, String> + Send + Sync>;

/// What API and pages show and change.
pub struct Admin {
    /// Its own name, also allowed as Host.
    pub node_name: Domain,
    /// Where `now` comes from.
    pub clock: Clock,
    /// The ladder's records.
    pub servers: Arc<ServerBook>,
    /// For the audit log.
    pub writer: Writer,
    /// History.
    pub store: Store,
    /// The ladder's settings, under each connector.
    pub policies: Arc<ArcSwap<Policies>>,
    /// Mail that waits.
    pub queue: Arc<Queue>,
    /// Machines that are told.
    pub webhooks: Arc<Webhooks>,
    /// Names of the tenants of the configuration.
    pub tenants: Vec<String>,
    /// Pauses of the ladder.
    pub pauses: Arc<PauseBook>,
    /// What owners attest.
    pub attestor: Arc<Attestor>,
    /// The catalogue's view of a build.
    pub judge: Judge,
    /// The raise of its floor that lies ahead of a server.
    pub raise_ahead: RaiseAhead,
    /// Date of its facts.
    pub catalogue_as_of: Arc<dyn Fn() -> Date + Send + Sync>,
    /// Takes the catalogue anew from disk and judges all servers by it; says what came of it.
    pub reload_catalogue: ReloadCatalogue,
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/readyz`.
    pub ready: Ready,
    /// For `/readyz`, the status and the page about TLS.
    pub remarks: Remarks,
    /// For the status and the page about TLS.
    pub listeners: Listeners,
    /// For `/api/v1/sites`.
    pub sites: Sites,
    /// Who may sign in on the pages.
    pub logins: Arc<Logins>,
}

#[cfg(test)]
mod tests;
