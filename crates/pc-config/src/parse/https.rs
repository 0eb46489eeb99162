//! `[https]` and `[[site]]`

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use pc_types::Domain;

use super::catalog::public_key;
use super::upstream::hosts;
use super::{host_and_port, required, set, sha256_digits, size_of, small, socket_address, unique};
use crate::document::{Diagnostics, Table};
use crate::{
    Acme, Challenge, DEFAULT_OPEN, DIRECTORIES, Directory, DirectoryException, Https, Network, PatchMode,
    Site, UpstreamHost, WebListener, limits,
};

const NETWORK: &str = "an address or a network, such as \"192.0.2.0/24\"";
const MODES: &str = "\"block\", \"report\" or \"off\"";

/// `taken` are the addresses of other listeners.
pub(super) fn https(
    mut table: Table<'_, '_>,
    settings: &mut Https,
    mut taken: BTreeSet<SocketAddr>,
    diagnostics: &mut Diagnostics<'_>,
) {
    let connections = table.number("connections_max", diagnostics, &limits::CONNECTIONS);
    set(&mut settings.connections_max, size_of(connections));
    let per_address = table.number("connections_per_address_max", diagnostics, &limits::CONNECTIONS);
    set(&mut settings.connections_per_address_max, size_of(per_address));
    let new = table.number("connections_per_minute", diagnostics, &limits::NEW_CONNECTIONS);
    set(&mut settings.connections_per_minute, small(new));
    set(&mut settings.drain_seconds, table.number("drain_seconds", diagnostics, &limits::DRAIN_SECONDS));
    let max_age = table.number("hsts_max_age_seconds", diagnostics, &limits::HSTS_MAX_AGE_SECONDS);
    set(&mut settings.hsts_max_age_seconds, max_age);
    set(&mut settings.hsts_include_subdomains, table.truth("hsts_include_subdomains", diagnostics));
    set(&mut settings.hsts_preload, table.truth("hsts_preload", diagnostics));
    if settings.hsts_preload
        && (!settings.hsts_include_subdomains
            || settings.hsts_max_age_seconds < limits::HSTS_PRELOAD_SECONDS_MIN)
    {
        let message = format!(
            "needs hsts_include_subdomains = true and hsts_max_age_seconds of at least {}, or browsers' lists refuse the name",
            limits::HSTS_PRELOAD_SECONDS_MIN
        );
        table.fault("hsts_preload", diagnostics, &message);
    }
    set(&mut settings.patches, table.parsed("patches", diagnostics, MODES, PatchMode::parse));
    let ids = table.list("patches_report_only", diagnostics, "the id of a rule", |value| {
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    });
    set(&mut settings.patches_report_only, ids);
    rule_pack(&mut table, settings, diagnostics);
    let kept = table.list("response_fields_kept", diagnostics, "a field name", |value| {
        value.as_str().filter(|text| is_field_name(text)).map(str::to_ascii_lowercase)
    });
    set(&mut settings.response_fields_kept, kept);
    let from =
        table.list("forwarded_for_from", diagnostics, NETWORK, |value| Network::parse(value.as_str()?));
    set(&mut settings.forwarded_for_from, from);
    settings.listeners = listeners(&mut table, "listener", "https.listener", &mut taken, diagnostics);
    settings.redirects = listeners(&mut table, "redirect", "https.redirect", &mut taken, diagnostics);
    settings.client_tests =
        listeners(&mut table, "client_test", "https.client_test", &mut taken, diagnostics);
    settings.mta_sts = super::mta_sts::policies(&mut table, diagnostics);
    if settings.listeners.is_empty() && !settings.mta_sts.is_empty() {
        table.fault("mta_sts", diagnostics, "needs an [[https.listener]], which serves the policy");
    }
    if settings.listeners.is_empty() && !settings.client_tests.is_empty() {
        let message = "needs an [[https.listener]]: its page shows what came";
        table.fault("client_test", diagnostics, message);
    }
    table.finish(diagnostics);
}

