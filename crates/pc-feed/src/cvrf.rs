//! # Purpose
//! MSRC's monthly documents, as XML and as JSON.
//!
//! # Trust
//! See `xml`. What does not concern an Exchange server is skipped unread.
//!
//! # Standards
//! CVRF 1.1 as `api.msrc.microsoft.com/cvrf/v3.0` writes it: in JSON the kinds of threats and remediations are
//! numbers (threat 0 impact, 3 severity; remediation 2 vendor fix), in XML words.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::facts::{Advisory, Feed, FeedError, FixFact, Vulnerability};
use crate::limits::{FIXES_MAX, VULNERABILITIES_MAX};
use crate::text;
use crate::xml::{self, Element};

/// What both forms give.
#[derive(Default)]
struct Draft {
    id: Option<String>,
    initial: Option<String>,
    current: Option<String>,
    products: BTreeMap<String, String>,
    vulnerabilities: Vec<RawVulnerability>,
}

#[derive(Default)]
struct RawVulnerability {
    cve: String,
    title: String,
    impact: Option<String>,
    severity: Option<String>,
    score: Option<f64>,
    vector: Option<String>,
    revisions: Vec<String>,
    /// Product ids, build, article.
    fixes: Vec<(Vec<String>, String, String)>,
}

pub(crate) fn from_xml(text: &str) -> Result<Feed, FeedError> {
    let mut draft = Draft::default();
    let name = xml::children(text, |element| take(&mut draft, element))?;
    if name != "cvrfdoc" {
        return Err(FeedError::Format);
    }
    draft.finish()
}

fn take(draft: &mut Draft, element: Element) -> Result<(), FeedError> {
    match element.name.as_str() {
        "DocumentTracking" => {
            draft.id = element.text_at(&["Identification", "ID"]).map(str::to_owned);
            draft.initial = element.text_at(&["InitialReleaseDate"]).map(str::to_owned);
            draft.current = element.text_at(&["CurrentReleaseDate"]).map(str::to_owned);
        }
        "ProductTree" => {
            for product in element.all("FullProductName") {
                if let Some(id) = product.attribute("ProductID") {
                    draft.products.insert(id.to_owned(), product.text.trim().to_owned());
                }
            }
        }
        "Vulnerability" => {
            let raw = xml_vulnerability(&element);
            draft.push(raw)?;
        }
        _ => {}
    }
    Ok(())
}

fn xml_vulnerability(element: &Element) -> RawVulnerability {
    let owned = |path: &[&str]| element.text_at(path).map(str::to_owned);
    let section = |name: &'static str, each: &'static str| {
        element.child(name).into_iter().flat_map(move |list| list.all(each))
    };
    let threat = |kind: &str| {
        section("Threats", "Threat")
            .find(|threat| threat.attribute("Type") == Some(kind))
            .and_then(|threat| threat.text_at(&["Description"]))
            .map(str::to_owned)
    };
    let score = section("CVSSScoreSets", "ScoreSet").next();
    let fixes = section("Remediations", "Remediation")
        .filter(|remediation| remediation.attribute("Type") == Some("Vendor Fix"))
        .map(|remediation| {
            let text = |name: &str| remediation.text_at(&[name]).unwrap_or_default().to_owned();
            let products = remediation.all("ProductID").map(|id| id.text.trim().to_owned()).collect();
            (products, text("FixedBuild"), text("Description"))
        });
    RawVulnerability {
        cve: owned(&["CVE"]).unwrap_or_default(),
        title: owned(&["Title"]).unwrap_or_default(),
        impact: threat("Impact"),
        severity: threat("Severity"),
        score: score.and_then(|score| score.text_at(&["BaseScore"])?.parse().ok()),
        vector: score.and_then(|score| score.text_at(&["Vector"])).map(str::to_owned),
        revisions: section("RevisionHistory", "Revision")
            .filter_map(|revision| revision.text_at(&["Date"]))
            .map(str::to_owned)
            .collect(),
        fixes: fixes.collect(),
    }
}

pub(crate) fn from_json(octets: &[u8]) -> Result<Feed, FeedError> {
    let document: Document =
        serde_json::from_slice(octets).map_err(|error| FeedError::Malformed(error.to_string()))?;
    let tracking = document.tracking;
    let mut draft = Draft {
        id: tracking.identification.id.value,
        initial: tracking.initial,
        current: tracking.current,
        ..Draft::default()
    };
    for product in document.product_tree.full_names {
        draft.products.insert(product.id, product.value);
    }
    for raw in document.vulnerabilities {
        let threat = |kind: i64| {
            raw.threats
                .iter()
                .find(|threat| threat.kind == kind)
                .and_then(|threat| threat.description.value.clone())
                .filter(|text| !text.is_empty())
        };
        let fixes = raw.remediations.iter().filter(|remediation| remediation.kind == VENDOR_FIX).map(|fix| {
            let article = fix.description.value.clone().unwrap_or_default();
            (fix.products.clone(), fix.fixed_build.clone().unwrap_or_default(), article)
        });
        let score = raw.scores.first();
        let vulnerability = RawVulnerability {
            impact: threat(IMPACT),
            severity: threat(SEVERITY),
            score: score.and_then(|score| score.base),
            vector: score.and_then(|score| score.vector.clone()),
            revisions: raw.revisions.iter().filter_map(|revision| revision.date.clone()).collect(),
            fixes: fixes.collect(),
            cve: raw.cve.unwrap_or_default(),
            title: raw.title.value.unwrap_or_default(),
        };
        draft.push(vulnerability)?;
    }
    draft.finish()
}

