//! `[https]` and `[[site]]`: the web edge in front of Exchange.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pc_types::Domain;

use crate::{Network, UpstreamHost, limits};

/// `[https]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Https {
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// From one address; 0 for no limit.
    pub connections_per_minute: u32,
    pub drain_seconds: u64,
    pub hsts_max_age_seconds: u64,
    pub hsts_include_subdomains: bool,
    pub hsts_preload: bool,
    pub patches: PatchMode,
    /// Ids of rules that only report.
    pub patches_report_only: Vec<String>,
    pub rule_pack: Option<String>,
    pub rule_pack_public_key: Option<String>,
    /// In lower case.
    pub response_fields_kept: Vec<String>,
    pub forwarded_for_from: Vec<Network>,
    pub listeners: Vec<WebListener>,
    /// In plain HTTP.
    pub redirects: Vec<WebListener>,
    /// Ports that take any TLS hello, write it down and close.
    pub client_tests: Vec<WebListener>,
    pub mta_sts: Vec<MtaSts>,
}

/// `[[https.mta_sts]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct MtaSts {
    pub domain: Domain,
    pub mode: MtaStsMode,
    /// Host names in lower case, or `*.` and a domain.
    pub mx: Vec<String>,
    pub max_age_seconds: u64,
}

impl MtaSts {
    /// The host that the policy is fetched from (RFC 8461 3.3).
    pub fn host(&self) -> String {
        format!("mta-sts.{}", self.domain)
    }
}

/// RFC 8461 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of RFC 8461")]
pub enum MtaStsMode {
    Enforce,
    None,
    Testing,
}

impl MtaStsMode {
    /// As it stands in the policy and in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::None => "none",
            Self::Testing => "testing",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Enforce, Self::None, Self::Testing].into_iter().find(|mode| mode.as_str() == text)
    }
}

impl Default for Https {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 500,
            connections_per_minute: limits::NEW_CONNECTIONS_PER_MINUTE,
            drain_seconds: 60,
            hsts_max_age_seconds: 31_536_000,
            hsts_include_subdomains: false,
            hsts_preload: false,
            patches: PatchMode::Block,
            patches_report_only: Vec::new(),
            rule_pack: None,
            rule_pack_public_key: None,
            response_fields_kept: Vec::new(),
            forwarded_for_from: Vec::new(),
            listeners: Vec::new(),
            redirects: Vec::new(),
            client_tests: Vec::new(),
            mta_sts: Vec::new(),
        }
    }
}

/// `[[https.listener]]`, `[[https.redirect]]`, `[[https.client_test]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct WebListener {
    pub address: SocketAddr,
    pub proxy_protocol_from: Vec<Network>,
}

/// What virtual patches do with a request that they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum PatchMode {
    Block,
    Off,
    Report,
}

impl PatchMode {
    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Off => "off",
            Self::Report => "report",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Block, Self::Off, Self::Report].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// `[[site]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Site {
    pub name: String,
    /// Host names that clients ask for.
    pub names: Vec<Domain>,
    pub hosts: Vec<UpstreamHost>,
    pub ca_file: Option<String>,
    pub connect_timeout_seconds: u64,
    pub health_check_seconds: u64,
    pub open: Vec<Directory>,
    pub exceptions: Vec<DirectoryException>,
    pub internal: Vec<Network>,
    /// In place of `[https] patches`.
    pub patches: Option<PatchMode>,
    /// By the id of a rule.
    pub rules: BTreeMap<String, PatchMode>,
    pub http2: bool,
    /// Offers of NTLM and Negotiate reach clients of ActiveSync.
    pub activesync_windows_logins: bool,
}

/// Directories that are open to some networks only.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct DirectoryException {
    pub directories: Vec<Directory>,
    pub networks: Vec<Network>,
}

/// A virtual directory of Exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of Exchange")]
pub enum Directory {
    ActiveSync,
    Autodiscover,
    Ecp,
    Ews,
    Mapi,
    Oab,
    Owa,
    PowerShell,
    Rest,
    Rpc,
}

/// All that Exchange has, with the first segment of their paths.
pub const DIRECTORIES: [(Directory, &str); 10] = [
    (Directory::ActiveSync, "microsoft-server-activesync"),
    (Directory::Autodiscover, "autodiscover"),
    (Directory::Ecp, "ecp"),
    (Directory::Ews, "ews"),
    (Directory::Mapi, "mapi"),
    (Directory::Oab, "oab"),
    (Directory::Owa, "owa"),
    (Directory::PowerShell, "powershell"),
    (Directory::Rest, "api"),
    (Directory::Rpc, "rpc"),
];

/// Open to everybody when a site names none.
pub const DEFAULT_OPEN: [Directory; 7] = [
    Directory::ActiveSync,
    Directory::Autodiscover,
    Directory::Ews,
    Directory::Mapi,
    Directory::Oab,
    Directory::Owa,
    Directory::Rpc,
];

impl Directory {
    /// By the first segment of a path in normal form.
    pub fn parse(segment: &str) -> Option<Self> {
        DIRECTORIES.iter().find(|(_, name)| *name == segment).map(|(directory, _)| *directory)
    }

    /// The first segment of its paths, in lower case.
    pub fn as_str(self) -> &'static str {
        DIRECTORIES.iter().find(|(directory, _)| *directory == self).map_or("", |(_, name)| name)
    }
}
