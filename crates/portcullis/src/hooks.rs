//! Webhooks of the configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pc_config::{Config, Webhook};
use pc_fetch::Fetcher;
use pc_net::Clock;
use pc_notify::{WebhookSettings, Webhooks};
use pc_store::Store;
use pc_tls::{ClientTls, Roots};
use pc_types::Reach;

use crate::exit::{Failure, chain};
use crate::node;

/// The receivers, not yet connected to.
pub fn webhooks(config: &Config, store: &Store, clock: Clock) -> Result<Arc<Webhooks>, Failure> {
    let receivers = config.notify.webhooks.iter().map(|webhook| receiver(config, webhook));
    let receivers = receivers.collect::<Result<_, _>>()?;
    Ok(Arc::new(Webhooks::new(config.node.name.clone(), receivers, store.clone(), clock)))
}

/// Each webhook has secrets that can be read.
pub async fn check_secrets(config: &Config) -> Result<(), Failure> {
    for webhook in &config.notify.webhooks {
        if let Err(error) = pc_notify::secrets(Path::new(&webhook.secret_file)).await {
            let text = format!("[[notify.webhook]] {}: {error}", webhook.name);
            return Err(Failure::configuration(text));
        }
    }
    Ok(())
}

fn receiver(config: &Config, webhook: &Webhook) -> Result<WebhookSettings, Failure> {
    let roots = webhook.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::Both(PathBuf::from(path)));
    let tls = ClientTls::new(roots, None).map_err(|error| {
        Failure::configuration(format!("[[notify.webhook]] {}: ca_file: {}", webhook.name, chain(&error)))
    })?;
    let networks = webhook.allow_networks.clone();
    let is_allowed = move |address| networks.iter().any(|network| network.contains(address));
    let fetcher = Fetcher::new(tls, node::resolver(config)?, Reach::Internet)
        .allowing("[[notify.webhook]] allow_networks", is_allowed);
    Ok(WebhookSettings {
        name: webhook.name.clone(),
        url: webhook.url.clone(),
        secret_file: PathBuf::from(&webhook.secret_file),
        events: webhook.events.clone(),
        tenants: webhook.tenants.clone(),
        timeout: Duration::from_secs(webhook.timeout_seconds),
        fetcher,
    })
}
