//! CISA's list of known exploited vulnerabilities, as `known_exploited_vulnerabilities.json` has it.

use serde::Deserialize;

use crate::facts::{Exploited, ExploitedEntry, Feed, FeedError};
use crate::limits::VULNERABILITIES_MAX;
use crate::text;

pub(crate) fn from_json(octets: &[u8]) -> Result<Feed, FeedError> {
    let list: List =
        serde_json::from_slice(octets).map_err(|error| FeedError::Malformed(error.to_string()))?;
    let found = list.vulnerabilities.len();
    if found > VULNERABILITIES_MAX {
        return Err(FeedError::TooMuch("vulnerabilities"));
    }
    if list.count != found {
        return Err(FeedError::Count { said: list.count, found });
    }
    let entry = |raw: Entry| -> Option<Result<ExploitedEntry, FeedError>> {
        let id = text::id(&raw.cve)?;
        let days =
            text::day(&raw.added).and_then(|added| Ok((added, text::optional_day(raw.due.as_deref())?)));
        Some(days.map(|(added, due)| {
            let ransomware = raw.ransomware.as_deref().map(text::shortened);
            ExploitedEntry { id, added, due, ransomware }
        }))
    };
    Ok(Feed::Exploited(Exploited {
        version: text::shortened(&list.version),
        released: text::day(&list.released)?,
        entries: list.vulnerabilities.into_iter().filter_map(entry).collect::<Result<_, _>>()?,
    }))
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "catalogVersion")]
    version: String,
    #[serde(rename = "dateReleased")]
    released: String,
    count: usize,
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    #[serde(rename = "dateAdded")]
    added: String,
    #[serde(rename = "dueDate")]
    due: Option<String>,
    #[serde(rename = "knownRansomwareCampaignUse")]
    ransomware: Option<String>,
}
