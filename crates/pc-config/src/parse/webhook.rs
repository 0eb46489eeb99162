//! `[[notify.webhook]]`

use std::collections::BTreeSet;

use pc_enforce::DEFAULT_TENANT;
use pc_notice::WEBHOOK_EVENTS;
use pc_types::{HttpsUrl, Reach, UrlHost, check_address};

use super::{required, unique};
use crate::document::{Diagnostics, Table};
use crate::{Network, Webhook, limits};

pub(super) fn webhooks(
    notify: &mut Table<'_, '_>,
    tenants: &BTreeSet<String>,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Webhook> {
    let mut webhooks = Vec::new();
    let mut names = BTreeSet::new();
    let entries = notify.tables("webhook", "notify.webhook", diagnostics);
    if entries.len() > limits::WEBHOOKS_MAX {
        let message = format!("has more than {} entries", limits::WEBHOOKS_MAX);
        notify.fault("webhook", diagnostics, &message);
    }
    for mut entry in entries {
        let name = required(&mut entry, "name", diagnostics);
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            let message = format!(
                "must be letters, digits, '-', '_' and '.', at most {}",
                limits::WEBHOOK_NAME_OCTETS_MAX
            );
            entry.fault("name", diagnostics, &message);
        }
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        let url = url(&mut entry, diagnostics);
        let secret_file = required(&mut entry, "secret_file", diagnostics);
        let want = "an address or a network, such as \"192.0.2.0/24\"";
        let networks = entry
            .list("allow_networks", diagnostics, want, |value| value.as_str().and_then(Network::parse))
            .unwrap_or_default();
        if let Some(url) = &url {
            check_host(&entry, ("url", url), ("the receiver", &networks), diagnostics);
        }
        let events = words(&mut entry, "events", diagnostics, "one of the events in the sample", |text| {
            WEBHOOK_EVENTS.contains(&text)
        });
        let of =
            words(&mut entry, "tenants", diagnostics, "the name of a [[tenant]], or \"default\"", |text| {
                text == DEFAULT_TENANT || tenants.contains(text)
            });
        let timeout = entry.number("timeout_seconds", diagnostics, &limits::WEBHOOK_TIMEOUT_SECONDS);
        let ca_file = entry.text("ca_file", diagnostics);
        if let (Some(name), Some(url), Some(secret_file)) = (name, url, secret_file) {
            webhooks.push(Webhook {
                name,
                url,
                secret_file,
                events,
                tenants: of,
                timeout_seconds: timeout.unwrap_or(limits::WEBHOOK_TIMEOUT_SECONDS_DEFAULT),
                ca_file,
                allow_networks: networks,
            });
        }
        entry.finish(diagnostics);
    }
    webhooks
}

fn url(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<HttpsUrl> {
    if !entry.has("url") {
        entry.fault("url", diagnostics, "is missing");
    }
    let want = "an https address, such as \"https://hooks.example.org/portcullis\"";
    entry.parsed("url", diagnostics, want, |text| text.parse().ok())
}

/// A name is looked up and checked at each try; an address can be refused at once. `who` is there, for the message.
pub(super) fn check_host(
    table: &Table<'_, '_>,
    (key, url): (&str, &HttpsUrl),
    (who, networks): (&str, &[Network]),
    diagnostics: &mut Diagnostics<'_>,
) {
    let UrlHost::Address(address) = url.host else { return };
    if let Err(inside) = check_address(address, Reach::Internet)
        && !networks.iter().any(|network| network.contains(address))
    {
        let message = format!("{address} is {inside}; if {who} is there, name it in allow_networks");
        table.fault(key, diagnostics, &message);
    }
}

fn words(
    entry: &mut Table<'_, '_>,
    key: &'static str,
    diagnostics: &mut Diagnostics<'_>,
    want: &str,
    is_known: impl Fn(&str) -> bool,
) -> Vec<String> {
    let read = |text: &str| is_known(text).then(|| text.to_owned());
    entry.list(key, diagnostics, want, |value| value.as_str().and_then(read)).unwrap_or_default()
}

/// It becomes part of a path of the API.
fn is_name(text: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    text.len() <= limits::WEBHOOK_NAME_OCTETS_MAX && text.bytes().all(is_plain)
}
