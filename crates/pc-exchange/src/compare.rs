//! # Purpose
//! What differs between two states of the catalogue.
//!
//! # Trust
//! Both were loaded, so that their references hold.
//!
//! # Invariants
//! Two catalogues without a difference judge every build alike, but for the texts of support dates.
//!
//! # See also
//! `pc-feed`, which refuses some of these.

use std::collections::BTreeMap;
use std::fmt;

use pc_types::Build;

use crate::catalogue::{Catalogue, Cve};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named for what they hold, the variants say what happened")]
pub enum CatalogueChange {
    CveAdded { cve: String },
    CveRemoved { cve: String },
    ExploitedChanged { cve: String, from: Option<bool>, to: Option<bool> },
    FixAdded { cve: String, product: String, level: String, build: Build },
    FixMoved { cve: String, product: String, level: String, from: Build, to: Build, revision: Revision },
    FixRemoved { cve: String, product: String, level: String, build: Build },
    ReleaseAdded { build: Build, update: String },
    ReleaseChanged { build: Build },
    ReleaseRemoved { build: Build },
}

/// Whether what is said of a vulnerability is newer than what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// It is.
    Newer,
    /// It has the same day, an earlier one, or none.
    NotNewer,
}

impl fmt::Display for CatalogueChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kev = |known: &Option<bool>| match known {
            Some(true) => "exploited",
            Some(false) => "not known to be exploited",
            None => "not looked at",
        };
        match self {
            Self::CveAdded { cve } => write!(formatter, "{cve} added"),
            Self::CveRemoved { cve } => write!(formatter, "{cve} removed"),
            Self::ExploitedChanged { cve, from, to } => {
                write!(formatter, "{cve}: {}, was {}", kev(to), kev(from))
            }
            Self::FixAdded { cve, product, level, build } => {
                write!(formatter, "{cve}: {product} {level} is fixed by {build}")
            }
            Self::FixMoved { cve, product, level, from, to, .. } => {
                write!(formatter, "{cve}: {product} {level} is fixed by {to}, was {from}")
            }
            Self::FixRemoved { cve, product, level, build } => {
                write!(formatter, "{cve}: the fix of {product} {level} by {build} is gone")
            }
            Self::ReleaseAdded { build, update } => write!(formatter, "{build} ({update}) added"),
            Self::ReleaseChanged { build } => write!(formatter, "{build} is told of otherwise"),
            Self::ReleaseRemoved { build } => write!(formatter, "{build} removed"),
        }
    }
}

impl Catalogue {
    /// What is different here from `before`.
    pub fn changes_since(&self, before: &Self) -> Vec<CatalogueChange> {
        let mut changes = Vec::new();
        for release in self.releases() {
            match before.release(release.build) {
                None => changes.push(CatalogueChange::ReleaseAdded {
                    build: release.build,
                    update: release.update_level.clone(),
                }),
                Some(earlier) if earlier != release => {
                    changes.push(CatalogueChange::ReleaseChanged { build: release.build });
                }
                Some(_) => {}
            }
        }
        let gone = before.releases().filter(|release| self.release(release.build).is_none());
        changes.extend(gone.map(|release| CatalogueChange::ReleaseRemoved { build: release.build }));
        let by_id = |catalogue: &'_ Self| -> BTreeMap<String, usize> {
            let cves = catalogue.facts().cves.iter().enumerate();
            cves.map(|(place, cve)| (cve.id.clone(), place)).collect()
        };
        let (ours, theirs) = (by_id(self), by_id(before));
        for (id, place) in &ours {
            let Some(cve) = self.facts().cves.get(*place) else { continue };
            match theirs.get(id).and_then(|place| before.facts().cves.get(*place)) {
                None => changes.push(CatalogueChange::CveAdded { cve: id.clone() }),
                Some(earlier) => changes_of(earlier, cve, &mut changes),
            }
        }
        let gone = theirs.keys().filter(|id| !ours.contains_key(*id));
        changes.extend(gone.map(|cve| CatalogueChange::CveRemoved { cve: cve.clone() }));
        changes
    }
}

fn changes_of(before: &Cve, after: &Cve, changes: &mut Vec<CatalogueChange>) {
    let cve = after.id.clone();
    if before.kev != after.kev {
        changes.push(CatalogueChange::ExploitedChanged { cve: cve.clone(), from: before.kev, to: after.kev });
    }
    let revision = if after.revised > before.revised { Revision::Newer } else { Revision::NotNewer };
    for fix in &after.fixes {
        let (product, level) = (fix.product.clone(), fix.level.clone());
        let earlier = before.fixes.iter().find(|other| other.product == product && other.level == level);
        match earlier.map(|earlier| earlier.build) {
            None => {
                changes.push(CatalogueChange::FixAdded {
                    cve: cve.clone(),
                    product,
                    level,
                    build: fix.build,
                });
            }
            Some(from) if from != fix.build => changes.push(CatalogueChange::FixMoved {
                cve: cve.clone(),
                product,
                level,
                from,
                to: fix.build,
                revision,
            }),
            Some(_) => {}
        }
    }
    for fix in &before.fixes {
        let stays = after.fixes.iter().any(|other| other.product == fix.product && other.level == fix.level);
        if !stays {
            let (product, level) = (fix.product.clone(), fix.level.clone());
            changes.push(CatalogueChange::FixRemoved { cve: cve.clone(), product, level, build: fix.build });
        }
    }
}