/// A pack without a key would be anybody's, and a key without a pack would be waited for in vain.
fn rule_pack(table: &mut Table<'_, '_>, settings: &mut Https, diagnostics: &mut Diagnostics<'_>) {
    settings.rule_pack = table.text("rule_pack", diagnostics);
    settings.rule_pack_public_key = public_key(table, "rule_pack_public_key", diagnostics);
    match (table.has("rule_pack"), table.has("rule_pack_public_key")) {
        (true, false) => {
            let message = "needs rule_pack_public_key, the minisign key that signs it";
            table.fault("rule_pack", diagnostics, message);
        }
        (false, true) => {
            table.fault("rule_pack_public_key", diagnostics, "needs rule_pack, the file of the pack")
        }
        _ => {}
    }
}

fn listeners(
    table: &mut Table<'_, '_>,
    key: &'static str,
    section: &str,
    taken: &mut BTreeSet<SocketAddr>,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<WebListener> {
    let mut listeners = Vec::new();
    for mut entry in table.tables(key, section, diagnostics) {
        if !entry.has("address") {
            entry.fault("address", diagnostics, "is missing");
        }
        let address = socket_address(&mut entry, diagnostics);
        let from =
            entry.list("proxy_protocol_from", diagnostics, NETWORK, |value| Network::parse(value.as_str()?));
        if let Some(address) = address {
            // Port 0 lets the system choose, so two of them are two listeners.
            if address.port() != 0 && !taken.insert(address) {
                entry.fault("address", diagnostics, "is used by another listener");
            }
            listeners.push(WebListener { address, proxy_protocol_from: from.unwrap_or_default() });
        }
        entry.finish(diagnostics);
    }
    listeners
}

fn is_field_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

pub(super) fn sites(root: &mut Table<'_, '_>, https: &Https, diagnostics: &mut Diagnostics<'_>) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut site_names = BTreeSet::new();
    let hosts_of_policies = https.mta_sts.iter().filter_map(|policy| policy.host().parse().ok());
    let mut served: BTreeSet<Domain> = hosts_of_policies.collect();
    let entries = root.tables("site", "site", diagnostics);
    for mut entry in entries {
        if https.listeners.is_empty() && !root.has("https") {
            diagnostics.add(entry.span.start, "[[site]] needs an [[https.listener]] that serves it");
        }
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut site_names, diagnostics);
        let names = host_names(&mut entry, &mut served, diagnostics);
        let hosts = servers(&mut entry, diagnostics);
        let ca_file = entry.text("ca_file", diagnostics);
        let connect = entry.number("connect_timeout_seconds", diagnostics, &limits::SITE_CONNECT_SECONDS);
        let health = entry.number("health_check_seconds", diagnostics, &limits::SITE_HEALTH_CHECK_SECONDS);
        let open = directories(&mut entry, "open", diagnostics);
        let exceptions = exceptions(&mut entry, diagnostics);
        let internal = entry.list("internal", diagnostics, NETWORK, |value| Network::parse(value.as_str()?));
        let patches = entry.parsed("patches", diagnostics, MODES, PatchMode::parse);
        let rules = rules(&mut entry, diagnostics);
        let http2 = entry.truth("http2", diagnostics);
        let windows_logins = entry.truth("activesync_windows_logins", diagnostics);
        if let (Some(name), Some(names), false) = (name, names, hosts.is_empty()) {
            sites.push(Site {
                name,
                names,
                hosts,
                ca_file,
                connect_timeout_seconds: connect.unwrap_or(5),
                health_check_seconds: health.unwrap_or(10),
                open: open.unwrap_or_else(|| DEFAULT_OPEN.to_vec()),
                exceptions,
                internal: internal.unwrap_or_default(),
                patches,
                rules,
                http2: http2.unwrap_or(false),
                activesync_windows_logins: windows_logins.unwrap_or(false),
            });
        }
        entry.finish(diagnostics);
    }
    sites
}

