//! `[tls.acme]`: certificates that the node obtains by itself.

use pc_renewal::Challenge;
use pc_types::{Domain, HttpsUrl};

use crate::Network;
use crate::render::{list, networks, quoted};

/// `[tls.acme]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Acme {
    pub directory: HttpsUrl,
    pub contact: Vec<String>,
    pub names: Vec<Domain>,
    pub challenge: Challenge,
    pub renew_days: Option<u32>,
    pub eab: Option<ExternalAccount>,
    pub ca_file: Option<String>,
    pub allow_networks: Vec<Network>,
}

/// What binds the account to one outside ACME (RFC 8555 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct ExternalAccount {
    pub key_id: String,
    pub key_file: String,
}

pub(crate) fn render(acme: &Acme) -> String {
    let contact = acme.contact.iter().map(|address| quoted(address));
    let names = acme.names.iter().map(|name| quoted(name.as_str()));
    // Nothing is read without it.
    let mut lines = vec![
        "\n[tls.acme]".to_owned(),
        format!("directory = {}", quoted(&acme.directory.to_string())),
        "terms_agreed = true".to_owned(),
        format!("contact = [{}]", list(contact)),
        format!("names = [{}]", list(names)),
        format!("challenge = \"{}\"", acme.challenge.as_str()),
    ];
    if let Some(days) = acme.renew_days {
        lines.push(format!("renew_days = {days}"));
    }
    if let Some(eab) = &acme.eab {
        lines.push(format!("eab_key_id = {}", quoted(&eab.key_id)));
        lines.push(format!("eab_key_file = {}", quoted(&eab.key_file)));
    }
    if let Some(path) = &acme.ca_file {
        lines.push(format!("ca_file = {}", quoted(path)));
    }
    if !acme.allow_networks.is_empty() {
        lines.push(format!("allow_networks = [{}]", networks(&acme.allow_networks)));
    }
    lines.join("\n")
}
