//! Fetching the sources of the catalogue, by hand and on a schedule, and the watch over its age.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pc_config::{Config, PrivateSources};
use pc_fetch::{Bounds, FetchError, Fetcher};
use pc_net::Stop;
use pc_notice::{Addressee, Notice};
use pc_store::{NoticeRow, Repetition, Store};
use pc_telemetry::Event;
use pc_tls::{ClientTls, Roots};
use pc_types::{HttpsUrl, Reach, SignedDuration, Timestamp, time};

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
const AGE_LOOK: SignedDuration = SignedDuration::from_hours(24);
/// After a start, so that a node which is restarted again and again does not fetch each time.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(60);
/// After a source failed. A monthly update is worth an hour, and a server in trouble is not asked more often.
const RETRY: SignedDuration = SignedDuration::from_hours(1);

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
    signed(fetcher, source, octets).await
}

/// The offer, with the signature that stands beside a bundle.
async fn signed(fetcher: &Fetcher, source: &HttpsUrl, octets: Vec<u8>) -> Result<Offer, FetchError> {
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

/// Why a source gave nothing.
struct Refused {
    code: &'static str,
    error: String,
}

/// The scheduled updates.
struct Updates {
    config: Config,
    live: Live,
    store: Store,
    fetcher: Fetcher,
    /// By which its server knows what was taken last, by source. Not kept on disk: after a restart all is fetched once.
    etags: BTreeMap<String, String>,
}

/// Fetches every `update_hours`, and each hour while a source fails, unless somebody went back to an earlier revision by
/// hand.
pub fn keep_updated(
    config: Config,
    live: Live,
    store: Store,
    stop: Stop,
) -> impl Future<Output = ()> + Send + 'static {
    // Counted from the call and not from when the task first runs.
    let first = later(live.clock.now(), FIRST_LOOK);
    keep_updated_from(first, config, live, store, stop)
}

