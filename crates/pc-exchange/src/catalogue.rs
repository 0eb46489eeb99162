//! # Purpose
//! The catalogue in memory: releases by branch, and for every release the vulnerabilities that it
//! leaves open, worked out once so that judging a build costs no search.
//!
//! # Trust
//! Built only by `load`, after the checksums of its files matched.
//!
//! # Standards
//! The `rules` of exchange-cves.json and the `facts` of exchange-header-observations.json.
//!
//! # Invariants
//! Immutable. Releases are in the order of their builds.
//!
//! # See also
//! `load`, `assess`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pc_types::{Build, Date};

/// One released build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `SE`, `2019`, `2016` and so on.
    pub product: String,
    /// The product's full name.
    pub product_name: String,
    /// The cumulative update or service pack: `CU23`, `SP3`, `RTM`.
    pub level: String,
    /// The update on top of the level: `Apr24HU`, `RU32`. `None` for the level itself.
    pub update: Option<String>,
    /// Level and update in one: `CU23 Apr24HU`.
    pub update_level: String,
    /// The version of its programs.
    pub build: Build,
    /// The day of release; the first of the month where only the month is known.
    pub released: Date,
    /// The article in Microsoft's knowledge base.
    pub kb: Option<String>,
    /// Whether it fixes vulnerabilities.
    pub security: bool,
}

/// Everything known about Exchange builds on one day.
#[derive(Debug)]
pub struct Catalogue {
    as_of: Date,
    digest: String,
    pub(crate) products: Vec<Product>,
    pub(crate) cves: Vec<Cve>,
    pub(crate) entries: Vec<Entry>,
    branches: BTreeMap<Branch, Range<usize>>,
}

/// A release and what was worked out about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) release: Release,
    aliases: Vec<Build>,
    /// Vulnerabilities open at this build, with the day the fix came, by that day.
    pub(crate) open: Vec<Exposure>,
    /// Vulnerabilities for which the build settles nothing, or not alone.
    pub(crate) not_settled: Vec<Exposure>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure {
    /// Place in `Catalogue::cves`.
    pub(crate) cve: usize,
    /// The day from which it counts.
    pub(crate) since: Date,
}

#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) product: String,
    pub(crate) name: String,
    pub(crate) released: Date,
    pub(crate) extended_end: Option<Date>,
    pub(crate) levels: Vec<Level>,
    pub(crate) esu_levels: Vec<String>,
    pub(crate) esu_windows: Vec<Window>,
}

/// A cumulative update and the last day it gets security updates.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) name: String,
    pub(crate) until: Option<Date>,
}

#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) name: String,
    pub(crate) start: Date,
    pub(crate) end: Date,
}

#[derive(Debug)]
pub(crate) struct Cve {
    pub(crate) id: String,
    pub(crate) class: Option<String>,
    pub(crate) cvss: Option<f64>,
    pub(crate) kev: bool,
    pub(crate) fixed_on: Option<Date>,
    pub(crate) settled_by_build: bool,
    pub(crate) extra_action: Option<String>,
    pub(crate) fixes: Vec<Fix>,
}

#[derive(Debug)]
pub(crate) struct Fix {
    pub(crate) product: String,
    pub(crate) level: String,
    pub(crate) build: Build,
    pub(crate) released: Date,
}

/// Builds between which only updates differ. From Exchange 2013 on the third number names the
/// cumulative update; before it the first two name the version or the service pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Branch(u16, u16, Option<u16>);

impl Branch {
    fn of(build: Build) -> Self {
        let third = (build.major >= MAJOR_OF_2013).then_some(build.build);
        Self(build.major, build.minor, third)
    }
}

pub(crate) const MAJOR_OF_2013: u16 = 15;

/// The release that an id stands for, at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified<'a> {
    /// The newest release that the id proves.
    pub floor: &'a Release,
    /// How the id relates to it.
    pub relation: Relation,
    pub(crate) index: usize,
}

/// How an id relates to the release it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Seen in headers in place of the release.
    Alias,
    /// Below the first release of the branch.
    BelowBase,
    /// Between two releases.
    Between,
    /// The build of the release.
    Exact,
    /// Above the newest release the catalogue knows in the branch.
    Newer,
}

