//! `[smtp.limits]`: its values, its defaults, its text.

use crate::limits;

/// `[smtp.limits]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct SmtpLimits {
    pub tarpit_seconds: u64,
    pub tarpit_connections_max: usize,
    pub client: ClientRates,
    pub connector: SharedRates,
    pub tenant: SharedRates,
    pub overall: SharedRates,
}

/// `[smtp.limits.client]`; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct ClientRates {
    pub shared: SharedRates,
    pub errors_per_hour: u64,
    pub unknown_recipients_per_hour: u64,
}

/// `[smtp.limits.connector]`, `[smtp.limits.tenant]` and `[smtp.limits.overall]`; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct SharedRates {
    pub commands_per_minute: u64,
    pub connections_per_minute: u64,
    pub messages_per_hour: u64,
    pub recipients_per_hour: u64,
    pub megabytes_per_hour: u64,
}

/// Whether a connector's clients are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum ConnectorLimits {
    Apply,
    None,
}

impl Default for SmtpLimits {
    fn default() -> Self {
        Self {
            tarpit_seconds: 0,
            tarpit_connections_max: limits::TARPIT_CONNECTIONS,
            client: ClientRates::default(),
            connector: SharedRates::default(),
            tenant: SharedRates::default(),
            overall: SharedRates::default(),
        }
    }
}

impl Default for ClientRates {
    fn default() -> Self {
        Self {
            shared: SharedRates {
                connections_per_minute: limits::CLIENT_CONNECTIONS_PER_MINUTE,
                ..SharedRates::default()
            },
            errors_per_hour: limits::CLIENT_ERRORS_PER_HOUR,
            unknown_recipients_per_hour: limits::CLIENT_UNKNOWN_RECIPIENTS_PER_HOUR,
        }
    }
}

pub(crate) fn render(settings: &SmtpLimits) -> String {
    format!(
        "\n[smtp.limits]\ntarpit_seconds = {}\ntarpit_connections_max = {}\n\n[smtp.limits.client]\n{}\nerrors_per_hour = {}\nunknown_recipients_per_hour = {}\n\n\
         [smtp.limits.connector]\n{}\n\n[smtp.limits.tenant]\n{}\n\n[smtp.limits.overall]\n{}",
        settings.tarpit_seconds,
        settings.tarpit_connections_max,
        shared(settings.client.shared),
        settings.client.errors_per_hour,
        settings.client.unknown_recipients_per_hour,
        shared(settings.connector),
        shared(settings.tenant),
        shared(settings.overall),
    )
}

fn shared(rates: SharedRates) -> String {
    format!(
        "commands_per_minute = {}\nconnections_per_minute = {}\nmessages_per_hour = {}\nrecipients_per_hour = {}\nmegabytes_per_hour = {}",
        rates.commands_per_minute,
        rates.connections_per_minute,
        rates.messages_per_hour,
        rates.recipients_per_hour,
        rates.megabytes_per_hour,
    )
}
