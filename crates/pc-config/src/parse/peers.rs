//! `[[tenant]]` and `[[connector]]`

use std::collections::BTreeSet;

use super::{mode, notify, rates, required, unique};
use crate::document::{Diagnostics, Table};
use crate::{Connector, ConnectorKind, Language, Network, Notify, Tenant, Upstream};

/// The names of all tenants, for those who are read before them.
pub(super) fn tenant_names(root: &mut Table<'_, '_>) -> BTreeSet<String> {
    let entries = root.value("tenant").and_then(|value| value.get_ref().as_array());
    let names = entries.into_iter().flat_map(|entries| entries.iter());
    names
        .filter_map(|entry| Some(entry.get_ref().as_table()?.get("name")?.get_ref().as_str()?.to_owned()))
        .collect()
}

pub(super) fn tenants(
    root: &mut Table<'_, '_>,
    (settings, upstreams): (&Notify, &[Upstream]),
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    let mut names = BTreeSet::new();
    for mut entry in root.tables("tenant", "tenant", diagnostics) {
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        let esu = entry.truth("esu", diagnostics).unwrap_or(false);
        let contacts = notify::addresses(&mut entry, "contacts", diagnostics).unwrap_or_default();
        if settings.via.is_none() {
            notify::all_taken(&entry, "contacts", &contacts, upstreams, diagnostics);
        }
        let language = notify::language(&mut entry, diagnostics).unwrap_or(Language::En);
        if let Some(name) = name {
            tenants.push(Tenant { name, esu, contacts, language });
        }
        entry.finish(diagnostics);
    }
    tenants
}

pub(super) fn connector_kind(text: &str) -> Option<ConnectorKind> {
    let kinds = [ConnectorKind::Internet, ConnectorKind::OnPremises, ConnectorKind::Partner];
    kinds.into_iter().find(|kind| kind.as_str() == text)
}

pub(super) fn connectors(
    root: &mut Table<'_, '_>,
    tenants: &[Tenant],
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Connector> {
    let mut connectors = Vec::new();
    let mut ranges = BTreeSet::new();
    let mut names = BTreeSet::new();
    for mut entry in root.tables("connector", "connector", diagnostics) {
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        let tenant = entry.text("tenant", diagnostics);
        if let Some(tenant) =
            tenant.as_ref().filter(|name| tenants.iter().all(|tenant| tenant.name != **name))
        {
            let message = format!("there is no [[tenant]] that is named {tenant:?}");
            entry.fault("tenant", diagnostics, &message);
        }
        let want = "\"on_premises\", \"partner\" or \"internet\"";
        let kind = entry.parsed("kind", diagnostics, want, connector_kind).unwrap_or(ConnectorKind::Partner);
        if !entry.has("addresses") {
            entry.fault("addresses", diagnostics, "is missing; list addresses or networks");
        }
        let want = "an address or a network, such as \"192.0.2.0/24\"";
        let networks =
            entry.list("addresses", diagnostics, want, |value| value.as_str().and_then(Network::parse));
        for network in networks.iter().flatten() {
            if !ranges.insert(network.range()) {
                let message = format!("{network} is already listed; only one entry can speak for it");
                entry.fault("addresses", diagnostics, &message);
            }
        }
        let tls_required = entry.truth("tls_required", diagnostics).unwrap_or(false);
        let names =
            entry.list("received_names", diagnostics, "a host name", |value| value.as_str()?.parse().ok());
        let enforcement = mode(&mut entry, "enforcement", diagnostics);
        let limits = rates::connector_limits(&mut entry, diagnostics);
        if let (Some(name), Some(networks)) = (name, networks) {
            let received_names = names.unwrap_or_default();
            connectors.push(Connector {
                name,
                tenant,
                kind,
                networks,
                tls_required,
                received_names,
                enforcement,
                limits,
            });
        }
        entry.finish(diagnostics);
    }
    connectors
}