async fn keep_updated_from(first: Timestamp, config: Config, live: Live, store: Store, mut stop: Stop) {
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
    let every = SignedDuration::from_hours(i64::from(config.catalog.update_hours));
    let clock = live.clock.clone();
    let mut updates = Updates { config, live, store, fetcher, etags: BTreeMap::new() };
    let mut next = first;
    while !stop.is_stopped() {
        tokio::select! {
            () = stop.stopped() => return,
            () = clock.wait_until(next) => {}
        }
        let began = clock.now();
        let refused = tokio::select! {
            () = stop.stopped() => return,
            refused = updates.look() => refused,
        };
        next = later(began, if refused.is_empty() { every } else { every.min(RETRY) });
        updates.tell_operator(refused).await;
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

impl Updates {
    /// Looks at the sources; gives what was not fetched or not taken, each with its source.
    async fn look(&mut self) -> Vec<(String, Refused)> {
        let (config, live) = (self.config.clone(), self.live.clone());
        let is_held = Revisions::of(&config).in_use(&config).is_ok_and(|in_use| in_use.held);
        if is_held {
            return Vec::new();
        }
        let (mut offers, mut failed, mut etags) = (Vec::new(), Vec::new(), BTreeMap::new());
        for source in &config.catalog.sources {
            let name = source.to_string();
            match self.fetch(source).await {
                Ok(Some((offer, etag))) => {
                    etags.insert(name, etag);
                    offers.push(offer);
                }
                Ok(None) => {}
                Err(error) => failed.push((name, error)),
            }
        }
        // Reading and writing megabytes is no work for the runtime's threads; a panic there costs this look only.
        let taking = tokio::task::spawn_blocking(move || take(&config, &live, offers, &failed));
        let fault = |_| {
            vec![("update".to_owned(), Refused { code: "internal", error: "a fault of ours".to_owned() })]
        };
        let refused = taking.await.unwrap_or_else(fault);
        // What was not taken is fetched again, and told of again.
        for (source, etag) in
            etags.into_iter().filter(|(source, _)| refused.iter().all(|(other, _)| other != source))
        {
            match etag {
                Some(etag) => self.etags.insert(source, etag),
                None => self.etags.remove(&source),
            };
        }
        refused
    }

    async fn fetch(&self, source: &HttpsUrl) -> Result<Option<(Offer, Option<String>)>, FetchError> {
        let etag = self.etags.get(&source.to_string()).map(String::as_str);
        let Some(document) = self.fetcher.get_if_changed(source, BOUNDS, etag).await? else {
            return Ok(None);
        };
        let offer = signed(&self.fetcher, source, document.octets).await?;
        Ok(Some((offer, document.etag)))
    }

    /// Once a day for each source and reason: an outage of an hour needs no ten mails.
    async fn tell_operator(&self, refused: Vec<(String, Refused)>) {
        let at = self.live.clock.now();
        let day = time::date_of(at);
        let notices = refused.into_iter().map(|(source, Refused { code, error })| {
            let key = format!("catalogue {source} {code} {day}");
            (key, Notice::CatalogueRefused { source, code: code.to_owned(), error, at })
        });
        tell_operator(&self.config, &self.store, notices.collect(), at).await;
    }
}

/// Writes what the operator is to be told into the outbox, where webhooks find it as well.
async fn tell_operator(config: &Config, store: &Store, notices: Vec<(String, Notice)>, at: Timestamp) {
    let is_heard = !config.notify.operator.is_empty() || !config.notify.webhooks.is_empty();
    if notices.is_empty() || !is_heard {
        return;
    }
    let rows = notices.into_iter().map(|(key, notice)| NoticeRow {
        at,
        addressee: Addressee::Operator.to_string(),
        subject: "catalogue".to_owned(),
        key,
        facts: notice.to_json(),
        repetition: Repetition::EachKey,
    });
    if let Err(error) = store.write_notices(&rows.collect::<Vec<_>>()).await {
        // It is tried again with the next failure, and stands in the log.
        Event::NoticeFailed { error: &chain(&error) }.emit();
    }
}

/// Takes in what was fetched and judges all servers anew; gives what was refused.
fn take(
    config: &Config,
    live: &Live,
    offers: Vec<Offer>,
    failed: &[(String, FetchError)],
) -> Vec<(String, Refused)> {
    let imported = Revisions::of(config).import(config, offers, "update", live.clock.now());
    tell(failed, imported.as_ref().ok());
    let mut refused: Vec<(String, Refused)> = failed
        .iter()
        .map(|(source, error)| (source.clone(), Refused { code: error.code(), error: error.to_string() }))
        .collect();
    let offers = imported.iter().flat_map(|outcome| &outcome.offers);
    refused.extend(offers.filter_map(|taken| {
        let refusal = taken.result.as_ref().err()?;
        Some((taken.name.clone(), Refused { code: refusal.code(), error: refusal.to_string() }))
    }));
    let reloaded = imported.and_then(|outcome| match outcome.revision {
        Some(_) => live.reload(config).map(|_| ()),
        None => Ok(()),
    });
    if let Err(failure) = reloaded {
        let error = failure.to_string();
        Event::CatalogueRefused { source: "update", code: "internal", error: &error }.emit();
        refused.push(("update".to_owned(), Refused { code: "internal", error }));
    }
    refused
}

/// Tells daily how old the catalogue is, and that it is too old; the operator hears that once a week.
pub async fn watch_age(config: Config, live: Live, store: Store, mut stop: Stop) {
    let (clock, stale_days) = (live.clock.clone(), i64::from(config.catalog.stale_days));
    while !stop.is_stopped() {
        let (as_of, now) = (live.catalogue.load().as_of(), clock.now());
        let days = time::days_between(as_of, time::date_of(now));
        let shown = as_of.to_string();
        Event::CatalogueAged { as_of: &shown, days }.emit();
        if days > stale_days {
            Event::CatalogueStale { as_of: &shown, days }.emit();
            let week = (days - stale_days) / 7;
            let key = format!("catalogue stale {shown} {week}");
            let notice = Notice::CatalogueStale { as_of, days, at: now };
            tell_operator(&config, &store, vec![(key, notice)], now).await;
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = clock.wait_until(later(now, AGE_LOOK)) => {}
        }
    }
}
