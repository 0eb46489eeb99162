//! `[[tenant]]` and `[[connector]]`

use std::collections::BTreeSet;

use pc_enforce::DEFAULT_CONNECTOR;
use pc_types::Domain;

use super::{floor, mode, notify, rates, required, unique};
use crate::document::{Diagnostics, Table};
use crate::{Config, Connector, ConnectorKind, Language, Network, Notify, Tenant, Upstream};

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
        let attestation_key_file = entry.text("attestation_key_file", diagnostics);
        if let Some(name) = name {
            tenants.push(Tenant { name, esu, contacts, language, attestation_key_file });
        }
        entry.finish(diagnostics);
    }
    tenants
}

pub(super) fn connector_kind(text: &str) -> Option<ConnectorKind> {
    let kinds = [ConnectorKind::Internet, ConnectorKind::OnPremises, ConnectorKind::Partner];
    kinds.into_iter().find(|kind| kind.as_str() == text)
}

/// What is used once only, over all entries.
#[derive(Default)]
struct Taken {
    names: BTreeSet<String>,
    ranges: BTreeSet<(bool, u8, u128)>,
    certificates: BTreeSet<Domain>,
    domains: BTreeSet<Domain>,
}

pub(super) fn connectors(
    root: &mut Table<'_, '_>,
    config: &Config,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Connector> {
    let mut taken = Taken::default();
    let entries = root.tables("connector", "connector", diagnostics).into_iter();
    entries.filter_map(|entry| connector(entry, config, &mut taken, diagnostics)).collect()
}

fn connector(
    mut entry: Table<'_, '_>,
    config: &Config,
    taken: &mut Taken,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Connector> {
    let name = required(&mut entry, "name", diagnostics);
    unique(&entry, name.as_ref(), &mut taken.names, diagnostics);
    let is_default = name.as_deref() == Some(DEFAULT_CONNECTOR);
    let tenant = entry.text("tenant", diagnostics);
    if let Some(name) =
        tenant.as_ref().filter(|name| config.tenants.iter().all(|tenant| tenant.name != **name))
    {
        let message = format!("there is no [[tenant]] that is named {name:?}");
        entry.fault("tenant", diagnostics, &message);
    }
    let want = "\"on_premises\", \"partner\" or \"internet\"";
    let kind = entry.parsed("kind", diagnostics, want, connector_kind);
    let kind = kind.unwrap_or(if is_default { ConnectorKind::Internet } else { ConnectorKind::Partner });
    let marks = marks(&mut entry, (is_default, taken), diagnostics);
    let tls_required = entry.truth("tls_required", diagnostics).unwrap_or(false);
    let received_names = domains(&mut entry, "received_names", diagnostics);
    let enforcement = mode(&mut entry, "enforcement", diagnostics);
    let floor = floor::chosen(&mut entry, &config.floors, diagnostics);
    let scope = domains(&mut entry, "scope", diagnostics);
    if entry.has("scope") && scope.as_ref().is_some_and(Vec::is_empty) {
        entry.fault("scope", diagnostics, "is empty; list domains of recipients, or leave it out for all");
    }
    let contacts = notify::addresses(&mut entry, "contact", diagnostics).unwrap_or_default();
    if config.notify.via.is_none() {
        notify::all_taken(&entry, "contact", &contacts, &config.upstreams, diagnostics);
    }
    let limits = rates::connector_limits(&mut entry, diagnostics);
    entry.finish(diagnostics);
    let ((networks, certificates, domains), name) = (marks?, name?);
    let (received_names, scope) = (received_names.unwrap_or_default(), scope.unwrap_or_default());
    Some(Connector {
        name,
        tenant,
        kind,
        networks,
        certificates,
        domains,
        tls_required,
        received_names,
        enforcement,
        floor,
        scope,
        contacts,
        limits,
    })
}

type Marks = (Vec<Network>, Vec<Domain>, Vec<Domain>);

/// By what an entry knows its servers: addresses, names in certificates, proven domains.
fn marks(
    entry: &mut Table<'_, '_>,
    (is_default, taken): (bool, &mut Taken),
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Marks> {
    const KEYS: [&str; 3] = ["addresses", "certificate", "domain"];
    let has_any = KEYS.iter().any(|key| entry.has(key));
    let want = "an address or a network, such as \"192.0.2.0/24\"";
    let networks =
        entry.list("addresses", diagnostics, want, |value| value.as_str().and_then(Network::parse));
    let certificates = domains(entry, "certificate", diagnostics);
    let proven = domains(entry, "domain", diagnostics);
    if let Some(key) = KEYS.into_iter().find(|key| is_default && entry.has(key)) {
        entry.fault(
            key,
            diagnostics,
            "the connector \"default\" is for senders that no other one names; give this one \
                     another name",
        );
    } else if !is_default && !has_any {
        entry.fault(
            "addresses",
            diagnostics,
            "is missing; list addresses or networks, or give certificate or domain",
        );
    }
    for network in networks.iter().flatten() {
        if !taken.ranges.insert(network.range()) {
            let message = format!("{network} is already listed; only one entry can speak for it");
            entry.fault("addresses", diagnostics, &message);
        }
    }
    let named =
        [("certificate", &certificates, &mut taken.certificates), ("domain", &proven, &mut taken.domains)];
    for (key, names, taken) in named {
        for name in names.iter().flatten().filter(|name| !taken.insert((*name).clone())) {
            let message = format!("{name} is already listed; only one entry can speak for it");
            entry.fault(key, diagnostics, &message);
        }
    }
    let sound = |key: &str, is_read: bool| is_read || !entry.has(key);
    let are_sound = sound("addresses", networks.is_some())
        && sound("certificate", certificates.is_some())
        && sound("domain", proven.is_some());
    let marks = (networks.unwrap_or_default(), certificates.unwrap_or_default(), proven.unwrap_or_default());
    are_sound.then_some(marks)
}

fn domains(
    entry: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Domain>> {
    entry.list(key, diagnostics, "a host name", |value| value.as_str()?.parse().ok())
}
