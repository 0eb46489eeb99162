//! `[[connector]]`: whom a server sends for, and the rules for its mail.

use pc_enforce::{ConnectorKind, DEFAULT_CONNECTOR};
use pc_types::Domain;

use crate::render::{list, mode_word, quoted};
use crate::{Config, ConnectorLimits, EnforcementMode, Network};

/// `[[connector]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Connector {
    pub name: String,
    pub tenant: Option<String>,
    pub kind: ConnectorKind,
    pub networks: Vec<Network>,
    pub certificates: Vec<Domain>,
    pub domains: Vec<Domain>,
    pub tls_required: bool,
    pub received_names: Vec<Domain>,
    pub enforcement: Option<EnforcementMode>,
    pub floor: Option<String>,
    pub scope: Vec<Domain>,
    pub contacts: Vec<String>,
    pub limits: ConnectorLimits,
}

impl Connector {
    /// Whether it is the entry for senders that no other one names.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_CONNECTOR
    }
}

impl Config {
    /// The entry for senders that no other one names, if the file has it.
    pub fn default_connector(&self) -> Option<&Connector> {
        self.connectors.iter().find(|connector| connector.is_default())
    }

    /// The mode for senders under `connector`; `None` for those that no entry names. Where entries say whom servers
    /// send for, a stranger is reported until the default entry says otherwise; without entries all are strangers, and
    /// the mode is theirs.
    pub fn mode_under(&self, connector: Option<&Connector>) -> EnforcementMode {
        let general = self.enforcement.mode;
        let own = connector.or(self.default_connector()).and_then(|connector| connector.enforcement);
        let is_stranger = connector.is_none_or(Connector::is_default);
        match own {
            Some(own) => own,
            None if is_stranger && general == EnforcementMode::Enforce && !self.connectors.is_empty() => {
                EnforcementMode::Report
            }
            None => general,
        }
    }
}

/// As TOML.
pub(crate) fn to_toml(connector: &Connector) -> String {
    let mut lines = vec![format!("\n[[connector]]\nname = {}", quoted(&connector.name))];
    let domains = |domains: &[Domain]| list(domains.iter().map(|domain| quoted(domain.as_str())));
    if let Some(tenant) = &connector.tenant {
        lines.push(format!("tenant = {}", quoted(tenant)));
    }
    lines.push(format!("kind = \"{}\"", connector.kind.as_str()));
    if !connector.is_default() {
        let networks = connector.networks.iter().map(|network| format!("\"{network}\""));
        lines.push(format!("addresses = [{}]", list(networks)));
        lines.push(format!("certificate = [{}]", domains(&connector.certificates)));
        lines.push(format!("domain = [{}]", domains(&connector.domains)));
    }
    lines.push(format!("tls_required = {}", connector.tls_required));
    lines.push(format!("received_names = [{}]", domains(&connector.received_names)));
    if let Some(mode) = connector.enforcement {
        lines.push(format!("enforcement = \"{}\"", mode_word(mode)));
    }
    if let Some(floor) = &connector.floor {
        lines.push(format!("floor = {}", quoted(floor)));
    }
    if !connector.scope.is_empty() {
        lines.push(format!("scope = [{}]", domains(&connector.scope)));
    }
    lines.push(format!("contact = [{}]", list(connector.contacts.iter().map(|contact| quoted(contact)))));
    let limits = match connector.limits {
        ConnectorLimits::Apply => "apply",
        ConnectorLimits::None => "none",
    };
    lines.push(format!("limits = \"{limits}\""));
    lines.join("\n")
}
