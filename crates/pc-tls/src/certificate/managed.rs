//! # Purpose
//! The pairs that the node obtained by itself: proven before their files are kept, and served from then on.
//!
//! # Trust
//! What an authority issued is not trusted to be fit: it passes what files of the operator pass.
//!
//! # Standards
//! As the module above.
//!
//! # Invariants
//! - Files are put in place only after the pair in them has passed all checks, handshakes included: what lies there can be
//!   served, by the next start as well.
//! - The operator's own files are not read: one that is half written at the moment keeps no managed pair out.
//!
//! # See also
//! `pc-acme`, which obtains them.

use std::iter::once;
use std::sync::{Arc, PoisonError};

use pc_types::Timestamp;

use super::pair::Pair;
use super::{
    CertificateError, CertificateFiles, CertificateStore, CertificateSummary, Loaded, Reloaded, stamps_of,
};
use crate::limits::PAIRS_MAX;
use crate::verify;

/// What a pair of files holds, if it is fit to be served at `now`: with all checks of a reload, proven by handshakes in
/// memory.
///
/// # Errors
/// Why it is not.
pub fn prove(files: &CertificateFiles, now: Timestamp) -> Result<CertificateSummary, CertificateError> {
    let pair = Pair::read(files, now)?;
    let summary = pair.summary.clone();
    let alone = Arc::new(Loaded { pairs: vec![pair], own: 1 });
    verify::verify_candidate(&alone).map_err(CertificateError::Standard)?;
    Ok(summary)
}

impl CertificateStore {
    /// Puts one pair in the place of all that the node obtained by itself, with all checks of a reload. The operator's own
    /// pairs stay as they are in service.
    ///
    /// # Errors
    /// Why the pair is not fit to be served at `now`. What was served stays in service.
    pub fn set_managed(&self, files: CertificateFiles, now: Timestamp) -> Result<Reloaded, CertificateError> {
        self.adopt(&files.clone(), now, || Ok(files))
    }

    /// The same for files that `keep` puts where they stay, once all checks have passed; it says where that is.
    ///
    /// # Errors
    /// The same, and what `keep` says. What was served stays in service.
    pub fn adopt(
        &self,
        fresh: &CertificateFiles,
        now: Timestamp,
        keep: impl FnOnce() -> Result<CertificateFiles, CertificateError>,
    ) -> Result<Reloaded, CertificateError> {
        let mut managed = self.inner.managed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Renaming changes none of what a stamp holds.
        let stamps = stamps_of(once(fresh));
        let mut pair = Pair::read(fresh, now)?;
        let current = self.loaded();
        self.check(&Arc::new(current.with_managed(pair.clone())?))?;
        let kept = keep()?;
        pair.summary.chain.clone_from(&kept.chain);
        let mut candidate = current.with_managed(pair)?;
        candidate.keep_staples(&current);
        let is_same = candidate.is_same_as(&current);
        let own_stamps = stamps_of(self.inner.files.iter()).len();
        seen.truncate(own_stamps);
        seen.extend(stamps);
        *managed = vec![kept];
        self.inner.loaded.store(Arc::new(candidate));
        if !is_same {
            self.inner.swapped.send_replace(());
        }
        Ok(if is_same { Reloaded::Unchanged } else { Reloaded::Swapped })
    }
}

impl Loaded {
    /// The operator's own pairs of these, and one managed pair.
    fn with_managed(&self, pair: Pair) -> Result<Self, CertificateError> {
        let mut pairs: Vec<Pair> = self.pairs.iter().take(self.own).cloned().collect();
        if pairs.len() >= PAIRS_MAX {
            return Err(CertificateError::TooManyPairs);
        }
        pairs.push(pair);
        Ok(Self { pairs, own: self.own })
    }
}

#[cfg(test)]
mod tests;