/// A listener serves a site or a policy, or proves names by TLS-ALPN-01.
pub(super) fn check_used(
    root: &Table<'_, '_>,
    https: &Https,
    acme: Option<&Acme>,
    diagnostics: &mut Diagnostics<'_>,
) {
    let proves = acme.is_some_and(|acme| acme.challenge == Challenge::TlsAlpn01);
    if !https.listeners.is_empty() && https.mta_sts.is_empty() && !root.has("site") && !proves {
        diagnostics.add(0, "[[site]]: at least one is needed for an [[https.listener]], or an [[https.mta_sts]], or challenge = \"tls-alpn-01\" in [tls.acme]");
    }
}

/// `[site.rules]`: what single rules do on a site, by their ids.
fn rules(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> BTreeMap<String, PatchMode> {
    let mut modes = BTreeMap::new();
    let Some(value) = entry.value("rules") else { return modes };
    let Some(table) = value.get_ref().as_table() else {
        entry.fault(
            "rules",
            diagnostics,
            &format!("must be a section, [site.rules], with lines such as \"ID\" = {MODES}"),
        );
        return modes;
    };
    for (id, mode) in table.iter() {
        match mode.get_ref().as_str().and_then(PatchMode::parse) {
            Some(mode) => {
                modes.insert(id.get_ref().to_string(), mode);
            }
            None => {
                diagnostics.add(mode.span().start, format!("[site.rules] {}: must be {MODES}", id.get_ref()))
            }
        }
    }
    modes
}

/// Each name belongs to one site.
fn host_names(
    entry: &mut Table<'_, '_>,
    served: &mut BTreeSet<Domain>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Domain>> {
    if !entry.has("names") {
        entry.fault("names", diagnostics, "is missing; list the host names that clients use");
    }
    let want = "a host name, such as \"mail.example.org\"";
    let names: Vec<Domain> = entry.list("names", diagnostics, want, |value| {
        // An address is never a name that browsers are sent to, and has no HSTS (RFC 6797 8.1.1).
        value.as_str().filter(|text| text.parse::<IpAddr>().is_err())?.parse().ok()
    })?;
    if names.is_empty() {
        entry.fault("names", diagnostics, "needs at least one host name");
    }
    for name in &names {
        if !served.insert(name.clone()) {
            entry.fault("names", diagnostics, &format!("{name} is listed twice"));
        }
    }
    Some(names)
}

/// There is no way to name a server without TLS.
fn servers(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<UpstreamHost> {
    if entry.has("address") == entry.has("hosts") {
        let message =
            "[[site]] needs one of address (host:port) and hosts (a list of servers), reached by https";
        diagnostics.add(entry.span.start, message);
    }
    let want = "host:port, such as \"exchange.example.org:443\", always reached by https";
    let address = entry.parsed("address", diagnostics, want, host_and_port);
    let tls_name = entry.text("tls_name", diagnostics);
    let pin = entry.parsed("certificate_sha256", diagnostics, "64 hexadecimal digits", sha256_digits);
    let listed = hosts(entry, "site.hosts", 443, (tls_name.as_ref(), pin), diagnostics);
    let alone = address.map(|(host, port)| {
        let tls_name = tls_name.unwrap_or_else(|| host.clone());
        UpstreamHost { host, port, priority: limits::PRIORITY, tls_name, certificate_sha256: pin }
    });
    alone.map_or(listed, |host| vec![host])
}

fn directories(
    entry: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Directory>> {
    let known: Vec<&str> = DIRECTORIES.iter().map(|(_, name)| *name).collect();
    let want = format!("one of {}", known.join(", "));
    entry.list(key, diagnostics, &want, |value| Directory::parse(&value.as_str()?.to_ascii_lowercase()))
}

fn exceptions(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<DirectoryException> {
    let mut exceptions = Vec::new();
    for mut table in entry.tables("exceptions", "site.exceptions", diagnostics) {
        for key in ["directories", "networks"] {
            if !table.has(key) {
                table.fault(key, diagnostics, "is missing");
            }
        }
        let directories = directories(&mut table, "directories", diagnostics);
        let networks = table.list("networks", diagnostics, NETWORK, |value| Network::parse(value.as_str()?));
        if let (Some(directories), Some(networks)) = (directories, networks) {
            exceptions.push(DirectoryException { directories, networks });
        }
        table.finish(diagnostics);
    }
    exceptions
}
