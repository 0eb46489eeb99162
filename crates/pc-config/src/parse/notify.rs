//! `[notify]`

use pc_smtp::Mailbox;

use super::{required_upstream, set, small};
use crate::document::{Diagnostics, Table};
use crate::{Domains, Language, Notify, SendingSide, Upstream, limits};

/// What an address must be.
pub(super) const WANT: &str = "an address such as \"postmaster@example.org\"";

pub(super) fn notify(
    mut table: Table<'_, '_>,
    settings: &mut Notify,
    upstreams: &[Upstream],
    diagnostics: &mut Diagnostics<'_>,
) {
    set(&mut settings.operator, addresses(&mut table, "operator", diagnostics));
    let interval = table.number("operator_interval_minutes", diagnostics, &limits::INTERVAL_MINUTES);
    set(&mut settings.operator_interval_minutes, small(interval));
    settings.from = table.parsed("from", diagnostics, WANT, address);
    settings.via = table.text("via", diagnostics);
    set(&mut settings.language, language(&mut table, diagnostics));
    let side = table.parsed("sending_side", diagnostics, "\"off\" or \"on\"", |text| match text {
        "off" => Some(SendingSide::Off),
        "on" => Some(SendingSide::On),
        _ => None,
    });
    set(&mut settings.sending_side, side);
    match &settings.via {
        Some(name) => required_upstream(&table, "via", name, upstreams, diagnostics),
        None => {
            all_taken(&table, "operator", &settings.operator, upstreams, diagnostics);
            if settings.sending_side == SendingSide::On {
                let message =
                    "\"on\" needs via, the name of an [[upstream]] that sends mail on to domains elsewhere";
                table.fault("sending_side", diagnostics, message);
            }
        }
    }
    table.finish(diagnostics);
}

pub(super) fn language(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<Language> {
    let want = "\"en\", \"fr\", \"de\", \"es\" or \"it\"";
    table.parsed("language", diagnostics, want, |text| text.parse().ok())
}

pub(super) fn addresses(
    table: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<String>> {
    table.list(key, diagnostics, WANT, |value| value.as_str().and_then(address))
}

/// Without `via` each address goes where mail for its domain goes.
pub(super) fn all_taken(
    table: &Table<'_, '_>,
    key: &str,
    addresses: &[String],
    upstreams: &[Upstream],
    diagnostics: &mut Diagnostics<'_>,
) {
    for address in addresses.iter().filter(|address| !is_taken(address, upstreams)) {
        let message = format!(
            "no [[upstream]] takes mail for {address}; set [notify] via to the name of one that sends it on"
        );
        table.fault(key, diagnostics, &message);
    }
}

/// With a domain, in ASCII: what every server takes and every header can hold.
pub(super) fn address(text: &str) -> Option<String> {
    let mailbox = Mailbox::parse(text).ok()?;
    (text.is_ascii() && mailbox.domain_name().is_some()).then(|| text.to_owned())
}

fn is_taken(address: &str, upstreams: &[Upstream]) -> bool {
    let Ok(mailbox) = Mailbox::parse(address) else { return false };
    upstreams.iter().any(|upstream| match &upstream.domains {
        Domains::All => true,
        Domains::Listed(domains) => mailbox.domain_name().is_some_and(|domain| domains.contains(domain)),
    })
}
