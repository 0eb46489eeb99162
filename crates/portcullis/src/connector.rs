//! From a `[[connector]]` to the parts of a node.

use std::path::PathBuf;

use pc_config::Config;
use pc_notify::ConnectorContacts;
use pc_smtpd::{ConnectorSettings, Counting};
use pc_tls::{ClientCertificates, Roots};

use crate::exit::{Failure, chain};
use crate::node;

/// The rules of an entry, as the SMTP edge needs them.
pub fn settings(config: &Config, entry: &pc_config::Connector) -> ConnectorSettings {
    ConnectorSettings {
        name: entry.name.clone(),
        tenant: entry.tenant.clone(),
        kind: entry.kind,
        entitlement: node::entitlement(config, entry.tenant.as_deref()),
        networks: entry.networks.clone(),
        certificates: entry.certificates.clone(),
        domains: entry.domains.clone(),
        tls_required: entry.tls_required,
        received_names: entry.received_names.clone(),
        scope: entry.scope.clone(),
        counting: match entry.limits {
            pc_config::ConnectorLimits::Apply => Counting::Counted,
            pc_config::ConnectorLimits::None => Counting::Exempt,
        },
    }
}

/// Whose client certificates prove a name; `None` where no connector asks for one.
pub fn client_certificates(config: &Config) -> Result<Option<ClientCertificates>, Failure> {
    if config.connectors.iter().all(|connector| connector.certificates.is_empty()) {
        return Ok(None);
    }
    let file = config.smtp.client_ca_file.as_ref();
    let roots = file.map_or(Roots::WebPki, |path| Roots::CaFile(PathBuf::from(path)));
    let certificates = ClientCertificates::new(&roots);
    certificates
        .map(Some)
        .map_err(|error| Failure::configuration(format!("[smtp] client_ca_file: {}", chain(&error))))
}

/// Whom an entry names to be told.
pub fn contacts(connector: &pc_config::Connector) -> (String, ConnectorContacts) {
    let contacts =
        ConnectorContacts { contacts: connector.contacts.clone(), tenant: connector.tenant.clone() };
    (connector.name.clone(), contacts)
}
