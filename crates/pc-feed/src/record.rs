//! One CVE record, format 5, as the CVE list and its copies have it.

use serde::Deserialize;

use crate::facts::{Advisory, Feed, FeedError, FixFact, Vulnerability};
use crate::limits::FIXES_MAX;
use crate::text;

pub(crate) fn from_json(octets: &[u8]) -> Result<Feed, FeedError> {
    let record: Record =
        serde_json::from_slice(octets).map_err(|error| FeedError::Malformed(error.to_string()))?;
    let metadata = record.metadata;
    if metadata.state != "PUBLISHED" {
        return Err(FeedError::NotPublished(text::shortened(&metadata.state)));
    }
    let id = text::id(&metadata.id).ok_or(FeedError::Missing("a CVE id"))?;
    let cna = record.containers.cna;
    // What the vendor says, not when somebody else added something to the record.
    let revised = cna.provider.updated.or(metadata.updated).ok_or(FeedError::Missing("dateUpdated"))?;
    let exchange = cna.affected.iter().filter(|affected| {
        affected.vendor.as_deref().is_some_and(|vendor| vendor.eq_ignore_ascii_case("microsoft"))
            && affected.product.as_deref().is_some_and(text::is_exchange_server)
    });
    // "lessThan" may be a page's address or a dash, and then says nothing.
    let mut fixes: Vec<FixFact> = exchange
        .flat_map(|affected| &affected.versions)
        .filter(|version| version.status.as_deref() == Some("affected"))
        .filter_map(|version| text::build(version.less_than.as_deref()?))
        .map(|build| FixFact { build, kb: None })
        .collect();
    fixes.sort();
    fixes.dedup();
    if fixes.len() > FIXES_MAX {
        return Err(FeedError::TooMuch("fixes"));
    }
    let title = text::shortened(&cna.title.unwrap_or_default());
    let score = cna.metrics.iter().find_map(|metric| metric.score.as_ref());
    let published = text::optional_day(cna.published.or(metadata.published).as_deref())?;
    let vulnerability = Vulnerability {
        impact: impact(&title),
        severity: None,
        score: score.and_then(|score| text::score(score.base)),
        vector: score.and_then(|score| score.vector.as_deref()).map(text::shortened),
        published,
        revised: Some(text::day(&revised)?),
        id: id.clone(),
        title,
        fixes,
    };
    let is_concerned = !vulnerability.fixes.is_empty();
    Ok(Feed::Vulnerabilities(Advisory {
        document: format!("cve {id}"),
        covers_until: None,
        revised: text::shortened(&revised),
        vulnerabilities: is_concerned.then_some(vulnerability).into_iter().collect(),
    }))
}

/// Microsoft's titles end in the impact: "Microsoft Exchange Server Spoofing Vulnerability".
fn impact(title: &str) -> Option<String> {
    let rest = title
        .strip_prefix("Microsoft Exchange Server ")
        .or_else(|| title.strip_prefix("Microsoft Exchange "))?;
    let impact = rest.strip_suffix(" Vulnerability")?;
    Some(impact.to_owned())
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "cveMetadata")]
    metadata: Metadata,
    containers: Containers,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "cveId")]
    id: String,
    state: String,
    #[serde(rename = "dateUpdated")]
    updated: Option<String>,
    #[serde(rename = "datePublished")]
    published: Option<String>,
}

#[derive(Deserialize)]
struct Containers {
    cna: Cna,
}

#[derive(Deserialize)]
struct Cna {
    title: Option<String>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(rename = "datePublic")]
    published: Option<String>,
    #[serde(rename = "providerMetadata", default)]
    provider: Provider,
}

#[derive(Default, Deserialize)]
struct Provider {
    #[serde(rename = "dateUpdated")]
    updated: Option<String>,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(rename = "cvssV3_1")]
    score: Option<Score>,
}

#[derive(Deserialize)]
struct Score {
    #[serde(rename = "baseScore")]
    base: f64,
    #[serde(rename = "vectorString")]
    vector: Option<String>,
}

#[derive(Deserialize)]
struct Affected {
    vendor: Option<String>,
    product: Option<String>,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    status: Option<String>,
    #[serde(rename = "lessThan")]
    less_than: Option<String>,
}
