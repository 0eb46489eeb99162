//! Fetching the sources of the catalogue, by hand and on a schedule, and the watch over its age.

use std::path::PathBuf;
use std::time::Duration;

use pc_config::{Config, PrivateSources};
use pc_fetch::{Bounds, FetchError, Fetcher};
use pc_net::{Clock, Stop};
use pc_telemetry::Event;
use pc_tls::{ClientTls, Roots};
use pc_types::{HttpsUrl, Reach, time};

use super::live::Live;
use super::{Offer, Outcome, Revisions};
use crate::exit::{Failure, chain};
use crate::node;

/// A source and what came of fetching it.
pub struct Fetched {
    pub source: HttpsUrl,
    pub result: Result<Offer, FetchError>,
}

/// What one document may cost; the size is that of `pc-feed`, which would refuse more.
const BOUNDS: Bounds =
    Bounds { octets_max: pc_feed::limits::FEED_OCTETS_MAX, time_max: Duration::from_secs(120) };
const SIGNATURE_BOUNDS: Bounds =
    Bounds { octets_max: pc_feed::limits::SIGNATURE_OCTETS_MAX, time_max: Duration::from_secs(30) };
/// How often the age of the catalogue is looked at.
const AGE_LOOK: Duration = Duration::from_secs(24 * 60 * 60);
/// After a start, so that a node which is restarted again and again does not fetch each time.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// What fetches for the configuration.
pub fn fetcher(config: &Config) -> Result<Fetcher, Failure> {
    let roots =
        config.catalog.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::CaFile(PathBuf::from(path)));
    let tls = ClientTls::new(roots, None)
        .map_err(|error| Failure::configuration(format!("[catalog] ca_file: {}", chain(&error))))?;
    let reach = match config.catalog.private_sources {
        PrivateSources::Allow => Reach::Anywhere,
        PrivateSources::Refuse => Reach::Internet,
    };
    Ok(Fetcher::new(tls, node::resolver(config)?, reach))
}

/// Fetches sources, one after the other.
pub async fn fetch_all(fetcher: &Fetcher, sources: &[HttpsUrl]) -> Vec<Fetched> {
    let mut fetched = Vec::new();
    for source in sources {
        fetched.push(Fetched { source: source.clone(), result: fetch(fetcher, source).await });
    }
    fetched
}

async fn fetch(fetcher: &Fetcher, source: &HttpsUrl) -> Result<Offer, FetchError> {
    let octets = fetcher.get(source, BOUNDS).await?;
    let mut signature = None;
    if pc_feed::is_bundle(&octets) {
        let (path, query) = match source.target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (source.target.as_str(), String::new()),
        };
        let beside = HttpsUrl { target: format!("{path}.minisig{query}"), ..source.clone() };
        let text = fetcher.get(&beside, SIGNATURE_BOUNDS).await?;
        signature = Some(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(Offer { name: source.to_string(), octets, signature })
}

/// Tells the log what was not taken, and why.
pub fn tell(fetched: &[(String, FetchError)], outcome: Option<&Outcome>) {
    for (source, error) in fetched {
        Event::CatalogueRefused { source, code: error.code(), error: &error.to_string() }.emit();
    }
    for taken in outcome.iter().flat_map(|outcome| &outcome.offers) {
        match &taken.result {
            Err(refusal) => {
                let error = refusal.to_string();
                Event::CatalogueRefused { source: &taken.name, code: refusal.code(), error: &error }.emit();
            }
            Ok(accepted) => {
                for left_out in &accepted.left_out {
                    let error = left_out.to_string();
                    Event::CatalogueRefused { source: &taken.name, code: "left_out", error: &error }.emit();
                }
            }
        }
    }
}

/// Fetches every `update_hours`, unless somebody went back to an earlier revision by hand.
pub async fn keep_updated(config: Config, live: Live, mut stop: Stop) {
    if config.catalog.sources.is_empty() || config.catalog.update_hours == 0 {
        return;
    }
    let fetcher = match fetcher(&config) {
        Ok(fetcher) => fetcher,
        Err(failure) => {
            let error = failure.to_string();
            Event::CatalogueRefused { source: "[catalog] sources", code: "configuration", error: &error }
                .emit();
            return;
        }
    };
    let every = Duration::from_secs(u64::from(config.catalog.update_hours) * 60 * 60);
    let mut wait = FIRST_LOOK;
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = every;
        tokio::select! {
            () = stop.stopped() => return,
            () = update(&config, &fetcher, &live) => {}
        }
    }
}

async fn update(config: &Config, fetcher: &Fetcher, live: &Live) {
    let is_held = Revisions::of(config).in_use(config).is_ok_and(|in_use| in_use.held);
    if is_held {
        return;
    }
    let mut offers = Vec::new();
    let mut failed = Vec::new();
    for fetched in fetch_all(fetcher, &config.catalog.sources).await {
        match fetched.result {
            Ok(offer) => offers.push(offer),
            Err(error) => failed.push((fetched.source.to_string(), error)),
        }
    }
    let (config, live) = (config.clone(), live.clone());
    // Reading and writing megabytes is no work for the runtime's threads; a panic there costs this look only.
    let _ = tokio::task::spawn_blocking(move || {
        let now = live.clock.now();
        let imported = Revisions::of(&config).import(&config, offers, "update", now);
        tell(&failed, imported.as_ref().ok());
        let reloaded = imported.and_then(|outcome| match outcome.revision {
            Some(_) => live.reload(&config).map(|_| ()),
            None => Ok(()),
        });
        if let Err(failure) = reloaded {
            let error = failure.to_string();
            Event::CatalogueRefused { source: "update", code: "internal", error: &error }.emit();
        }
    })
    .await;
}

/// Tells daily how old the catalogue is, and that it is too old.
pub async fn watch_age(live: Live, stale_days: u32, clock: Clock, mut stop: Stop) {
    loop {
        let as_of = live.catalogue.load().as_of();
        let days = time::days_between(as_of, time::date_of(clock.now()));
        let shown = as_of.to_string();
        Event::CatalogueAged { as_of: &shown, days }.emit();
        if days > i64::from(stale_days) {
            Event::CatalogueStale { as_of: &shown, days }.emit();
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(AGE_LOOK) => {}
        }
    }
}
