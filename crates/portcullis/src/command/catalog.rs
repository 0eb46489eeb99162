use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pc_config::Config;
use pc_exchange::{Catalogue, Release};
use pc_net::Clock;
use pc_types::{Build, time};
use pc_web::client::{ClientError, request, request_in_process};
use serde_json::{Value, json};

use super::{Context, moment, parse_moment};
use crate::catalogue::update::{fetch_all, fetcher, tell};
use crate::catalogue::{InUse, Offer, Outcome, Revisions};
use crate::cli::Catalog;
use crate::exit::{BAD, Failure, chain};
use crate::node;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Catalog) -> Result<u8, Failure> {
    let config = context.load()?;
    let revisions = Revisions::of(&config);
    match arguments {
        Catalog::Check { now } => check(context, &config, now.as_deref()),
        Catalog::Export { file } => export(&config, &file),
        Catalog::History => {
            history(context, &revisions)?;
            Ok(0)
        }
        Catalog::Import { files } => {
            let offers = files.iter().map(|path| offer(path)).collect::<Result<Vec<_>, _>>()?;
            change(context, &config, |now| revisions.import(&config, offers, "import", now)).await
        }
        Catalog::Rollback { revision } => {
            let judging = Judging::begin(&config).await?;
            let to = revisions.roll_back(revision, Clock::System.now())?;
            let rejudged = judging.finish(&config).await?;
            if context.json {
                print_json(&json!({ "revision": to, "rejudged": rejudged }));
            } else {
                print(&format!(
                    "revision {to} is in use; scheduled updates stop until `portcullis catalog update` or import\n{}",
                    rejudged_text(&rejudged)
                ));
            }
            Ok(0)
        }
        Catalog::Show { build, as_of } => {
            let catalogue = believed(&config, &revisions, as_of.as_deref())?;
            match build {
                None => {
                    if !context.json && as_of.is_none() {
                        print(&shown_head(&revisions.in_use(&config)?));
                    }
                    show(context, catalogue.releases());
                }
                Some(text) => return one(context, &catalogue, &text),
            }
            Ok(0)
        }
        Catalog::Update => update(context, &config, &revisions).await,
    }
}

/// The catalogue as it was in use at the end of a day, or as it is.
fn believed(config: &Config, revisions: &Revisions, as_of: Option<&str>) -> Result<Catalogue, Failure> {
    if let Some(day) = as_of
        && let Some(files) = revisions.believed(parse_moment(day)?)?
    {
        return files.load().map_err(|error| Failure::configuration(chain(&error)));
    }
    revisions.in_use(config).map(|in_use| in_use.catalogue)
}

fn check(context: &Context, config: &Config, now: Option<&str>) -> Result<u8, Failure> {
    let in_use = Revisions::of(config).in_use(config)?;
    let catalogue = &in_use.catalogue;
    let days = time::days_between(catalogue.as_of(), time::date_of(moment(now)?));
    let is_stale = days > i64::from(config.catalog.stale_days);
    if context.json {
        print_json(&json!({
            "valid": true,
            "as_of": catalogue.as_of().to_string(),
            "digest": catalogue.digest(),
            "builds": catalogue.releases_len(),
            "cves": catalogue.cves_len(),
            "revision": in_use.revision,
            "held": in_use.held,
            "signature": in_use.signature.code(),
            "age_days": days,
            "stale": is_stale,
        }));
    } else {
        let from = match in_use.revision {
            Some(revision) => format!("revision {revision}"),
            None => "the program's own".to_owned(),
        };
        print(&format!(
            "catalogue of {}, {from}: {} builds, {} CVEs and advisories, checksums right\nsignature: {}\ndigest {}",
            catalogue.as_of(),
            catalogue.releases_len(),
            catalogue.cves_len(),
            in_use.signature.text(),
            catalogue.digest()
        ));
        if is_stale {
            print(&format!(
                "STALE: {days} days old, at most {} by [catalog] stale_days; run `portcullis catalog update`, import newer \
                 feeds or a bundle, or install a newer version of Portcullis",
                config.catalog.stale_days
            ));
        }
    }
    Ok(if is_stale { BAD } else { 0 })
}

/// Which catalogue is shown, and who signed it.
fn shown_head(in_use: &InUse) -> String {
    let from = in_use.revision.map_or_else(
        || "the program's own".to_owned(),
        |revision| format!("revision {revision}{}", if in_use.held { ", held" } else { "" }),
    );
    format!("Catalogue of {}, {from}; signature: {}", in_use.catalogue.as_of(), in_use.signature.text())
}

