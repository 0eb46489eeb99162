//! # Purpose
//! One TOML text becomes one [`Config`], or the list of everything that is wrong with it.
//!
//! # Trust
//! The operator writes it; it is still read without panicking on anything.
//!
//! # Standards
//! TOML 1.1.
//!
//! # Invariants
//! A `Config` is complete and in range: nothing is checked again behind it. Unknown keys are errors.
//! No setting touches the TLS standard. The ladder's rules and defaults are `pc-enforce`'s own.
//!
//! # See also
//! `default.toml`, the reference of all settings; `pc-enforce`, which says what makes a schedule.

mod acme;
mod catalog;
mod connector;
mod dns;
mod document;
mod floors;
mod https;
pub mod limits;
mod network;
mod notify;
mod parse;
mod rates;
mod render;
mod stream;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use pc_auth::dns_list::List;
pub use pc_enforce::{ConnectorKind, RolloutStep};
use pc_enforce::{Schedule, Stage};
use pc_types::Domain;

pub use acme::{Acme, ExternalAccount};
pub use catalog::{Catalog, PrivateSources};
pub use connector::Connector;
pub use dns::{Dns, PrivateAddresses, SpfChecks};
pub use floors::{FloorAsks, FloorEntry};
pub use https::{
    DEFAULT_OPEN, DIRECTORIES, Directory, DirectoryException, Https, MtaSts, MtaStsMode, PatchMode, Site,
    WebListener,
};
pub use network::{Network, most_specific};
pub use notify::{Notify, SendingSide, Webhook};
pub use pc_notice::Language;
pub use pc_renewal::Challenge;
pub use rates::{ClientRates, ConnectorLimits, SharedRates, SmtpLimits};
pub use stream::{Stream, StreamProtocol, StreamUpstream};

/// A commented sample with every setting; it parses to [`Config::quick_start`].
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// One mistake, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

/// All settings.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the settings are documented in default.toml, which users read")]
pub struct Config {
    pub node: Node,
    pub tls: Tls,
    pub smtp: Smtp,
    pub upstreams: Vec<Upstream>,
    pub tenants: Vec<Tenant>,
    pub streams: Vec<Stream>,
    pub connectors: Vec<Connector>,
    pub spool: Spool,
    pub milters: Vec<Milter>,
    pub dns: Dns,
    pub dns_lists: Vec<List>,
    pub enforcement: Enforcement,
    pub floors: Vec<FloorEntry>,
    pub https: Https,
    pub sites: Vec<Site>,
    pub catalog: Catalog,
    pub notify: Notify,
    pub admin: Admin,
    pub store: Store,
    pub telemetry: Telemetry,
}

/// `[node]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Node {
    pub name: Domain,
    pub data: String,
}

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Tls {
    /// The operator's own, which come first.
    pub certificates: Vec<CertificatePair>,
    pub ocsp_stapling: OcspStapling,
    pub ocsp_allow_networks: Vec<Network>,
    pub acme: Option<Acme>,
}

/// Whether responders of certificates are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum OcspStapling {
    Off,
    #[default]
    On,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct CertificatePair {
    pub chain: String,
    pub key: String,
}

/// `[smtp]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Smtp {
    pub message_size_max_bytes: u64,
    pub recipients_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub drain_seconds: u64,
    pub greeting_delay_seconds: u64,
    pub message_memory_max_megabytes: u64,
    pub client_ca_file: Option<String>,
    pub limits: SmtpLimits,
    pub listeners: Vec<Listener>,
}

/// `[[smtp.listener]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: ListenerTls,
    pub proxy_protocol_from: Vec<Network>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum ListenerTls {
    Implicit,
    StartTls,
}

/// `[[upstream]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Upstream {
    pub name: String,
    pub domains: Domains,
    pub target: UpstreamTarget,
    pub recipients: Recipients,
}

/// Which recipients an upstream has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Recipients {
    pub file: Option<String>,
    pub subaddress: Option<char>,
    pub cache_positive_minutes: u32,
    pub cache_negative_minutes: u32,
}

impl Default for Recipients {
    fn default() -> Self {
        Self { file: None, subaddress: None, cache_positive_minutes: 0, cache_negative_minutes: 5 }
    }
}

/// Whose mail it takes.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum Domains {
    All,
    Listed(Vec<Domain>),
}

/// Where the mail goes.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum UpstreamTarget {
    Maildir { path: String },
    Smtp(SmtpTarget),
}

/// Servers that take mail by SMTP.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct SmtpTarget {
    pub hosts: Vec<UpstreamHost>,
    pub tls: UpstreamTls,
    pub ca_file: Option<String>,
    /// To each host.
    pub connections_max: usize,
    pub connect_timeout_seconds: u64,
    pub command_timeout_seconds: u64,
    /// 0 for never.
    pub health_check_seconds: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct UpstreamHost {
    pub host: String,
    pub port: u16,
    pub priority: u16,
    pub tls_name: String,
    pub certificate_sha256: Option<[u8; 32]>,
}

/// How the connection to the server behind is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum UpstreamTls {
    Implicit,
    None,
    StartTls,
}

/// `[[tenant]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Tenant {
    pub name: String,
    pub esu: bool,
    pub contacts: Vec<String>,
    pub language: Language,
    pub attestation_key_file: Option<String>,
}

