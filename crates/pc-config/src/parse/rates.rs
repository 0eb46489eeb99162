//! `[smtp.limits]`

use super::{set, size_of};
use crate::document::{Diagnostics, Table};
use crate::limits::{CONNECTIONS, RATE, TARPIT_SECONDS};
use crate::rates::{ConnectorLimits, SharedRates, SmtpLimits};

pub(super) fn smtp_limits(
    smtp: &mut Table<'_, '_>,
    settings: &mut SmtpLimits,
    diagnostics: &mut Diagnostics<'_>,
) {
    let Some(mut table) = section(smtp, "limits", "smtp.limits", diagnostics) else { return };
    let tarpit = table.number("tarpit_seconds", diagnostics, &TARPIT_SECONDS);
    set(&mut settings.tarpit_seconds, tarpit);
    let places = table.number("tarpit_connections_max", diagnostics, &CONNECTIONS);
    set(&mut settings.tarpit_connections_max, size_of(places));
    if let Some(mut client) = section(&mut table, "client", "smtp.limits.client", diagnostics) {
        shared(&mut client, &mut settings.client.shared, diagnostics);
        let errors = client.number("errors_per_hour", diagnostics, &RATE);
        set(&mut settings.client.errors_per_hour, errors);
        let unknown = client.number("unknown_recipients_per_hour", diagnostics, &RATE);
        set(&mut settings.client.unknown_recipients_per_hour, unknown);
        client.finish(diagnostics);
    }
    let scopes = [
        ("connector", "smtp.limits.connector", &mut settings.connector),
        ("tenant", "smtp.limits.tenant", &mut settings.tenant),
        ("overall", "smtp.limits.overall", &mut settings.overall),
    ];
    for (key, name, rates) in scopes {
        if let Some(mut scope) = section(&mut table, key, name, diagnostics) {
            shared(&mut scope, rates, diagnostics);
            scope.finish(diagnostics);
        }
    }
    table.finish(diagnostics);
}

pub(super) fn connector_limits(
    entry: &mut Table<'_, '_>,
    diagnostics: &mut Diagnostics<'_>,
) -> ConnectorLimits {
    let limits = entry.parsed("limits", diagnostics, "\"apply\" or \"none\"", |text| match text {
        "apply" => Some(ConnectorLimits::Apply),
        "none" => Some(ConnectorLimits::None),
        _ => None,
    });
    limits.unwrap_or(ConnectorLimits::Apply)
}

fn shared(table: &mut Table<'_, '_>, rates: &mut SharedRates, diagnostics: &mut Diagnostics<'_>) {
    set(&mut rates.commands_per_minute, table.number("commands_per_minute", diagnostics, &RATE));
    set(&mut rates.connections_per_minute, table.number("connections_per_minute", diagnostics, &RATE));
    set(&mut rates.messages_per_hour, table.number("messages_per_hour", diagnostics, &RATE));
    set(&mut rates.recipients_per_hour, table.number("recipients_per_hour", diagnostics, &RATE));
    set(&mut rates.megabytes_per_hour, table.number("megabytes_per_hour", diagnostics, &RATE));
}

/// A section inside another one.
fn section<'a, 'i>(
    parent: &mut Table<'a, 'i>,
    key: &'static str,
    name: &str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Table<'a, 'i>> {
    let value = parent.value(key)?;
    let table = value.get_ref().as_table();
    if table.is_none() {
        diagnostics.add(value.span().start, format!("{name}: must be a section, [{name}]"));
    }
    Some(Table::new(&format!("[{name}]"), value.span(), table?))
}
