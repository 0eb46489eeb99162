//! # Purpose
//! Which connector's rules a client is under, and what proved it.
//!
//! # Trust
//! A client is matched by what it cannot invent: the address it connects from, a name in a certificate that was verified,
//! a domain that SPF passed for. Never by its greeting or its reverse path alone.
//!
//! # Standards
//! RFC 9525 for names in certificates, RFC 7208 for domains.
//!
//! # Invariants
//! The first of these that matches decides: certificate, most specific address range, domain. Whoever is matched by none is
//! under the default connector; so is whoever would be by SPF while the DNS fails.

use std::net::IpAddr;
use std::sync::Arc;

use pc_config::{Network, most_specific};
use pc_enforce::{ConnectorKind, ConnectorMatch, Entitlement, MatchedBy};
use pc_smtp::ForwardPath;
use pc_tls::ClientCertificate;
use pc_types::Domain;

use crate::edge::EdgeSettings;

/// Rules for some senders.
#[derive(Clone, Debug)]
pub struct ConnectorSettings {
    /// For logs.
    pub name: String,
    /// The organisation whose servers they are.
    pub tenant: Option<String>,
    /// What kind of servers they are.
    pub kind: ConnectorKind,
    /// What that organisation can install.
    pub entitlement: Entitlement,
    /// Where they connect from.
    pub networks: Vec<Network>,
    /// What their certificates prove.
    pub certificates: Vec<Domain>,
    /// For whom they send, by SPF.
    pub domains: Vec<Domain>,
    /// Mail is taken over TLS only.
    pub tls_required: bool,
    /// By-hosts that are proven by configuration.
    pub received_names: Vec<Domain>,
    /// Domains of recipients for whom the ladder speaks; empty for all.
    pub scope: Vec<Domain>,
    /// Whether its clients are counted.
    pub counting: Counting,
}

/// Whether clients are counted by the limits of the SMTP edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// They are, as everybody.
    Counted,
    /// They may do as much as they like.
    Exempt,
}

/// A connector, and what proved that it is the one.
pub(crate) type Matched = (Arc<ConnectorSettings>, ConnectorMatch);

impl ConnectorSettings {
    /// The one that `name` names and nothing else is known of.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tenant: None,
            kind: ConnectorKind::Internet,
            entitlement: Entitlement::default(),
            networks: Vec::new(),
            certificates: Vec::new(),
            domains: Vec::new(),
            tls_required: false,
            received_names: Vec::new(),
            scope: Vec::new(),
            counting: Counting::Counted,
        }
    }

    /// Whether the ladder speaks for mail to a recipient.
    pub(crate) fn covers(&self, path: &ForwardPath) -> bool {
        let domain = match path {
            ForwardPath::Postmaster => return true,
            ForwardPath::Mailbox(mailbox) => mailbox.domain_name(),
        };
        self.scope.is_empty() || domain.is_some_and(|domain| self.scope.contains(domain))
    }
}

impl EdgeSettings {
    /// The rules for a connecting address.
    pub(crate) fn match_address(&self, address: IpAddr) -> Matched {
        let networks = self.connectors.iter().flat_map(|connector| {
            connector.networks.iter().map(move |network| (network, (network, connector)))
        });
        match most_specific(networks, address) {
            Some((network, connector)) => matched(connector, MatchedBy::Address, network.to_string()),
            None => (Arc::clone(&self.default_connector), ConnectorMatch::none()),
        }
    }

    /// The rules for a client that showed a certificate; the first connector of which it proves a name.
    pub(crate) fn match_certificate(&self, certificate: &ClientCertificate) -> Option<Matched> {
        self.connectors.iter().find_map(|connector| {
            let name = connector.certificates.iter().find(|name| certificate.proves(name))?;
            Some(matched(connector, MatchedBy::Certificate, name.to_string()))
        })
    }

    /// Whether some connector is for a domain.
    pub(crate) fn knows_domains(&self) -> bool {
        self.connectors.iter().any(|connector| !connector.domains.is_empty())
    }

    /// The rules for mail of a domain, once that is proven.
    pub(crate) fn match_domain(&self, domain: &Domain, by: MatchedBy) -> Option<Matched> {
        let connector = self.connectors.iter().find(|connector| connector.domains.contains(domain))?;
        Some(matched(connector, by, domain.to_string()))
    }
}

fn matched(connector: &Arc<ConnectorSettings>, by: MatchedBy, what: String) -> Matched {
    let matched = ConnectorMatch { connector: connector.name.clone(), by, what };
    (Arc::clone(connector), matched)
}
