//! # Purpose
//! The catalogue and a feed become a new state of the catalogue.
//!
//! # Trust
//! The feed was read in bounds, and may still be false.
//!
//! # Invariants
//! Nothing is removed. The files that come of it were loaded again.
//!
//! # See also
//! `vulnerability`.

use pc_exchange::{Catalogue, CatalogueChange};
use pc_types::{Date, Timestamp, time};
use serde_json::{Map, Value, json};

use crate::facts::{Advisory, Exploited, Feed, FeedError};
use crate::limits::{DAYS_AHEAD_MAX, KEV_KEPT_PERCENT_MIN};
use crate::refusal::{LeftOut, Refusal};
use crate::set::{BUILDS, CVES, FileSet};
use crate::text;
use crate::vulnerability::take;

/// What came of a feed.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The files.
    pub files: FileSet,
    /// The catalogue in them.
    pub catalogue: Catalogue,
    /// What is different.
    pub changes: Vec<CatalogueChange>,
    /// What was not taken.
    pub left_out: Vec<LeftOut>,
}

/// The JSON of the files that feeds change.
pub(crate) struct Documents {
    pub(crate) builds: Value,
    pub(crate) cves: Value,
}

impl Documents {
    /// The list of entries in one of them.
    pub(crate) fn entries<'a>(document: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
        document.get_mut(name)?.as_array_mut()
    }
}

/// Merges a feed.
///
/// # Errors
/// Why nothing of it was taken.
pub fn merge(files: &FileSet, feed: &Feed, now: Timestamp) -> Result<Merged, Refusal> {
    let before = files.load().map_err(Refusal::Catalogue)?;
    let parse = |name: &str| -> Result<Value, Refusal> {
        let malformed = |error: serde_json::Error| Refusal::Feed(FeedError::Malformed(error.to_string()));
        serde_json::from_slice(files.get(name)).map_err(malformed)
    };
    let mut documents = Documents { builds: parse(BUILDS)?, cves: parse(CVES)? };
    let today = time::date_of(time::add_days(now, DAYS_AHEAD_MAX));
    let left_out = match feed {
        Feed::Exploited(exploited) => take_exploited(&mut documents, exploited, today)?,
        Feed::Vulnerabilities(advisory) => take_advisory(&mut documents, &before, advisory, today)?,
    };
    let write = |value: &Value| serde_json::to_vec_pretty(value).unwrap_or_default();
    let files = files.with([(BUILDS, write(&documents.builds)), (CVES, write(&documents.cves))]);
    let catalogue = files.load().map_err(Refusal::Catalogue)?;
    let changes = catalogue.changes_since(&before);
    Ok(Merged { files, catalogue, changes, left_out })
}

fn take_exploited(
    documents: &mut Documents,
    exploited: &Exploited,
    today: Date,
) -> Result<Vec<LeftOut>, Refusal> {
    if exploited.released > today {
        return Err(Refusal::Ahead(exploited.released));
    }
    let in_use = documents.cves.get("kev_snapshot").and_then(Value::as_str).unwrap_or_default().to_owned();
    if text::day(&in_use).is_ok_and(|in_use| in_use > exploited.released) {
        return Err(Refusal::Older { in_use, offered: exploited.released.to_string() });
    }
    let snapshot = exploited.released.to_string();
    let (mut known, mut kept, mut left_out) = (0, 0, Vec::new());
    for cve in Documents::entries(&mut documents.cves, "cves").into_iter().flatten() {
        let id = cve.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let was_listed = cve.pointer("/kev/in_kev").and_then(Value::as_bool) == Some(true);
        let published = cve.get("published").and_then(Value::as_str).and_then(|day| text::day(day).ok());
        let entry = exploited.entries.iter().find(|entry| entry.id == id);
        known += usize::from(was_listed);
        kept += usize::from(was_listed && entry.is_some());
        let Some(object) = cve.as_object_mut() else { continue };
        match entry {
            Some(entry) => object.insert(
                "kev".to_owned(),
                json!({
                    "in_kev": true,
                    "date_added": entry.added.to_string(),
                    "due_date": entry.due.map(|due| due.to_string()),
                    "ransomware_use": entry.ransomware,
                    "snapshot": snapshot,
                }),
            ),
            // Entries vanish without a word; that does not make them unexploited.
            None if was_listed => {
                left_out.push(LeftOut::Unlisted { cve: id });
                None
            }
            // Newer than the list: nothing is known yet.
            None if published.is_none_or(|published| published > exploited.released) => None,
            None => object.insert(
                "kev".to_owned(),
                json!({
                    "in_kev": false, "date_added": null, "due_date": null, "ransomware_use": null, "snapshot": snapshot,
                }),
            ),
        };
    }
    if kept * 100 < known * KEV_KEPT_PERCENT_MIN {
        return Err(Refusal::Shrinks(format!(
            "it has {kept} of {known} vulnerabilities known to be exploited"
        )));
    }
    set(&mut documents.cves, "kev_snapshot", snapshot.into());
    Ok(left_out)
}

fn take_advisory(
    documents: &mut Documents,
    before: &Catalogue,
    advisory: &Advisory,
    today: Date,
) -> Result<Vec<LeftOut>, Refusal> {
    let revised = text::day(&advisory.revised).map_err(Refusal::Feed)?;
    if revised > today {
        return Err(Refusal::Ahead(revised));
    }
    let in_use = documents.cves.pointer("/feeds").and_then(|feeds| feeds.get(&advisory.document));
    let in_use = in_use.and_then(Value::as_str).unwrap_or_default().to_owned();
    // Days first: the times of one document are written alike, but nothing promises it.
    if text::day(&in_use).is_ok_and(|day| (day, in_use.as_str()) > (revised, advisory.revised.as_str())) {
        return Err(Refusal::Older { in_use, offered: advisory.revised.clone() });
    }
    let mut left_out = Vec::new();
    let mut newest = before.as_of();
    for vulnerability in &advisory.vulnerabilities {
        let released = take(documents, before, &advisory.document, vulnerability, today, &mut left_out);
        newest = newest.max(released.unwrap_or(newest));
    }
    if let Some(covers) = advisory.covers_until {
        newest = newest.max(covers);
    }
    if newest > today {
        return Err(Refusal::Ahead(newest));
    }
    if newest > before.as_of() {
        set(&mut documents.builds, "as_of", newest.to_string().into());
        set(&mut documents.cves, "as_of", newest.to_string().into());
    }
    let count =
        |document: &Value, name: &str| document.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let (builds, cves) = (count(&documents.builds, "builds"), count(&documents.cves, "cves"));
    set(&mut documents.builds, "count", builds.into());
    set(&mut documents.cves, "count", cves.into());
    if advisory.covers_until.is_some() || !advisory.vulnerabilities.is_empty() {
        let mut feeds =
            documents.cves.get("feeds").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
        feeds.insert(advisory.document.clone(), advisory.revised.clone().into());
        set(&mut documents.cves, "feeds", feeds.into());
    }
    Ok(left_out)
}

fn set(document: &mut Value, name: &str, value: Value) {
    if let Some(object) = document.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
