//! The sections, each read into its type.

mod acme;
mod admin;
mod catalog;
mod dns;
mod floor;
mod https;
mod milter;
mod mta_sts;
mod notify;
mod peers;
mod rates;
mod recipients;
mod rollout;
mod spool;
mod stream;
mod upstream;
mod webhook;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use pc_enforce::Schedule;
use pc_types::Domain;
use toml::de::{DeTable, DeValue};

use crate::document::{Diagnostics, Table, number};
use crate::{
    BlockReply, CertificatePair, Config, Diagnostic, Enforcement, EnforcementMode, Listener, ListenerTls,
    LogFormat, Network, OcspStapling, Tls, Upstream, UpstreamTarget, limits,
};

/// Sections that later versions bring; naming them helps more than "no such setting".
const LATER_SECTIONS: &[&str] = &["filter", "quarantine", "fleet", "status", "monitor"];

pub(crate) fn config(text: &str) -> Result<Config, Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::new(text);
    if text.len() > limits::FILE_OCTETS_MAX {
        diagnostics.add(0, format!("the file is larger than {} bytes", limits::FILE_OCTETS_MAX));
        return Err(diagnostics.into_sorted());
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        diagnostics.add(error.span().map_or(0, |span| span.start), error.message().to_owned());
    }
    let mut config = Config::bare();
    if errors.is_empty() {
        let mut root = Table::new("", document.span(), document.get_ref());
        sections(&mut root, &mut config, &mut diagnostics);
        for section in LATER_SECTIONS {
            if let Some(value) = root.value(section) {
                let message =
                    format!("{section}: known, but not available in this version; remove the section");
                diagnostics.add(value.span().start, message);
            }
        }
        root.finish(&mut diagnostics);
    }
    let found = diagnostics.into_sorted();
    if found.is_empty() { Ok(config) } else { Err(found) }
}

fn sections(root: &mut Table<'_, '_>, config: &mut Config, diagnostics: &mut Diagnostics<'_>) {
    if let Some(mut table) = root.table("node", diagnostics) {
        set(
            &mut config.node.name,
            table.parsed("name", diagnostics, "a host name", |text| text.parse().ok()),
        );
        set(&mut config.node.data, table.text("data", diagnostics));
        table.finish(diagnostics);
    }
    if let Some(mut table) = root.table("tls", diagnostics) {
        config.tls.certificates = certificates(&mut table, diagnostics);
        ocsp(&mut table, &mut config.tls, diagnostics);
        config.tls.acme = acme::acme(&mut table, diagnostics);
        table.finish(diagnostics);
    }
    if let Some(table) = root.table("smtp", diagnostics) {
        smtp(table, config, diagnostics);
    }
    config.upstreams = upstream::upstreams(root, diagnostics);
    let tenants = peers::tenant_names(root);
    if let Some(mut table) = root.table("notify", diagnostics) {
        config.notify.webhooks = webhook::webhooks(&mut table, &tenants, diagnostics);
        notify::notify(table, &mut config.notify, &config.upstreams, diagnostics);
    }
    config.tenants = peers::tenants(root, (&config.notify, &config.upstreams), diagnostics);
    config.streams = stream::streams(root, config, diagnostics);
    if let Some(table) = root.table("spool", diagnostics) {
        spool::spool(table, &mut config.spool, &config.upstreams, diagnostics);
    }
    config.milters = milter::milters(root, diagnostics);
    if let Some(table) = root.table("dns", diagnostics) {
        dns::dns(table, &mut config.dns, diagnostics);
    }
    config.dns_lists = dns::lists(root, diagnostics);
    if let Some(table) = root.table("enforcement", diagnostics) {
        enforcement(table, config, root, diagnostics);
    } else {
        config.floors = floor::floors(root, config.enforcement.grace_days, diagnostics);
    }
    config.connectors = peers::connectors(root, config, diagnostics);
    if let Some(table) = root.table("https", diagnostics) {
        let mail = config.smtp.listeners.iter().map(|listener| listener.address);
        let taken = mail.chain(config.streams.iter().map(|stream| stream.address)).collect();
        https::https(table, &mut config.https, taken, diagnostics);
    }
    if let (Some(acme), Some(at)) = (&config.tls.acme, root.value("tls")) {
        acme::check_listeners(at.span().start, acme, &config.https, diagnostics);
    }
    config.sites = https::sites(root, &config.https, diagnostics);
    https::check_used(root, &config.https, config.tls.acme.as_ref(), diagnostics);
    if let Some(table) = root.table("catalog", diagnostics) {
        catalog::catalog(table, &mut config.catalog, diagnostics);
    }
    if let Some(mut table) = root.table("admin", diagnostics) {
        admin::admin(&mut table, config, diagnostics);
        table.finish(diagnostics);
    }
    if let Some(mut table) = root.table("store", diagnostics) {
        config.store.path = table.text("path", diagnostics);
        set(&mut config.store.trace_days, small(table.number("trace_days", diagnostics, &limits::DAYS)));
        let megabytes = table.number("trace_max_megabytes", diagnostics, &limits::TRACE_MEGABYTES);
        set(&mut config.store.trace_max_megabytes, megabytes);
        let free = table.number("free_space_min_megabytes", diagnostics, &limits::FREE_SPACE_MEGABYTES);
        set(&mut config.store.free_space_min_megabytes, free);
        table.finish(diagnostics);
    }
    if let Some(mut table) = root.table("telemetry", diagnostics) {
        let log = table.parsed("log", diagnostics, "\"text\" or \"json\"", |text| match text {
            "json" => Some(LogFormat::Json),
            "text" => Some(LogFormat::Text),
            _ => None,
        });
        set(&mut config.telemetry.log, log);
        let level = table.parsed("level", diagnostics, "error, warn, info, debug or trace", |text| {
            limits::LEVELS.contains(&text).then(|| text.to_owned())
        });
        set(&mut config.telemetry.level, level);
        table.finish(diagnostics);
    }
    needed(root, diagnostics);
}