impl Catalogue {
    /// The day up to which the facts reach.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// The SHA-256 of the file of checksums: one name for this state of the catalogue.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All releases in the order of their builds.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.entries.iter().map(|entry| &entry.release)
    }

    /// The release with exactly this build.
    pub fn release(&self, build: Build) -> Option<&Release> {
        let place = self.entries.binary_search_by_key(&build, |entry| entry.release.build).ok()?;
        self.entries.get(place).map(|entry| &entry.release)
    }

    /// How many vulnerabilities and advisories are known.
    pub fn cves_len(&self) -> usize {
        self.cves.len()
    }

    /// The release an id stands for at the least, or `None` for a branch the catalogue lacks.
    pub fn identify(&self, id: Build) -> Option<Identified<'_>> {
        let (start, branch) = self.branch(id)?;
        let found = |offset: usize, relation| {
            branch.get(offset).map(|entry| Identified {
                floor: &entry.release,
                relation,
                index: start + offset,
            })
        };
        let above = branch.partition_point(|entry| entry.release.build <= id);
        if let Some(offset) = above.checked_sub(1)
            && branch.get(offset).is_some_and(|entry| entry.release.build == id)
        {
            return found(offset, Relation::Exact);
        }
        if let Some(offset) = branch.iter().position(|entry| entry.aliases.contains(&id)) {
            return found(offset, Relation::Alias);
        }
        match above.checked_sub(1) {
            None => found(0, Relation::BelowBase),
            Some(offset) if above == branch.len() => found(offset, Relation::Newer),
            Some(offset) => found(offset, Relation::Between),
        }
    }

    /// The releases of the id's branch, and the place of the first among all.
    pub(crate) fn branch(&self, id: Build) -> Option<(usize, &[Entry])> {
        let range = self.branches.get(&Branch::of(id))?;
        self.entries.get(range.clone()).map(|entries| (range.start, entries))
    }

    pub(crate) fn product(&self, name: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.product == name)
    }

    pub(crate) fn assemble(
        as_of: Date,
        digest: String,
        products: Vec<Product>,
        cves: Vec<Cve>,
        releases: Vec<(Release, Vec<Build>)>,
    ) -> Self {
        let level_dates = level_dates(&releases);
        let entry = |(release, aliases): (Release, Vec<Build>)| {
            let level_released = level_dates.get(&(release.product.clone(), release.level.clone())).copied();
            let (open, not_settled) = exposures(&release, level_released, &cves);
            Entry { release, aliases, open, not_settled }
        };
        let entries: Vec<Entry> = releases.into_iter().map(entry).collect();
        let mut branches: BTreeMap<Branch, Range<usize>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let range = branches.entry(Branch::of(entry.release.build)).or_insert(place..place);
            range.end = place + 1;
        }
        Self { as_of, digest, products, cves, entries, branches }
    }
}

/// The day each level of each product came out: that of its first release.
fn level_dates(releases: &[(Release, Vec<Build>)]) -> BTreeMap<(String, String), Date> {
    let mut dates = BTreeMap::new();
    for (release, _) in releases {
        let key = (release.product.clone(), release.level.clone());
        let first: &mut Date = dates.entry(key).or_insert(release.released);
        *first = (*first).min(release.released);
    }
    dates
}

fn exposures(
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
    (open, not_settled)
}

enum Standing {
    Fixed,
    NotSettled(Date),
    Open(Date),
    Unaffected,
}

/// The `rules` of exchange-cves.json for one release and one vulnerability.
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
        None if cve.extra_action.is_some() => Standing::NotSettled(fixed_on),
        None => Standing::Fixed,
    }
}

impl Catalogue {
    /// The ids of the vulnerabilities known on `date` and open in one place but not in the other.
    pub(crate) fn closed_between(&self, lower: usize, upper: usize, date: Date) -> Vec<String> {
        let open = |place: usize| -> BTreeSet<usize> {
            let entry = self.entries.get(place);
            let exposures = entry.map_or(&[][..], |entry| entry.open.as_slice());
            exposures.iter().filter(|open| open.since <= date).map(|open| open.cve).collect()
        };
        let closed = open(lower).difference(&open(upper)).copied().collect::<Vec<_>>();
        closed.into_iter().filter_map(|cve| self.cves.get(cve)).map(|cve| cve.id.clone()).collect()
    }
}
