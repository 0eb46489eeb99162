//! `[dns]` and `[[dns_list]]`: their values, and how they are written.

use std::net::SocketAddr;

use pc_auth::dns_list::{List, ListKind, ListMode};

/// `[dns]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Dns {
    /// None: the system's.
    pub servers: Vec<SocketAddr>,
    pub timeout_seconds: u64,
    pub private_addresses: PrivateAddresses,
    pub spf: SpfChecks,
}

/// Whether lists and SPF are asked about clients with addresses that the internet does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum PrivateAddresses {
    Ask,
    Skip,
}

/// Whether SPF is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum SpfChecks {
    Off,
    On,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout_seconds: 5,
            private_addresses: PrivateAddresses::Skip,
            spf: SpfChecks::On,
        }
    }
}

/// Both as TOML.
pub(crate) fn to_toml(dns: &Dns, lists: &[List]) -> String {
    let servers: Vec<String> = dns.servers.iter().map(|server| format!("\"{server}\"")).collect();
    let private = match dns.private_addresses {
        PrivateAddresses::Ask => "ask",
        PrivateAddresses::Skip => "skip",
    };
    let spf = match dns.spf {
        SpfChecks::Off => "off",
        SpfChecks::On => "on",
    };
    let mut out = format!(
        "\n[dns]\nservers = [{}]\ntimeout_seconds = {}\nprivate_addresses = \"{private}\"\nspf = \"{spf}\"",
        servers.join(", "),
        dns.timeout_seconds
    );
    for list in lists {
        let kind = match (list.kind, list.mode) {
            (ListKind::Allow, _) => "kind = \"allow\"",
            (ListKind::Block, ListMode::Defer) => "kind = \"block\"\nmode = \"defer\"",
            (ListKind::Block, ListMode::Reject) => "kind = \"block\"\nmode = \"reject\"",
            (ListKind::Block, ListMode::Report) => "kind = \"block\"\nmode = \"report\"",
        };
        let answers: Vec<String> =
            list.answers.iter().map(|range| format!("\"{}-{}\"", range.start(), range.end())).collect();
        out.push_str(&format!(
            "\n\n[[dns_list]]\nzone = \"{}\"\n{kind}\nanswers = [{}]",
            list.zone,
            answers.join(", ")
        ));
    }
    out
}
