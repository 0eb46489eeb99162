//! `[notify]`: its values, and how they are written.

use pc_notice::Language;
use pc_types::HttpsUrl;

use crate::{Network, limits};

/// `[notify]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Notify {
    pub operator: Vec<String>,
    pub operator_interval_minutes: u32,
    pub from: Option<String>,
    pub via: Option<String>,
    pub language: Language,
    pub sending_side: SendingSide,
    pub webhooks: Vec<Webhook>,
}

/// `[[notify.webhook]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Webhook {
    pub name: String,
    pub url: HttpsUrl,
    pub secret_file: String,
    pub events: Vec<String>,
    pub tenants: Vec<String>,
    pub timeout_seconds: u64,
    pub ca_file: Option<String>,
    pub allow_networks: Vec<Network>,
}

/// Whether postmasters of sending domains are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum SendingSide {
    Off,
    On,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            operator: Vec::new(),
            operator_interval_minutes: limits::OPERATOR_INTERVAL_MINUTES,
            from: None,
            via: None,
            language: Language::En,
            sending_side: SendingSide::Off,
            webhooks: Vec::new(),
        }
    }
}

/// As TOML.
pub(crate) fn to_toml(settings: &Notify, quoted: fn(&str) -> String) -> String {
    let all = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let side = match settings.sending_side {
        SendingSide::Off => "off",
        SendingSide::On => "on",
    };
    let mut text = format!(
        "\n[notify]\noperator = [{}]\noperator_interval_minutes = {}\nlanguage = \"{}\"\nsending_side = \"{side}\"",
        all(&settings.operator),
        settings.operator_interval_minutes,
        settings.language.tag(),
    );
    for (key, value) in [("from", &settings.from), ("via", &settings.via)] {
        if let Some(value) = value {
            text.push_str(&format!("\n{key} = {}", quoted(value)));
        }
    }
    for webhook in &settings.webhooks {
        text.push_str(&webhook_toml(webhook, quoted));
    }
    text
}

fn webhook_toml(webhook: &Webhook, quoted: fn(&str) -> String) -> String {
    let all = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let networks: Vec<String> =
        webhook.allow_networks.iter().map(|network| format!("\"{network}\"")).collect();
    let mut text = format!(
        "\n\n[[notify.webhook]]\nname = {}\nurl = {}\nsecret_file = {}\nevents = [{}]\ntenants = [{}]\n\
         timeout_seconds = {}\nallow_networks = [{}]",
        quoted(&webhook.name),
        quoted(&webhook.url.to_string()),
        quoted(&webhook.secret_file),
        all(&webhook.events),
        all(&webhook.tenants),
        webhook.timeout_seconds,
        networks.join(", "),
    );
    if let Some(path) = &webhook.ca_file {
        text.push_str(&format!("\nca_file = {}", quoted(path)));
    }
    text
}
