//! # Purpose
//! Which vulnerabilities one release leaves open, and from which day on.
//!
//! # Trust
//! Reads the catalogue only.
//!
//! # Standards
//! The `rules` of exchange-cves.json, rule by rule.
//!
//! # Invariants
//! A vulnerability is open, or not settled by the build, or neither; never two of them.
//!
//! # See also
//! `catalogue`.

use pc_types::Date;

use crate::catalogue::{Cve, Release};

/// A vulnerability that counts against a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Place in `Facts::cves`.
    pub(crate) cve: usize,
    /// The day from which it counts: that on which the fix came out.
    pub(crate) since: Date,
}

/// The vulnerabilities open at a release, and those that no build settles; both by day.
pub(crate) fn exposures(
    release: &Release,
    level_released: Option<Date>,
    cves: &[Cve],
) -> (Vec<Exposure>, Vec<Exposure>) {
    let mut open = Vec::new();
    let mut not_settled = Vec::new();
    for (cve, known) in cves.iter().enumerate() {
        match standing(release, level_released, known) {
            Standing::Fixed | Standing::Unaffected => {}
            Standing::NotSettled(since) => not_settled.push(Exposure { cve, since }),
            Standing::Open(since) => open.push(Exposure { cve, since }),
        }
    }
    open.sort_by_key(|exposure| exposure.since);
    not_settled.sort_by_key(|exposure| exposure.since);
    (open, not_settled)
}

enum Standing {
    Fixed,
    NotSettled(Date),
    Open(Date),
    Unaffected,
}

fn standing(release: &Release, level_released: Option<Date>, cve: &Cve) -> Standing {
    let Some(fixed_on) = cve.fixed_on else { return Standing::Unaffected };
    // A product without an entry is not affected, or past its end and not looked at any more.
    if !cve.fixes.iter().any(|fix| fix.product == release.product) {
        return Standing::Unaffected;
    }
    if !cve.settled_by_build {
        return Standing::NotSettled(fixed_on);
    }
    let same_level =
        cve.fixes.iter().filter(|fix| fix.product == release.product && fix.level == release.level);
    let is_open_since = match same_level.min_by_key(|fix| fix.build) {
        Some(fix) => (release.build < fix.build).then_some(fix.released),
        // A cumulative update carries the fixes made before it; an older level without an entry
        // never got one.
        None => {
            let is_later_level = level_released.is_some_and(|released| released > fixed_on);
            (!is_later_level).then_some(fixed_on)
        }
    };
    match is_open_since {
        Some(since) => Standing::Open(since),
        // The step is one beside the update, so that it matters where the update is installed.
        None if cve.extra_action.is_some() => Standing::NotSettled(fixed_on),
        None => Standing::Fixed,
    }
}