const IMPACT: i64 = 0;
const SEVERITY: i64 = 3;
const VENDOR_FIX: i64 = 2;

impl Draft {
    fn push(&mut self, vulnerability: RawVulnerability) -> Result<(), FeedError> {
        if self.vulnerabilities.len() >= VULNERABILITIES_MAX {
            return Err(FeedError::TooMuch("vulnerabilities"));
        }
        self.vulnerabilities.push(vulnerability);
        Ok(())
    }

    fn finish(self) -> Result<Feed, FeedError> {
        let id = self.id.ok_or(FeedError::Missing("the document's id"))?;
        let revised = self.current.ok_or(FeedError::Missing("CurrentReleaseDate"))?;
        text::day(&revised)?;
        let initial = self.initial.ok_or(FeedError::Missing("InitialReleaseDate"))?;
        let exchange: BTreeSet<&String> = self
            .products
            .iter()
            .filter(|(_, name)| text::is_exchange_server(name))
            .map(|(id, _)| id)
            .collect();
        let mut vulnerabilities = Vec::new();
        for raw in &self.vulnerabilities {
            vulnerabilities.extend(vulnerability(raw, &exchange)?);
        }
        Ok(Feed::Vulnerabilities(Advisory {
            document: format!("msrc {}", text::shortened(&id)),
            covers_until: Some(text::day(&initial)?),
            revised: text::shortened(&revised),
            vulnerabilities,
        }))
    }
}

/// `None` for one that names no fix for an Exchange server.
fn vulnerability(
    raw: &RawVulnerability,
    exchange: &BTreeSet<&String>,
) -> Result<Option<Vulnerability>, FeedError> {
    let concerned =
        raw.fixes.iter().filter(|(products, _, _)| products.iter().any(|product| exchange.contains(product)));
    let mut fixes: Vec<FixFact> = concerned
        .filter_map(|(_, build, article)| Some(FixFact { build: text::build(build)?, kb: text::kb(article) }))
        .collect();
    fixes.sort();
    fixes.dedup();
    if fixes.len() > FIXES_MAX {
        return Err(FeedError::TooMuch("fixes"));
    }
    let (Some(id), false) = (text::id(&raw.cve), fixes.is_empty()) else { return Ok(None) };
    let days: Vec<_> = raw.revisions.iter().map(|day| text::day(day)).collect::<Result<_, _>>()?;
    Ok(Some(Vulnerability {
        id,
        title: text::shortened(&raw.title),
        impact: raw.impact.as_deref().map(text::shortened),
        severity: raw.severity.as_deref().map(text::shortened),
        score: raw.score.and_then(text::score),
        vector: raw.vector.as_deref().map(text::shortened),
        published: days.iter().min().copied(),
        revised: days.iter().max().copied(),
        fixes,
    }))
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "DocumentTracking")]
    tracking: Tracking,
    #[serde(rename = "ProductTree")]
    product_tree: ProductTree,
    #[serde(rename = "Vulnerability", default)]
    vulnerabilities: Vec<JsonVulnerability>,
}

#[derive(Deserialize)]
struct Tracking {
    #[serde(rename = "Identification")]
    identification: Identification,
    #[serde(rename = "InitialReleaseDate")]
    initial: Option<String>,
    #[serde(rename = "CurrentReleaseDate")]
    current: Option<String>,
}

#[derive(Deserialize)]
struct Identification {
    #[serde(rename = "ID")]
    id: Text,
}

#[derive(Default, Deserialize)]
struct Text {
    #[serde(rename = "Value")]
    value: Option<String>,
}

#[derive(Deserialize)]
struct ProductTree {
    #[serde(rename = "FullProductName", default)]
    full_names: Vec<ProductName>,
}

#[derive(Deserialize)]
struct ProductName {
    #[serde(rename = "ProductID")]
    id: String,
    #[serde(rename = "Value")]
    value: String,
}

#[derive(Deserialize)]
struct JsonVulnerability {
    #[serde(rename = "CVE")]
    cve: Option<String>,
    #[serde(rename = "Title", default)]
    title: Text,
    #[serde(rename = "Threats", default)]
    threats: Vec<Threat>,
    #[serde(rename = "CVSSScoreSets", default)]
    scores: Vec<Score>,
    #[serde(rename = "Remediations", default)]
    remediations: Vec<Remediation>,
    #[serde(rename = "RevisionHistory", default)]
    revisions: Vec<Revision>,
}

#[derive(Deserialize)]
struct Threat {
    #[serde(rename = "Type")]
    kind: i64,
    #[serde(rename = "Description", default)]
    description: Text,
}

#[derive(Deserialize)]
struct Score {
    #[serde(rename = "BaseScore")]
    base: Option<f64>,
    #[serde(rename = "Vector")]
    vector: Option<String>,
}

#[derive(Deserialize)]
struct Remediation {
    #[serde(rename = "Type")]
    kind: i64,
    #[serde(rename = "Description", default)]
    description: Text,
    #[serde(rename = "ProductID", default)]
    products: Vec<String>,
    #[serde(rename = "FixedBuild")]
    fixed_build: Option<String>,
}

#[derive(Deserialize)]
struct Revision {
    #[serde(rename = "Date")]
    date: Option<String>,
}
