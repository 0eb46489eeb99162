//! # Purpose
//! A whole catalogue in one signed file.
//!
//! # Trust
//! Whoever holds the secret key to the public key of the configuration; nobody else.
//!
//! # Standards
//! minisign signatures of the pre-hashed form (Ed25519 over BLAKE2b); the old form is refused.
//!
//! # Invariants
//! Nothing of a bundle is read before its signature was found right.

use std::collections::BTreeMap;

use minisign_verify::{PublicKey, Signature};
use pc_exchange::{Catalogue, CatalogueChange, Revision};
use pc_types::{Timestamp, time};
use serde::{Deserialize, Serialize};

use crate::facts::FeedError;
use crate::limits::{DAYS_AHEAD_MAX, FEED_OCTETS_MAX, SIGNATURE_OCTETS_MAX};
use crate::refusal::Refusal;
use crate::set::FileSet;

/// The first field of a bundle.
pub const BUNDLE_FORMAT: &str = "portcullis-catalogue-1";

/// A bundle whose signature was right.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// When it was made.
    pub issued: Timestamp,
    /// Its files.
    pub files: FileSet,
}

#[derive(Deserialize, Serialize)]
struct Raw {
    format: String,
    issued: Timestamp,
    files: BTreeMap<String, String>,
}

/// Reads a bundle that `public_key` signed.
///
/// # Errors
/// The signature is not right, or what it signs is no bundle.
pub fn open_bundle(octets: &[u8], signature: &str, public_key: &str) -> Result<Bundle, Refusal> {
    if octets.len() > FEED_OCTETS_MAX {
        return Err(Refusal::Feed(FeedError::TooMuch("octets")));
    }
    check_signature(octets, signature, public_key)?;
    let malformed = |error: String| Refusal::Feed(FeedError::Malformed(error));
    let raw: Raw = serde_json::from_slice(octets).map_err(|error| malformed(error.to_string()))?;
    if raw.format != BUNDLE_FORMAT {
        return Err(Refusal::Feed(FeedError::Format));
    }
    let files = raw.files.into_iter().map(|(name, text)| (name, text.into_bytes()));
    Ok(Bundle { issued: raw.issued, files: FileSet::new(files) })
}

/// Whether `public_key` signed `octets`.
///
/// # Errors
/// The signature is of something else, of another key, or no signature.
pub fn check_signature(octets: &[u8], signature: &str, public_key: &str) -> Result<(), Refusal> {
    let wrong = |error: minisign_verify::Error| Refusal::Signature(error.to_string());
    if signature.len() > SIGNATURE_OCTETS_MAX {
        return Err(Refusal::Signature("the file is too large".to_owned()));
    }
    let key = PublicKey::from_base64(public_key.trim()).map_err(wrong)?;
    let signature = Signature::decode(signature).map_err(wrong)?;
    key.verify(octets, &signature, false).map_err(wrong)
}

/// Writes a bundle, to be signed.
pub fn write_bundle(files: &FileSet, issued: Timestamp) -> String {
    let texts =
        files.files().map(|(name, bytes)| (name.to_owned(), String::from_utf8_lossy(bytes).into_owned()));
    let raw = Raw { format: BUNDLE_FORMAT.to_owned(), issued, files: texts.collect() };
    serde_json::to_string(&raw).unwrap_or_default()
}

/// Whether a bundle may take the place of what is in use. `issued_in_use` is that of the bundle in use, if it
/// is one.
///
/// # Errors
/// It is older, smaller, or takes fixes back.
pub fn check_bundle(
    bundle: &Bundle,
    in_use: &Catalogue,
    issued_in_use: Option<Timestamp>,
    now: Timestamp,
) -> Result<Catalogue, Refusal> {
    let offered = bundle.files.load().map_err(Refusal::Catalogue)?;
    if bundle.issued > time::add_days(now, DAYS_AHEAD_MAX) {
        return Err(Refusal::Ahead(time::date_of(bundle.issued)));
    }
    let ahead = time::date_of(time::add_days(now, DAYS_AHEAD_MAX));
    if offered.as_of() > ahead {
        return Err(Refusal::Ahead(offered.as_of()));
    }
    if let Some(issued) = issued_in_use.filter(|issued| bundle.issued < *issued) {
        return Err(Refusal::Older { in_use: issued.to_string(), offered: bundle.issued.to_string() });
    }
    if offered.as_of() < in_use.as_of() {
        let (in_use, offered) = (in_use.as_of().to_string(), offered.as_of().to_string());
        return Err(Refusal::Older { in_use, offered });
    }
    check_changes(&offered.changes_since(in_use))?;
    Ok(offered)
}

fn check_changes(changes: &[CatalogueChange]) -> Result<(), Refusal> {
    for change in changes {
        match change {
            CatalogueChange::CveRemoved { .. }
            | CatalogueChange::FixRemoved { .. }
            | CatalogueChange::ReleaseRemoved { .. } => return Err(Refusal::Shrinks(change.to_string())),
            CatalogueChange::FixMoved { cve, from, to, revision: Revision::NotNewer, .. } if to < from => {
                return Err(Refusal::Backwards(cve.clone()));
            }
            _ => {}
        }
    }
    Ok(())
}