/// A node has a listener of some kind, and one that takes mail has somewhere to hand it over to.
fn needed(root: &Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) {
    let takes_mail = root.has_any(&["smtp", "listener"]);
    let serves_others = root.has_any(&["https", "listener"]) || root.has_any(&["stream"]);
    if !takes_mail && !serves_others {
        let text = "[[smtp.listener]]: at least one is needed, or an [[https.listener]] or a [[stream]]";
        diagnostics.add(root.place_of("smtp"), text);
    }
    if root.has("smtp") && !takes_mail && serves_others {
        let text = "[smtp]: needs an [[smtp.listener]]; a node that takes no mail has no such section";
        diagnostics.add(root.place_of("smtp"), text);
    }
    if !root.has_any(&["upstream"]) && (takes_mail || !serves_others) {
        let text = "[[upstream]]: at least one is needed, to hand mail over to";
        diagnostics.add(root.place_of("upstream"), text);
    }
}

fn ocsp(table: &mut Table<'_, '_>, tls: &mut Tls, diagnostics: &mut Diagnostics<'_>) {
    let stapling = table.parsed("ocsp_stapling", diagnostics, "\"on\" or \"off\"", |text| match text {
        "off" => Some(OcspStapling::Off),
        "on" => Some(OcspStapling::On),
        _ => None,
    });
    set(&mut tls.ocsp_stapling, stapling);
    let want = "an address or a network, such as \"192.0.2.0/24\"";
    let networks =
        table.list("ocsp_allow_networks", diagnostics, want, |value| value.as_str().and_then(Network::parse));
    set(&mut tls.ocsp_allow_networks, networks);
}