fn export(config: &Config, file: &Path) -> Result<u8, Failure> {
    let in_use = Revisions::of(config).in_use(config)?;
    let bundle = pc_feed::write_bundle(&in_use.files, Clock::System.now());
    fs::write(file, bundle).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let path = file.display();
    print(&format!("{path} written; sign it: minisign -S -m {path}"));
    Ok(0)
}

fn history(context: &Context, revisions: &Revisions) -> Result<(), Failure> {
    let mut list = Vec::new();
    for entry in revisions.history() {
        let number =
            entry.get("revision").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        let manifest = number.map(|number| revisions.manifest(number)).transpose()?.unwrap_or_default();
        list.push((entry, manifest));
    }
    if context.json {
        print_json(
            &list.iter().map(|(entry, manifest)| json!({ "entry": entry, "manifest": manifest })).collect(),
        );
        return Ok(());
    }
    if list.is_empty() {
        print("Nothing was imported yet: the program's own catalogue is in use.");
        return Ok(());
    }
    let text = |value: &Value, key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(entries)) => entries.len().to_string(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|(entry, manifest)| {
            let names = manifest.get("from").and_then(Value::as_array).into_iter().flatten();
            let names: Vec<String> = names.map(|from| text(from, "name")).collect();
            vec![
                text(entry, "at"),
                text(entry, "revision"),
                text(entry, "action"),
                text(manifest, "as_of"),
                text(manifest, "changes"),
                names.join(", "),
            ]
        })
        .collect();
    print(&table(&["WHEN", "REVISION", "ACTION", "OF", "CHANGES", "FROM"], &rows));
    Ok(())
}

async fn update(context: &Context, config: &Config, revisions: &Revisions) -> Result<u8, Failure> {
    if config.catalog.sources.is_empty() {
        return Err(Failure::usage(
            "[catalog] sources names nothing to fetch; `portcullis catalog import` takes files",
        ));
    }
    let mut offers = Vec::new();
    let mut failed = Vec::new();
    for fetched in fetch_all(&fetcher(config)?, &config.catalog.sources).await {
        match fetched.result {
            Ok(offer) => offers.push(offer),
            Err(error) => failed.push((fetched.source.to_string(), error)),
        }
    }
    for (source, error) in &failed {
        print(&format!("not fetched  {source}: {error}"));
    }
    revisions.release()?;
    let code = change(context, config, |now| revisions.import(config, offers, "update", now)).await?;
    tell(&failed, None);
    Ok(if failed.is_empty() { code } else { BAD })
}

/// A file, with the signature beside it if there is one.
fn offer(path: &Path) -> Result<Offer, Failure> {
    let fault = |path: &Path, error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", path.display()))
    };
    let read = |path: &Path, most: usize| -> std::io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        // One more than may be, so that it is seen to be more.
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        fs::File::open(path)?.take(most).read_to_end(&mut octets)?;
        Ok(octets)
    };
    let octets = read(path, pc_feed::limits::FEED_OCTETS_MAX).map_err(|error| fault(path, error))?;
    let beside = PathBuf::from(format!("{}.minisig", path.display()));
    let signature = match read(&beside, pc_feed::limits::SIGNATURE_OCTETS_MAX) {
        Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(fault(&beside, error)),
    };
    Ok(Offer { name: path.display().to_string(), octets, signature })
}

/// Imports, has all servers judged anew, and tells.
async fn change(
    context: &Context,
    config: &Config,
    import: impl FnOnce(pc_types::Timestamp) -> Result<Outcome, Failure>,
) -> Result<u8, Failure> {
    let judging = Judging::begin(config).await?;
    let outcome = import(Clock::System.now());
    let rejudged = match &outcome {
        Ok(Outcome { revision: Some(_), .. }) => judging.finish(config).await?,
        _ => {
            judging.close().await;
            Value::Null
        }
    };
    let outcome = outcome?;
    if context.json {
        print_json(&outcome_json(&outcome, &rejudged));
    } else {
        print(&outcome_text(&outcome, &rejudged));
    }
    Ok(if outcome.is_refused() { BAD } else { 0 })
}

/// Who judges anew: the node that runs, or, opened while the old catalogue is still in use, this process.
struct Judging {
    offline: Option<node::Offline>,
}

const RELOAD: &str = "/api/v1/catalog/reload";

