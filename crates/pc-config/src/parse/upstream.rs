//! `[[upstream]]`

use std::collections::BTreeSet;
use std::net::IpAddr;

use pc_types::Domain;

use super::{host_and_port, is_loopback, recipients, required, sha256_digits, size_of, unique};
use crate::document::{Diagnostics, Table};
use crate::{Domains, SmtpTarget, Upstream, UpstreamHost, UpstreamTarget, UpstreamTls, limits};

pub(super) fn upstreams(root: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    let mut names = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for mut entry in root.tables("upstream", "upstream", diagnostics) {
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        let domains = upstream_domains(&mut entry, diagnostics);
        for domain in domains.iter().flat_map(domain_texts) {
            let message = format!("{domain} is already listed; only one server can take its mail");
            if !taken.insert(domain) {
                entry.fault("domains", diagnostics, &message);
            }
        }
        let target = upstream_target(&mut entry, diagnostics);
        if let (Some(Domains::All), Some(UpstreamTarget::Smtp(_))) = (&domains, &target) {
            let message = "\"*\" would make an open relay; name the domains whose mail this server takes";
            entry.fault("domains", diagnostics, message);
        }
        let recipients = recipients::recipients(&mut entry, target.as_ref(), diagnostics);
        if let (Some(name), Some(domains), Some(target)) = (name, domains, target) {
            upstreams.push(Upstream { name, domains, target, recipients });
        }
        entry.finish(diagnostics);
    }
    upstreams
}

fn upstream_domains(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<Domains> {
    if !entry.has("domains") {
        entry.fault("domains", diagnostics, "is missing; list the domains whose mail this server takes");
        return None;
    }
    let list =
        entry.list("domains", diagnostics, "a domain, such as \"example.org\", or \"*\" alone", |value| {
            let text = value.as_str()?;
            if text == "*" { Some(None) } else { text.parse::<Domain>().ok().map(Some) }
        })?;
    match list.as_slice() {
        [] => {
            entry.fault("domains", diagnostics, "is empty");
            None
        }
        [None] => Some(Domains::All),
        _ if list.iter().any(Option::is_none) => {
            entry.fault("domains", diagnostics, "\"*\" stands alone");
            None
        }
        _ => Some(Domains::Listed(list.into_iter().flatten().collect())),
    }
}

fn domain_texts(domains: &Domains) -> Vec<String> {
    match domains {
        Domains::All => vec!["\"*\"".to_owned()],
        Domains::Listed(domains) => domains.iter().map(ToString::to_string).collect(),
    }
}

fn upstream_target(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<UpstreamTarget> {
    let ways = ["maildir", "address", "hosts"].iter().filter(|key| entry.has(key)).count();
    if ways != 1 {
        let message = "needs one of address (host:port), hosts (a list of servers), or maildir (a path)";
        diagnostics.add(entry.span.start, format!("{} {message}", entry.section));
    }
    let maildir = entry.text("maildir", diagnostics);
    let address =
        entry.parsed("address", diagnostics, "host:port, such as \"mail.example.org:25\"", host_and_port);
    let tls = entry.parsed("tls", diagnostics, "\"starttls\", \"implicit\" or \"none\"", |text| match text {
        "implicit" => Some(UpstreamTls::Implicit),
        "none" => Some(UpstreamTls::None),
        "starttls" => Some(UpstreamTls::StartTls),
        _ => None,
    });
    let tls = tls.unwrap_or(UpstreamTls::StartTls);
    let tls_name = entry.text("tls_name", diagnostics);
    let ca_file = entry.text("ca_file", diagnostics);
    let pin = entry.parsed("certificate_sha256", diagnostics, "64 hexadecimal digits", sha256_digits);
    let connections = entry.number("connections_max", diagnostics, &limits::UPSTREAM_CONNECTIONS);
    let connect = entry.number("connect_timeout_seconds", diagnostics, &limits::TIMEOUT_SECONDS);
    let command = entry.number("command_timeout_seconds", diagnostics, &limits::TIMEOUT_SECONDS);
    let health_check = entry.number("health_check_seconds", diagnostics, &limits::HEALTH_CHECK_SECONDS);
    let listed = hosts(entry, "upstream.hosts", SMTP_PORT, (tls_name.as_ref(), pin), diagnostics);
    if let Some(path) = maildir {
        return Some(UpstreamTarget::Maildir { path });
    }
    let alone = address.map(|(host, port)| {
        let tls_name = tls_name.unwrap_or_else(|| host.clone());
        UpstreamHost { host, port, priority: limits::PRIORITY, tls_name, certificate_sha256: pin }
    });
    let hosts: Vec<UpstreamHost> = alone.map_or(listed, |host| vec![host]);
    if tls == UpstreamTls::None && hosts.iter().any(|host| !is_loopback(&host.host)) {
        entry.fault(
            "tls",
            diagnostics,
            "\"none\" is for servers on loopback; use \"starttls\" or \"implicit\"",
        );
    }
    if hosts.is_empty() {
        return None;
    }
    Some(UpstreamTarget::Smtp(SmtpTarget {
        hosts,
        tls,
        ca_file,
        connections_max: size_of(connections).unwrap_or(20),
        connect_timeout_seconds: connect.unwrap_or(10),
        command_timeout_seconds: command.unwrap_or(60),
        health_check_seconds: health_check.unwrap_or(30),
    }))
}

/// RFC 5321 4.5.4.2.
const SMTP_PORT: u16 = 25;

/// `hosts`; what an entry does not say is taken from the upstream.
pub(super) fn hosts(
    entry: &mut Table<'_, '_>,
    section: &str,
    usual_port: u16,
    (tls_name, pin): (Option<&String>, Option<[u8; 32]>),
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<UpstreamHost> {
    let mut hosts = Vec::new();
    let mut places = BTreeSet::new();
    let tables = entry.tables("hosts", section, diagnostics);
    if entry.has("hosts") && !(1..=limits::UPSTREAM_HOSTS_MAX).contains(&tables.len()) {
        entry.fault("hosts", diagnostics, &format!("needs 1 to {} servers", limits::UPSTREAM_HOSTS_MAX));
    }
    for mut table in tables {
        if !table.has("host") {
            table.fault("host", diagnostics, "is missing");
        }
        let want = "a host name or an address, without a port";
        let host = table.parsed("host", diagnostics, want, |text| match text.parse::<IpAddr>() {
            Ok(address) => Some(address.to_string()),
            Err(_) => text.parse::<Domain>().ok().map(|domain| domain.to_string()),
        });
        let port = table.number("port", diagnostics, &limits::PORT).and_then(|port| u16::try_from(port).ok());
        let priority = table.number("priority", diagnostics, &limits::PRIORITIES);
        let own_name = table.text("tls_name", diagnostics);
        let own_pin = table.parsed("certificate_sha256", diagnostics, "64 hexadecimal digits", sha256_digits);
        if let Some(host) = host {
            let port = port.unwrap_or(usual_port);
            if !places.insert((host.clone(), port)) {
                table.fault("host", diagnostics, "is listed twice with the same port");
            }
            hosts.push(UpstreamHost {
                tls_name: own_name.or_else(|| tls_name.cloned()).unwrap_or_else(|| host.clone()),
                host,
                port,
                priority: priority
                    .and_then(|priority| u16::try_from(priority).ok())
                    .unwrap_or(limits::PRIORITY),
                certificate_sha256: own_pin.or(pin),
            });
        }
        table.finish(diagnostics);
    }
    hosts
}