/// `[spool]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Spool {
    pub mode: SpoolMode,
    pub expire_hours: u32,
    pub delay_report_hours: u32,
    pub parallel_max: usize,
    pub size_max_megabytes: u64,
    pub reports_via: Option<String>,
}

/// When mail goes through the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum SpoolMode {
    Always,
    Off,
    WhenDown,
}

/// `[[milter]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Milter {
    pub name: String,
    pub address: MilterAddress,
    pub timeout_seconds: u64,
    pub on_failure: MilterFailure,
}

/// Where a milter listens.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum MilterAddress {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

/// What becomes of mail that a milter gives no verdict on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum MilterFailure {
    Accept,
    Defer,
}

/// `[enforcement]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Enforcement {
    pub mode: EnforcementMode,
    pub rollout: Vec<RolloutStep>,
    pub schedule_days: Vec<u32>,
    pub throttle_minutes: Vec<u8>,
    pub block_minutes: Vec<u8>,
    pub block_reply: BlockReply,
    pub floor: String,
    pub grace_days: u32,
    pub open_sightings: u32,
    pub open_hours: u32,
    pub decay_days: u32,
    pub probe_interval_minutes: u32,
    pub self_test: Option<String>,
    pub link: Option<String>,
}

/// Whether the ladder acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum EnforcementMode {
    Enforce,
    Off,
    Report,
}

/// What a blocked sender hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum BlockReply {
    Permanent,
    Temporary,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Admin {
    pub address: SocketAddr,
    pub users: Vec<AdminUser>,
}

/// `[[admin.user]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct AdminUser {
    pub name: String,
    pub password_hash: String,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Store {
    pub path: Option<String>,
    pub trace_days: u32,
    pub trace_max_megabytes: u64,
    pub free_space_min_megabytes: u64,
}

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Telemetry {
    pub log: LogFormat,
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum LogFormat {
    Json,
    Text,
}

impl Config {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the lines.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        parse::config(text)
    }

    /// What runs without a file: loopback, a self-made certificate, a Maildir in the data folder.
    pub fn quick_start() -> Self {
        let mut config = Self::bare();
        config.smtp.listeners.push(Listener {
            address: loopback(2525),
            tls: ListenerTls::StartTls,
            proxy_protocol_from: Vec::new(),
        });
        config.upstreams.push(Upstream {
            name: "maildir".to_owned(),
            domains: Domains::All,
            target: UpstreamTarget::Maildir { path: "./portcullis-data/maildir".to_owned() },
            recipients: Recipients::default(),
        });
        config
    }

    /// The effective settings as TOML that parses to the same value.
    pub fn to_toml(&self) -> String {
        render::config(self)
    }

    /// The defaults, without listener and upstream.
    fn bare() -> Self {
        let localhost = "localhost".parse().expect("a constant that the tests parse");
        let schedule = Schedule::default();
        let minutes = |part: fn(&Stage) -> u8| schedule.stages().iter().map(part).collect();
        Self {
            node: Node { name: localhost, data: "./portcullis-data".to_owned() },
            tls: Tls::default(),
            smtp: Smtp {
                message_size_max_bytes: 52_428_800,
                recipients_max: 100,
                connections_max: 1_000,
                connections_per_address_max: 50,
                drain_seconds: 30,
                greeting_delay_seconds: 0,
                message_memory_max_megabytes: 512,
                client_ca_file: None,
                limits: SmtpLimits::default(),
                listeners: Vec::new(),
            },
            upstreams: Vec::new(),
            tenants: Vec::new(),
            streams: Vec::new(),
            connectors: Vec::new(),
            spool: Spool {
                mode: SpoolMode::WhenDown,
                expire_hours: 120,
                delay_report_hours: 4,
                parallel_max: 5,
                size_max_megabytes: 10_240,
                reports_via: None,
            },
            milters: Vec::new(),
            dns: Dns::default(),
            dns_lists: Vec::new(),
            enforcement: Enforcement {
                mode: EnforcementMode::Report,
                rollout: Vec::new(),
                schedule_days: schedule.stages().iter().map(|stage| stage.day_from).collect(),
                throttle_minutes: minutes(|stage| stage.throttle_minutes),
                block_minutes: minutes(|stage| stage.block_minutes),
                block_reply: BlockReply::Permanent,
                floor: "current".to_owned(),
                grace_days: pc_enforce::limits::GRACE_DAYS,
                open_sightings: pc_enforce::limits::OPEN_SIGHTINGS,
                open_hours: pc_enforce::limits::OPEN_HOURS,
                decay_days: pc_enforce::limits::DECAY_DAYS,
                probe_interval_minutes: pc_enforce::limits::PROBE_INTERVAL_MINUTES,
                self_test: None,
                link: None,
            },
            floors: Vec::new(),
            https: Https::default(),
            sites: Vec::new(),
            catalog: Catalog::default(),
            notify: Notify::default(),
            admin: Admin { address: loopback(8080), users: Vec::new() },
            store: Store {
                path: None,
                trace_days: 30,
                trace_max_megabytes: 1024,
                free_space_min_megabytes: 512,
            },
            telemetry: Telemetry { log: LogFormat::Text, level: "info".to_owned() },
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests;