impl Judging {
    async fn begin(config: &Config) -> Result<Self, Failure> {
        let socket = node::socket_path(Path::new(&config.node.data));
        let is_running = tokio::net::UnixStream::connect(&socket).await.is_ok();
        // A damaged revision must not keep from going back to a sound one.
        let offline = match is_running {
            true => None,
            false => node::Offline::open(config).await.ok(),
        };
        Ok(Self { offline })
    }

    async fn finish(self, config: &Config) -> Result<Value, Failure> {
        let socket = node::socket_path(Path::new(&config.node.data));
        let answer = match &self.offline {
            Some(offline) => request_in_process(offline.router(), "POST", RELOAD, None).await,
            None => request(&socket, "POST", RELOAD, None).await,
        };
        self.close().await;
        match answer {
            Ok((200, bytes)) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Ok((_, bytes)) => Err(Failure::internal(format!(
                "the revision is kept, but the node did not take it: {}",
                String::from_utf8_lossy(&bytes)
            ))),
            Err(ClientError::NotRunning) => Ok(Value::Null),
            Err(error) => Err(Failure::internal(chain(&error))),
        }
    }

    async fn close(self) {
        if let Some(offline) = self.offline {
            offline.close().await;
        }
    }
}

fn rejudged_text(rejudged: &Value) -> String {
    let count = |key: &str| rejudged.get(key).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "all servers judged anew: {} owe that did not, {} owe nothing any more",
        count("owing"),
        count("released")
    )
}

fn outcome_text(outcome: &Outcome, rejudged: &Value) -> String {
    let mut text = String::new();
    for offer in &outcome.offers {
        match &offer.result {
            Err(refusal) => text.push_str(&format!("refused  {}: {refusal}\n", offer.name)),
            Ok(accepted) => {
                text.push_str(&format!("taken    {}: {} changes\n", offer.name, accepted.changes.len()));
                accepted.changes.iter().for_each(|change| text.push_str(&format!("         {change}\n")));
                accepted.left_out.iter().for_each(|left| text.push_str(&format!("left out {left}\n")));
            }
        }
    }
    match outcome.revision {
        Some(revision) => text.push_str(&format!(
            "revision {revision}, catalogue of {}; {}",
            outcome.after.as_of(),
            rejudged_text(rejudged)
        )),
        None => text.push_str("nothing new: what was in use stays"),
    }
    text
}

fn outcome_json(outcome: &Outcome, rejudged: &Value) -> Value {
    let offers: Vec<Value> = outcome
        .offers
        .iter()
        .map(|offer| match &offer.result {
            Err(refusal) => {
                json!({ "name": offer.name, "refused": refusal.code(), "reason": refusal.to_string() })
            }
            Ok(accepted) => {
                let left_out: Vec<String> = accepted.left_out.iter().map(ToString::to_string).collect();
                json!({ "name": offer.name, "changes": accepted.changes, "left_out": left_out })
            }
        })
        .collect();
    json!({
        "offers": offers,
        "revision": outcome.revision,
        "as_of": outcome.after.as_of().to_string(),
        "digest": outcome.after.digest(),
        "rejudged": rejudged,
    })
}

fn one(context: &Context, catalogue: &Catalogue, text: &str) -> Result<u8, Failure> {
    let build: Build = text.parse().map_err(|error| Failure::usage(format!("{text:?}: {error}")))?;
    match catalogue.release(build) {
        Some(release) => {
            show(context, std::iter::once(release));
            Ok(0)
        }
        None => {
            print(&format!(
                "{build} is no release of the catalogue of {}; `portcullis judge {build}` says what it lies between",
                catalogue.as_of()
            ));
            Ok(BAD)
        }
    }
}

fn show<'a>(context: &Context, releases: impl Iterator<Item = &'a Release>) {
    if context.json {
        let list: Vec<Value> = releases
            .map(|release| {
                json!({
                    "product": release.product,
                    "update": release.update_level,
                    "build": release.build.to_string(),
                    "released": release.released.to_string(),
                    "kb": release.kb,
                    "security": release.security,
                })
            })
            .collect();
        print_json(&list.into());
        return;
    }
    let rows: Vec<Vec<String>> = releases
        .map(|release| {
            vec![
                release.product.clone(),
                release.update_level.clone(),
                release.build.to_string(),
                release.released.to_string(),
                release.kb.clone().unwrap_or_default(),
                if release.security { "security" } else { "" }.to_owned(),
            ]
        })
        .collect();
    print(&table(&["PRODUCT", "UPDATE", "BUILD", "RELEASED", "KB", ""], &rows));
}
