//! `[[milter]]`

use std::collections::BTreeSet;

use super::{host_and_port, is_loopback, required, unique};
use crate::document::{Diagnostics, Table};
use crate::{Milter, MilterAddress, MilterFailure, limits};

pub(super) fn milters(root: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<Milter> {
    let mut milters = Vec::new();
    let mut names = BTreeSet::new();
    let entries = root.tables("milter", "milter", diagnostics);
    if let Some(entry) = entries.get(limits::MILTERS_MAX) {
        let message = format!("[[milter]]: at most {}, as each message waits for all", limits::MILTERS_MAX);
        diagnostics.add(entry.span.start, message);
    }
    for mut entry in entries {
        let name = name(&mut entry, diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        let address = address(&mut entry, diagnostics);
        let timeout = entry.number("timeout_seconds", diagnostics, &limits::MILTER_TIMEOUT_SECONDS);
        let on_failure =
            entry.parsed("on_failure", diagnostics, "\"defer\" or \"accept\"", |text| match text {
                "accept" => Some(MilterFailure::Accept),
                "defer" => Some(MilterFailure::Defer),
                _ => None,
            });
        if let (Some(name), Some(address)) = (name, address) {
            milters.push(Milter {
                name,
                address,
                timeout_seconds: timeout.unwrap_or(60),
                on_failure: on_failure.unwrap_or(MilterFailure::Defer),
            });
        }
        entry.finish(diagnostics);
    }
    milters
}

/// It stands in a header field of messages that were not scanned.
fn name(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<String> {
    if !entry.has("name") {
        return required(entry, "name", diagnostics);
    }
    let want = format!("1 to {} letters, digits, \"-\", \"_\" or \".\"", limits::MILTER_NAME_OCTETS_MAX);
    entry.parsed("name", diagnostics, &want, |text| {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        let fits = !text.is_empty() && text.len() <= limits::MILTER_NAME_OCTETS_MAX;
        (fits && text.bytes().all(is_plain)).then(|| text.to_owned())
    })
}

fn address(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<MilterAddress> {
    if !entry.has("address") {
        return required(entry, "address", diagnostics).map(|path| MilterAddress::Unix { path });
    }
    let want = "host:port, such as \"127.0.0.1:11332\", or a socket, such as \"unix:/run/clamav/milter.ctl\"";
    let address = entry.parsed("address", diagnostics, want, |text| match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/').then(|| MilterAddress::Unix { path: path.to_owned() }),
        None => host_and_port(text).map(|(host, port)| MilterAddress::Tcp { host, port }),
    })?;
    if let MilterAddress::Tcp { host, .. } = &address
        && !is_loopback(host)
    {
        let message = "must be on loopback or a socket, since the milter protocol is plain text; use a tunnel to reach \
                       another host";
        entry.fault("address", diagnostics, message);
        return None;
    }
    Some(address)
}
