//! `[dns]` and `[[dns_list]]`

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use pc_auth::dns_list::{List, ListKind, ListMode};
use pc_types::Domain;

use super::set;
use crate::document::{Diagnostics, Table};
use crate::{Dns, PrivateAddresses, SpfChecks, limits};

pub(super) fn dns(mut table: Table<'_, '_>, settings: &mut Dns, diagnostics: &mut Diagnostics<'_>) {
    let want = "an address with or without a port, such as \"192.0.2.53:53\"";
    let servers = table.list("servers", diagnostics, want, |value| {
        let text = value.as_str()?;
        let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
        address.or_else(|_| text.parse()).ok().filter(|address| address.port() != 0)
    });
    if servers.as_ref().is_some_and(|servers| servers.len() > limits::DNS_SERVERS_MAX) {
        let message = format!("at most {}", limits::DNS_SERVERS_MAX);
        table.fault("servers", diagnostics, &message);
    }
    set(&mut settings.servers, servers);
    let timeout = table.number("timeout_seconds", diagnostics, &limits::DNS_TIMEOUT_SECONDS);
    set(&mut settings.timeout_seconds, timeout);
    let private = table.parsed("private_addresses", diagnostics, "\"skip\" or \"ask\"", |text| match text {
        "ask" => Some(PrivateAddresses::Ask),
        "skip" => Some(PrivateAddresses::Skip),
        _ => None,
    });
    set(&mut settings.private_addresses, private);
    let spf = table.parsed("spf", diagnostics, "\"on\" or \"off\"", |text| match text {
        "off" => Some(SpfChecks::Off),
        "on" => Some(SpfChecks::On),
        _ => None,
    });
    set(&mut settings.spf, spf);
    table.finish(diagnostics);
}

pub(super) fn lists(root: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<List> {
    let mut lists = Vec::new();
    let mut zones = BTreeSet::new();
    let entries = root.tables("dns_list", "dns_list", diagnostics);
    if let Some(entry) = entries.get(limits::DNS_LISTS_MAX) {
        let message =
            format!("[[dns_list]]: at most {}, as each client is looked up in all", limits::DNS_LISTS_MAX);
        diagnostics.add(entry.span.start, message);
    }
    for mut entry in entries {
        if let Some(list) = list(&mut entry, &mut zones, diagnostics) {
            lists.push(list);
        }
        entry.finish(diagnostics);
    }
    lists
}

fn list(
    entry: &mut Table<'_, '_>,
    zones: &mut BTreeSet<String>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<List> {
    for key in ["zone", "kind"] {
        if !entry.has(key) {
            entry.fault(key, diagnostics, "is missing");
        }
    }
    let want = "the zone of a list, such as \"zen.example.org\"";
    let zone = entry
        .parsed("zone", diagnostics, want, |text| text.parse::<Domain>().ok().map(|zone| zone.to_string()));
    if zone.as_ref().is_some_and(|zone| !zones.insert(zone.clone())) {
        entry.fault("zone", diagnostics, "is already listed");
    }
    let kind = entry.parsed("kind", diagnostics, "\"block\" or \"allow\"", |text| match text {
        "allow" => Some(ListKind::Allow),
        "block" => Some(ListKind::Block),
        _ => None,
    });
    let mode = entry.parsed("mode", diagnostics, "\"report\", \"defer\" or \"reject\"", |text| match text {
        "defer" => Some(ListMode::Defer),
        "reject" => Some(ListMode::Reject),
        "report" => Some(ListMode::Report),
        _ => None,
    });
    if kind == Some(ListKind::Allow) && entry.has("mode") {
        entry.fault("mode", diagnostics, "is for block lists; an allow list only outweighs them");
    }
    let want = "an answer or a range of answers in 127.0.0.0/8, such as \"127.0.0.2-127.0.0.11\"";
    let answers = entry.list("answers", diagnostics, want, |value| range(value.as_str()?));
    if answers.as_ref().is_some_and(Vec::is_empty) {
        entry.fault("answers", diagnostics, "is empty, so the list would never list anybody");
    }
    Some(List {
        zone: zone?,
        kind: kind?,
        mode: mode.unwrap_or(ListMode::Report),
        answers: answers.unwrap_or_else(default_answers),
    })
}

/// RFC 5782 2.1: 127.0.0.2 is what a list answers; most tell kinds apart by the last octet.
fn default_answers() -> Vec<RangeInclusive<Ipv4Addr>> {
    vec![Ipv4Addr::new(127, 0, 0, 2)..=Ipv4Addr::new(127, 0, 0, 255)]
}

fn range(text: &str) -> Option<RangeInclusive<Ipv4Addr>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to): (Ipv4Addr, Ipv4Addr) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from.is_loopback() && to.is_loopback() && from <= to).then_some(from..=to)
}