fn certificates(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<CertificatePair> {
    let mut pairs = Vec::new();
    for mut entry in table.tables("certificates", "tls.certificates", diagnostics) {
        let chain = required(&mut entry, "chain", diagnostics);
        let key = required(&mut entry, "key", diagnostics);
        if let (Some(chain), Some(key)) = (chain, key) {
            pairs.push(CertificatePair { chain, key });
        }
        entry.finish(diagnostics);
    }
    pairs
}

fn smtp(mut table: Table<'_, '_>, config: &mut Config, diagnostics: &mut Diagnostics<'_>) {
    let smtp = &mut config.smtp;
    let size = table.number("message_size_max_bytes", diagnostics, &limits::MESSAGE_SIZE_BYTES);
    set(&mut smtp.message_size_max_bytes, size);
    set(&mut smtp.recipients_max, size_of(table.number("recipients_max", diagnostics, &limits::RECIPIENTS)));
    set(
        &mut smtp.connections_max,
        size_of(table.number("connections_max", diagnostics, &limits::CONNECTIONS)),
    );
    set(&mut smtp.drain_seconds, table.number("drain_seconds", diagnostics, &limits::DRAIN_SECONDS));
    let per_address = table.number("connections_per_address_max", diagnostics, &limits::CONNECTIONS);
    set(&mut smtp.connections_per_address_max, size_of(per_address));
    let delay = table.number("greeting_delay_seconds", diagnostics, &limits::GREETING_DELAY_SECONDS);
    set(&mut smtp.greeting_delay_seconds, delay);
    let memory = table.number("message_memory_max_megabytes", diagnostics, &limits::MESSAGE_MEMORY_MEGABYTES);
    set(&mut smtp.message_memory_max_megabytes, memory);
    smtp.client_ca_file = table.text("client_ca_file", diagnostics);
    rates::smtp_limits(&mut table, &mut smtp.limits, diagnostics);
    let mut seen = BTreeSet::new();
    let listeners = table.tables("listener", "smtp.listener", diagnostics);
    for mut entry in listeners {
        let address = socket_address(&mut entry, diagnostics);
        if !entry.has("address") {
            entry.fault("address", diagnostics, "is missing");
        }
        let tls = entry.parsed("tls", diagnostics, "\"starttls\" or \"implicit\"", |text| match text {
            "implicit" => Some(ListenerTls::Implicit),
            "starttls" => Some(ListenerTls::StartTls),
            _ => None,
        });
        let want = "an address or a network, such as \"192.0.2.0/24\"";
        let from =
            entry.list("proxy_protocol_from", diagnostics, want, |value| Network::parse(value.as_str()?));
        if let Some(address) = address {
            // Port 0 lets the system choose, so two of them are two listeners.
            if address.port() != 0 && !seen.insert(address) {
                entry.fault("address", diagnostics, "is used by another listener");
            }
            smtp.listeners.push(Listener {
                address,
                tls: tls.unwrap_or(ListenerTls::StartTls),
                proxy_protocol_from: from.unwrap_or_default(),
            });
        }
        entry.finish(diagnostics);
    }
    table.finish(diagnostics);
}

/// A setting that names an upstream which speaks SMTP.
fn required_upstream(
    table: &Table<'_, '_>,
    key: &str,
    name: &str,
    upstreams: &[Upstream],
    diagnostics: &mut Diagnostics<'_>,
) {
    let is_known = upstreams
        .iter()
        .any(|upstream| upstream.name == name && matches!(upstream.target, UpstreamTarget::Smtp(_)));
    if !is_known {
        let message = format!("there is no [[upstream]] with an address that is named {name:?}");
        table.fault(key, diagnostics, &message);
    }
}

fn enforcement(
    mut table: Table<'_, '_>,
    config: &mut Config,
    root: &mut Table<'_, '_>,
    diagnostics: &mut Diagnostics<'_>,
) {
    let settings = &mut config.enforcement;
    set(&mut settings.mode, mode(&mut table, "mode", diagnostics));
    settings.rollout = rollout::steps(&mut table, diagnostics);
    schedule(&mut table, settings, diagnostics);
    let reply = table.parsed("block_reply", diagnostics, "\"5xx\" or \"4xx\"", |text| match text {
        "4xx" => Some(BlockReply::Temporary),
        "5xx" => Some(BlockReply::Permanent),
        _ => None,
    });
    set(&mut settings.block_reply, reply);
    set(&mut settings.grace_days, small(table.number("grace_days", diagnostics, &limits::GRACE_DAYS)));
    config.floors = floor::floors(root, settings.grace_days, diagnostics);
    set(&mut settings.floor, floor::chosen(&mut table, &config.floors, diagnostics));
    let sightings = table.number("open_sightings", diagnostics, &limits::OPEN_SIGHTINGS);
    set(&mut settings.open_sightings, small(sightings));
    set(&mut settings.open_hours, small(table.number("open_hours", diagnostics, &limits::OPEN_HOURS)));
    set(&mut settings.decay_days, small(table.number("decay_days", diagnostics, &limits::DAYS)));
    let probe = table.number("probe_interval_minutes", diagnostics, &limits::PROBE_MINUTES);
    set(&mut settings.probe_interval_minutes, small(probe));
    settings.self_test = table.parsed("self_test", diagnostics, notify::WANT, notify::address);
    let want = format!("at most {} printable ASCII characters without spaces", limits::LINK_OCTETS_MAX);
    settings.link = table.parsed("link", diagnostics, &want, |text| {
        let printable = text.bytes().all(|octet| matches!(octet, b'!'..=b'~'));
        (printable && !text.is_empty() && text.len() <= limits::LINK_OCTETS_MAX).then(|| text.to_owned())
    });
    table.finish(diagnostics);
}

/// The three lists of the ladder, judged together when each of them is sound.
fn schedule(table: &mut Table<'_, '_>, settings: &mut Enforcement, diagnostics: &mut Diagnostics<'_>) {
    const KEYS: [&str; 3] = ["schedule_days", "throttle_minutes", "block_minutes"];
    let days = |value: &DeValue<'_>| number(value).and_then(|days| u32::try_from(days).ok());
    let minutes = |value: &DeValue<'_>| number(value).and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 60);
    let [days_key, throttle_key, block_key] = KEYS;
    let days = table.list(days_key, diagnostics, "a number of days", days);
    let throttle = table.list(throttle_key, diagnostics, "minutes of an hour, 0 to 60", minutes);
    let block = table.list(block_key, diagnostics, "minutes of an hour, 0 to 60", minutes);
    let sound = [days.is_some(), throttle.is_some(), block.is_some()];
    // A list with a mistake of its own gives way to its default, which the others need not fit.
    let is_complete = KEYS.iter().zip(sound).all(|(key, sound)| sound || !table.has(key));
    set(&mut settings.schedule_days, days);
    set(&mut settings.throttle_minutes, throttle);
    set(&mut settings.block_minutes, block);
    let judged = Schedule::new(&settings.schedule_days, &settings.throttle_minutes, &settings.block_minutes);
    if let (true, Err(error)) = (is_complete, judged) {
        let key = KEYS.into_iter().find(|key| table.has(key)).unwrap_or(days_key);
        table.fault(key, diagnostics, &error.to_string());
    }
}

fn mode(
    table: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<EnforcementMode> {
    table.parsed(key, diagnostics, "\"off\", \"report\" or \"enforce\"", |text| match text {
        "enforce" => Some(EnforcementMode::Enforce),
        "off" => Some(EnforcementMode::Off),
        "report" => Some(EnforcementMode::Report),
        _ => None,
    })
}

fn required(
    table: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<String> {
    if !table.has(key) {
        table.fault(key, diagnostics, "is missing");
    }
    table.text(key, diagnostics)
}

fn unique(
    table: &Table<'_, '_>,
    name: Option<&String>,
    names: &mut BTreeSet<String>,
    diagnostics: &mut Diagnostics<'_>,
) {
    if let Some(name) = name
        && !names.insert(name.clone())
    {
        table.fault("name", diagnostics, "is used twice");
    }
}

fn socket_address(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<SocketAddr> {
    table.parsed("address", diagnostics, "address:port, such as \"0.0.0.0:25\" or \"[::]:25\"", |text| {
        text.parse().ok()
    })
}

/// `host:port`, `[2001:db8::1]:25`
fn host_and_port(text: &str) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), address.port()));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host: Domain = host.parse().ok()?;
    Some((host.to_string(), port.parse().ok().filter(|port| *port != 0)?))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Colons between the octets are fine, as OpenSSL prints them.
fn sha256_digits(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|octet| *octet != b':').collect();
    let mut octets = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(octets)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn small(value: Option<u64>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok())
}

fn size_of(value: Option<u64>) -> Option<usize> {
    value.and_then(|value| usize::try_from(value).ok())
}
