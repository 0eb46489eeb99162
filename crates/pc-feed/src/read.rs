//! Which format a document has, by what stands in it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::bundle::BUNDLE_FORMAT;
use crate::facts::{Feed, FeedError};
use crate::limits::FEED_OCTETS_MAX;
use crate::{cvrf, kev, record};

/// Reads a feed.
///
/// # Errors
/// Why it was refused.
pub fn read(octets: &[u8]) -> Result<Feed, FeedError> {
    if octets.len() > FEED_OCTETS_MAX {
        return Err(FeedError::TooMuch("octets"));
    }
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    match octets.iter().find(|octet| !octet.is_ascii_whitespace()) {
        Some(b'<') => {
            let text = std::str::from_utf8(octets)
                .map_err(|_| FeedError::Malformed("it is not UTF-8".to_owned()))?;
            cvrf::from_xml(text)
        }
        Some(b'{') => from_json(octets),
        _ => Err(FeedError::Format),
    }
}

/// Whether it says of itself that it is a bundle, which is not read before its signature.
pub fn is_bundle(octets: &[u8]) -> bool {
    let head = octets.get(..octets.len().min(BUNDLE_HEAD_OCTETS)).unwrap_or_default();
    String::from_utf8_lossy(head).contains(BUNDLE_FORMAT)
}

/// The format stands first.
const BUNDLE_HEAD_OCTETS: usize = 200;

fn from_json(octets: &[u8]) -> Result<Feed, FeedError> {
    let marks: Marks =
        serde_json::from_slice(octets).map_err(|error| FeedError::Malformed(error.to_string()))?;
    match marks {
        Marks { catalog_version: Some(_), .. } => kev::from_json(octets),
        Marks { cve_metadata: Some(_), .. } => record::from_json(octets),
        Marks { document_tracking: Some(_), .. } => cvrf::from_json(octets),
        _ => Err(FeedError::Format),
    }
}

/// A field that only one of the formats has.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "catalogVersion")]
    catalog_version: Option<IgnoredAny>,
    #[serde(rename = "cveMetadata")]
    cve_metadata: Option<IgnoredAny>,
    #[serde(rename = "DocumentTracking")]
    document_tracking: Option<IgnoredAny>,
}
