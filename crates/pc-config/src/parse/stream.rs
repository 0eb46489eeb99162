//! `[[stream]]`

use std::collections::BTreeSet;

use super::{host_and_port, required, sha256_digits, size_of, small, socket_address, unique, upstream};
use crate::document::{Diagnostics, Table};
use crate::stream::{Stream, StreamProtocol, StreamUpstream};
use crate::{Config, ListenerTls, Network, UpstreamHost, limits};

pub(super) fn streams(
    root: &mut Table<'_, '_>,
    config: &Config,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Stream> {
    let mut streams = Vec::new();
    let mut names = BTreeSet::new();
    let mut addresses: BTreeSet<_> = config.smtp.listeners.iter().map(|listener| listener.address).collect();
    for mut entry in root.tables("stream", "stream", diagnostics) {
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        if !entry.has("protocol") {
            entry.fault("protocol", diagnostics, "is missing");
        }
        let want = "\"imap\", \"pop3\" or \"submission\"";
        let protocol = entry.parsed("protocol", diagnostics, want, StreamProtocol::parse);
        if !entry.has("address") {
            entry.fault("address", diagnostics, "is missing");
        }
        let address = socket_address(&mut entry, diagnostics);
        // Port 0 lets the system choose, so two of them are two listeners.
        if address.is_some_and(|address| address.port() != 0 && !addresses.insert(address)) {
            entry.fault("address", diagnostics, "is used by another listener");
        }
        let tls = tls(&mut entry, diagnostics).unwrap_or(ListenerTls::Implicit);
        let want = "an address or a network, such as \"192.0.2.0/24\"";
        let from =
            entry.list("proxy_protocol_from", diagnostics, want, |value| Network::parse(value.as_str()?));
        let connections = entry.number("connections_max", diagnostics, &limits::CONNECTIONS);
        let per_address = entry.number("connections_per_address_max", diagnostics, &limits::CONNECTIONS);
        let new = small(entry.number("connections_per_minute", diagnostics, &limits::NEW_CONNECTIONS));
        let failures = entry.number("login_failures_per_hour", diagnostics, &limits::RATE);
        let idle = idle_timeout(&mut entry, protocol, diagnostics);
        let upstream = match entry.has("upstream") {
            true => server(&mut entry, protocol, diagnostics),
            false => {
                entry.fault(
                    "upstream",
                    diagnostics,
                    "is missing; name the server behind in [stream.upstream]",
                );
                None
            }
        };
        if let (Some(name), Some(protocol), Some(address), Some(upstream)) =
            (name, protocol, address, upstream)
        {
            streams.push(Stream {
                name,
                protocol,
                address,
                tls,
                proxy_protocol_from: from.unwrap_or_default(),
                connections_max: size_of(connections).unwrap_or(limits::STREAM_CONNECTIONS),
                connections_per_address_max: size_of(per_address)
                    .unwrap_or(limits::STREAM_CONNECTIONS_PER_ADDRESS),
                connections_per_minute: new.unwrap_or(limits::NEW_CONNECTIONS_PER_MINUTE),
                idle_timeout_seconds: idle.unwrap_or(protocol.idle_timeout_seconds()),
                login_failures_per_hour: failures.unwrap_or(limits::LOGIN_FAILURES_PER_HOUR),
                upstream,
            });
        }
        entry.finish(diagnostics);
    }
    streams
}

fn tls(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<ListenerTls> {
    // Nothing turns TLS off: passwords pass here.
    table.parsed("tls", diagnostics, "\"implicit\" or \"starttls\"", |text| match text {
        "implicit" => Some(ListenerTls::Implicit),
        "starttls" => Some(ListenerTls::StartTls),
        _ => None,
    })
}

fn idle_timeout(
    entry: &mut Table<'_, '_>,
    protocol: Option<StreamProtocol>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<u64> {
    // A protocol that is not understood is told already.
    let shortest = protocol.map_or(0, StreamProtocol::idle_timeout_seconds_min);
    entry.number("idle_timeout_seconds", diagnostics, &(shortest..=limits::STREAM_IDLE_SECONDS_MAX))
}

fn server(
    entry: &mut Table<'_, '_>,
    protocol: Option<StreamProtocol>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<StreamUpstream> {
    let mut table = entry.table("upstream", diagnostics)?;
    table.section = "[stream.upstream]".to_owned();
    if table.has("address") == table.has("hosts") {
        let message = "needs one of address (host:port) and hosts (a list of servers)";
        diagnostics.add(table.span.start, format!("{} {message}", table.section));
    }
    let tls = tls(&mut table, diagnostics).unwrap_or(ListenerTls::Implicit);
    let want = "host:port, such as \"exchange.example.org:993\"";
    let address = table.parsed("address", diagnostics, want, host_and_port);
    let tls_name = table.text("tls_name", diagnostics);
    let pin = table.parsed("certificate_sha256", diagnostics, "64 hexadecimal digits", sha256_digits);
    let ca_file = table.text("ca_file", diagnostics);
    let connect = table.number("connect_timeout_seconds", diagnostics, &limits::TIMEOUT_SECONDS);
    let send_proxy = table.truth("send_proxy", diagnostics).unwrap_or(false);
    let port = protocol.map_or(0, |protocol| protocol.port(tls));
    let listed =
        upstream::hosts(&mut table, "stream.upstream.hosts", port, (tls_name.as_ref(), pin), diagnostics);
    table.finish(diagnostics);
    let alone = address.map(|(host, port)| {
        let tls_name = tls_name.unwrap_or_else(|| host.clone());
        UpstreamHost { host, port, priority: limits::PRIORITY, tls_name, certificate_sha256: pin }
    });
    let hosts = alone.map_or(listed, |host| vec![host]);
    let connect_timeout_seconds = connect.unwrap_or(10);
    (!hosts.is_empty()).then_some(StreamUpstream { hosts, tls, ca_file, connect_timeout_seconds, send_proxy })
}
