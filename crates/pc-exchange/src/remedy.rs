//! # Purpose
//! Says what to install.
//!
//! # Trust
//! Reads the catalogue only.
//!
//! # Standards
//! Updates are cumulative inside a level, so that the newest one is enough.
//!
//! # Invariants
//! Names only what is out on the day. A product past its end is never answered with an update of its
//! own, unless its build shows that the server is given them.
//!
//! # See also
//! `assess`.

use std::collections::BTreeSet;

use pc_types::{Build, Date};

use crate::assess::{Known, count_on};
use crate::assessment::{MissingUpdate, Verdict};
use crate::catalogue::{Entry, Facts, Product};
use crate::support::SupportPhase;

impl Facts {
    pub(crate) fn product_of(&self, release: &Entry) -> Option<&Product> {
        self.products.get(release.product_place?)
    }

    pub(crate) fn update(&self, release: &Entry) -> MissingUpdate {
        let end = self.product_of(release).and_then(|product| product.extended_end);
        MissingUpdate {
            update: release.update_level.clone(),
            build: release.build,
            released: release.released,
            kb: release.kb.clone(),
            security: release.security,
            esu_only: is_esu_only(self.product_of(release), release, end),
        }
    }

    /// The ids of the vulnerabilities known on `date` and open in one place but not in the other.
    pub(crate) fn closed_between(&self, lower: usize, upper: usize, date: Date) -> Vec<String> {
        let open = |place: usize| -> BTreeSet<usize> {
            let exposures = self.entry(place).map_or(&[][..], |entry| entry.open.as_slice());
            exposures.iter().take(count_on(exposures, date)).map(|open| open.cve).collect()
        };
        let closed: Vec<usize> = open(lower).difference(&open(upper)).copied().collect();
        closed.into_iter().filter_map(|cve| self.cves.get(cve)).map(|cve| cve.id.clone()).collect()
    }

    pub(crate) fn remedy(&self, known: &Known, state: Verdict, date: Date) -> Option<String> {
        let floor = self.entry(known.floor)?;
        if known.support.phase == SupportPhase::ProductEnded {
            return Some(self.migration(floor, date));
        }
        let newest =
            known.missing.iter().filter_map(|place| self.entry(*place)).max_by_key(|entry| entry.build);
        let Some(newest) = newest else {
            let nothing = match state {
                Verdict::Current => "nothing",
                _ => "no update for this has come out",
            };
            return Some(nothing.to_owned());
        };
        let name = &newest.product_name;
        let is_newer_level = newest.level != floor.level;
        Some(if is_newer_level && newest.update.is_some() {
            format!("{name} {}, then {}", newest.level, described(newest))
        } else if known.support.phase == SupportPhase::ExtendedSecurityUpdates {
            format!("{name} {}, given for extended security updates", described(newest))
        } else {
            format!("{name} {}", described(newest))
        })
    }

    /// What to do about a product past its end.
    fn migration(&self, floor: &Entry, date: Date) -> String {
        let mut text = self.successor_text(date);
        if let Some(product) = self.product_of(floor)
            && let Some(last) = product.esu_periods.last().filter(|last| date <= last.end)
            && product.esu_levels.iter().any(|level| *level == floor.level)
            && let Some(update) = self.newest(date, |entry| {
                entry.product == floor.product && entry.level == floor.level && entry.released <= last.end
            })
        {
            text.push_str(&format!(
                "; until {} the only updates for this version are those given to organisations enrolled in \
                 extended security updates, the newest {}",
                last.end,
                described(update)
            ));
        }
        text
    }

    /// Where to migrate to.
    pub(crate) fn successor_text(&self, date: Date) -> String {
        let supported = self
            .products
            .iter()
            .filter(|product| product.released <= date && product.extended_end.is_none_or(|end| end >= date));
        let successor = supported.max_by_key(|product| product.released);
        let newest =
            successor.and_then(|product| self.newest(date, |entry| entry.product == product.product));
        match newest {
            Some(newest) => format!("migrate to {} {}", newest.product_name, described(newest)),
            None => "migrate to a supported version of Exchange Server".to_owned(),
        }
    }

    /// The release with exactly this build.
    pub(crate) fn release_at(&self, build: Build) -> Option<&Entry> {
        let place = self.entries.binary_search_by_key(&build, |entry| entry.build).ok()?;
        self.entries.get(place)
    }

    fn newest(&self, date: Date, is_wanted: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.released <= date && is_wanted(entry))
    }
}

pub(crate) fn is_esu_only(product: Option<&Product>, release: &Entry, end: Option<Date>) -> bool {
    let is_eligible =
        product.is_some_and(|product| product.esu_levels.iter().any(|level| *level == release.level));
    is_eligible && end.is_some_and(|end| release.released > end)
}

/// An update with its build and article, as an operator looks it up.
pub(crate) fn described(release: &Entry) -> String {
    match &release.kb {
        Some(kb) => format!("{} ({}, {kb})", release.update_level, release.build),
        None => format!("{} ({})", release.update_level, release.build),
    }
}
