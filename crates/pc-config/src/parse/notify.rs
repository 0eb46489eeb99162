//! `[notify]`

use pc_smtp::Mailbox;

use super::{required_upstream, set, small};
use crate::document::{Diagnostics, Table};
use crate::{Domains, Notify, Upstream, limits};

/// What an address must be.
pub(super) const WANT: &str = "an address such as \"postmaster@example.org\"";

pub(super) fn notify(
    mut table: Table<'_, '_>,
    settings: &mut Notify,
    upstreams: &[Upstream],
    diagnostics: &mut Diagnostics<'_>,
) {
    let operator = table.list("operator", diagnostics, WANT, |value| value.as_str().and_then(address));
    set(&mut settings.operator, operator);
    let interval = table.number("operator_interval_minutes", diagnostics, &limits::INTERVAL_MINUTES);
    set(&mut settings.operator_interval_minutes, small(interval));
    settings.from = table.parsed("from", diagnostics, WANT, address);
    settings.via = table.text("via", diagnostics);
    match &settings.via {
        Some(name) => required_upstream(&table, "via", name, upstreams, diagnostics),
        None => {
            for operator in &settings.operator {
                if !is_taken(operator, upstreams) {
                    let message = format!(
                        "no [[upstream]] takes mail for {operator}; set via to the name of one that sends it on"
                    );
                    table.fault("operator", diagnostics, &message);
                }
            }
        }
    }
    table.finish(diagnostics);
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
