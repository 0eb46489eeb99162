//! `[catalog]`

use super::{set, small};
use crate::document::{Diagnostics, Table};
use crate::{Catalog, PrivateSources, limits};

pub(super) fn catalog(mut table: Table<'_, '_>, settings: &mut Catalog, diagnostics: &mut Diagnostics<'_>) {
    settings.directory = table.text("directory", diagnostics);
    settings.public_key = public_key(&mut table, "public_key", diagnostics);
    let stale = table.number("stale_days", diagnostics, &limits::DAYS);
    set(&mut settings.stale_days, small(stale));
    let want = "an https address, such as \"https://example.org/known_exploited_vulnerabilities.json\"";
    let sources = table.list("sources", diagnostics, want, |value| value.as_str()?.parse().ok());
    if sources.as_ref().is_some_and(|sources| sources.len() > limits::CATALOG_SOURCES_MAX) {
        let message = format!("has more than {} entries", limits::CATALOG_SOURCES_MAX);
        table.fault("sources", diagnostics, &message);
    }
    set(&mut settings.sources, sources);
    let hours = table.number("update_hours", diagnostics, &limits::CATALOG_UPDATE_HOURS);
    set(&mut settings.update_hours, small(hours));
    settings.ca_file = table.text("ca_file", diagnostics);
    let private =
        table.parsed("private_sources", diagnostics, "\"refuse\" or \"allow\"", |text| match text {
            "allow" => Some(PrivateSources::Allow),
            "refuse" => Some(PrivateSources::Refuse),
            _ => None,
        });
    set(&mut settings.private_sources, private);
    table.finish(diagnostics);
}

/// A minisign key, as it stands in its file.
pub(super) fn public_key(
    table: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<String> {
    let want = "a minisign public key: the second line of its file, 56 characters that begin with RW";
    table.parsed(key, diagnostics, want, |text| {
        let is_base64 = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
        let is_key = text.len() == limits::PUBLIC_KEY_OCTETS && text.starts_with("RW");
        (is_key && text.bytes().all(is_base64)).then(|| text.to_owned())
    })
}
