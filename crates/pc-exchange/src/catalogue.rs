//! # Purpose
//! The catalogue in memory: releases by branch, and for every release the vulnerabilities that it
//! leaves open, worked out once so that judging a build costs no search.
//!
//! # Trust
//! Built only by `load`, after the checksums of its files matched.
//!
//! # Standards
//! The `notes` of exchange-builds.json and the `facts` of exchange-header-observations.json.
//!
//! # Invariants
//! Immutable and cheap to clone. Releases are in the order of their builds.
//!
//! # See also
//! `load`, `exposure`, `assess`.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use pc_types::{Build, Date};

use crate::assessment::Form;
use crate::exposure::{Exposure, exposures};

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

/// Everything known about Exchange builds on one day. Clones share one copy.
#[derive(Clone, Debug)]
pub struct Catalogue {
    facts: Arc<Facts>,
}

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) as_of: Date,
    digest: String,
    pub(crate) products: Vec<Product>,
    pub(crate) cves: Vec<Cve>,
    pub(crate) entries: Vec<Entry>,
    branches: BTreeMap<Branch, Range<usize>>,
}

/// A release as the files have it, with the ids that headers show in its place.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) release: Release,
    pub(crate) aliases: Vec<Build>,
    /// Whether headers were seen with its own id or an alias, by form of line.
    pub(crate) is_shown_by_smtp: bool,
    pub(crate) is_shown_by_mapi: bool,
}

/// A release and what was worked out about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) listed: Listed,
    /// Places in `Facts::products` and in its levels.
    pub(crate) product_place: Option<usize>,
    pub(crate) level_place: Option<usize>,
    /// Vulnerabilities open at this build, by the day from which each counts.
    pub(crate) open: Vec<Exposure>,
    /// Vulnerabilities for which the build settles nothing, or not alone.
    pub(crate) not_settled: Vec<Exposure>,
}

impl Deref for Entry {
    type Target = Release;

    fn deref(&self) -> &Release {
        &self.listed.release
    }
}

/// What is known about the support of a product. All dates are the last day of something.
#[derive(Clone, Debug)]
pub struct Product {
    /// `SE`, `2019` and so on.
    pub product: String,
    /// The full name.
    pub name: String,
    /// The day it came out.
    pub released: Date,
    /// Mainstream support; `None` while it has no end.
    pub mainstream_end: Option<Date>,
    /// Support; `None` while it has no end.
    pub extended_end: Option<Date>,
    /// Support lasts until then at least, for a product without an end.
    pub min_support_until: Option<Date>,
    /// Cumulative updates; empty for products that have none.
    pub levels: Vec<Level>,
    /// Levels that extended security updates are made for.
    pub esu_levels: Vec<String>,
    /// The periods of extended security updates.
    pub esu_periods: Vec<Period>,
}

/// A cumulative update.
#[derive(Clone, Debug)]
pub struct Level {
    /// `CU23`, `RTM` and so on.
    pub name: String,
    /// The last day on which it gets security updates; `None` while it has no end.
    pub until: Option<Date>,
}

/// A period of extended security updates, first and last day.
#[derive(Clone, Debug)]
pub struct Period {
    /// `Period 1` and so on.
    pub name: String,
    /// The first day.
    pub start: Date,
    /// The last day.
    pub end: Date,
}

#[derive(Debug)]
pub(crate) struct Cve {
    pub(crate) id: String,
    pub(crate) class: Option<String>,
    pub(crate) cvss: Option<f64>,
    pub(crate) kev: Option<bool>,
    pub(crate) fixed_on: Option<Date>,
    /// When what is said of it was changed last.
    pub(crate) revised: Option<Date>,
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
pub(crate) struct Branch(u16, u16, Option<u16>);

impl Branch {
    pub(crate) fn of(build: Build) -> Self {
        let third = (build.major >= MAJOR_OF_2013).then_some(build.build);
        Self(build.major, build.minor, third)
    }
}

pub(crate) const MAJOR_OF_2013: u16 = 15;

/// From this update on the id of the SMTP line follows every update; before it the id stays at the
/// cumulative update, whatever is installed. Source: `facts` of exchange-header-observations.json.
const SMTP_ID_FOLLOWS_FROM: Date = Date::constant(2021, 5, 11);

/// The October 2022 update of Exchange 2013 CU23, whose id the SMTP line of the November 2022
/// update repeats.
const OCTOBER_2022: Build = Build::new(15, 0, 1497, 42);
const NOVEMBER_2022: Build = Build::new(15, 0, 1497, 44);

/// After update rollup 19 one id of Exchange 2010 SP3 can stand for several rollups.
const IDS_LAG_FROM: Build = Build::new(14, 3, 382, 0);

/// The releases that an id can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified<'a> {
    /// The newest release that the id proves.
    pub floor: &'a Release,
    /// The newest release that the id does not rule out. The same as `floor` where ids follow every
    /// update.
    pub ceiling: &'a Release,
    /// How the id relates to `floor`.
    pub relation: Relation,
    pub(crate) floor_place: usize,
    pub(crate) ceiling_place: usize,
}

/// How an id relates to the release it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Seen in headers in place of the release, or the same but for a lower last number.
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
        self.facts.as_of
    }

    /// The SHA-256 of the file of checksums: one name for this state of the catalogue.
    pub fn digest(&self) -> &str {
        &self.facts.digest
    }

    /// All releases in the order of their builds.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.facts.entries.iter().map(|entry| &entry.listed.release)
    }

    /// How many releases are known.
    pub fn releases_len(&self) -> usize {
        self.facts.entries.len()
    }

    /// The release with exactly this build.
    pub fn release(&self, build: Build) -> Option<&Release> {
        let place = self.facts.entries.binary_search_by_key(&build, |entry| entry.build).ok()?;
        self.facts.entries.get(place).map(|entry| &entry.listed.release)
    }

    /// How many vulnerabilities and advisories are known.
    pub fn cves_len(&self) -> usize {
        self.facts.cves.len()
    }

    /// Whether a vulnerability is known.
    pub fn knows(&self, cve: &str) -> bool {
        self.facts.cves.iter().any(|known| known.id == cve)
    }

    /// The products whose support dates are known, oldest first.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.facts.products.iter()
    }

    /// The support dates of a product.
    pub fn product(&self, product: &str) -> Option<&Product> {
        self.products().find(|known| known.product == product)
    }

    /// The releases an id can stand for, or `None` for a branch the catalogue lacks. `form` says
    /// where the id was read, which decides what it can show.
    pub fn identify(&self, id: Build, form: Form) -> Option<Identified<'_>> {
        self.facts.identify(id, form)
    }

    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    pub(crate) fn assemble(
        as_of: Date,
        digest: String,
        products: Vec<Product>,
        cves: Vec<Cve>,
        releases: Vec<Listed>,
    ) -> Self {
        let level_dates = level_dates(&releases);
        let entry = |listed: Listed| {
            let release = &listed.release;
            let level_released = level_dates.get(&(release.product.clone(), release.level.clone())).copied();
            let (open, not_settled) = exposures(release, level_released, &cves);
            let product_place = products.iter().position(|product| product.product == release.product);
            let product = product_place.and_then(|place| products.get(place));
            let level_place = product
                .and_then(|product| product.levels.iter().position(|level| level.name == release.level));
            Entry { product_place, level_place, open, not_settled, listed }
        };
        let entries: Vec<Entry> = releases.into_iter().map(entry).collect();
        let mut branches: BTreeMap<Branch, Range<usize>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let range = branches.entry(Branch::of(entry.build)).or_insert(place..place);
            range.end = place + 1;
        }
        Self { facts: Arc::new(Facts { as_of, digest, products, cves, entries, branches }) }
    }
}

impl Facts {
    fn identify(&self, id: Build, form: Form) -> Option<Identified<'_>> {
        let (start, branch) = self.branch(id)?;
        let (offset, relation) = floor(branch, id)?;
        let ceiling = ceiling(branch, offset, relation, form);
        Some(Identified {
            floor: &branch.get(offset)?.listed.release,
            ceiling: &branch.get(ceiling)?.listed.release,
            relation,
            floor_place: start + offset,
            ceiling_place: start + ceiling,
        })
    }

    /// The releases of the id's branch, and the place of the first among all.
    pub(crate) fn branch(&self, id: Build) -> Option<(usize, &[Entry])> {
        let range = self.branches.get(&Branch::of(id))?;
        self.entries.get(range.clone()).map(|entries| (range.start, entries))
    }

    pub(crate) fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)
    }
}

/// The newest release of the branch that an id proves.
fn floor(branch: &[Entry], id: Build) -> Option<(usize, Relation)> {
    let above = branch.partition_point(|entry| entry.build <= id);
    let below = above.checked_sub(1);
    if let Some(offset) = below
        && branch.get(offset).is_some_and(|entry| entry.build == id)
    {
        return Some((offset, Relation::Exact));
    }
    if let Some(offset) = branch.iter().position(|entry| entry.listed.aliases.contains(&id)) {
        return Some((offset, Relation::Alias));
    }
    // Exchange 2007 and 2010 write ids whose last number is lower than that of the rollup.
    let is_same_rollup = |entry: &Entry| id.major < MAJOR_OF_2013 && entry.build.branch() == id.branch();
    if branch.get(above).is_some_and(is_same_rollup) {
        return Some((above, Relation::Alias));
    }
    match below {
        None => Some((0, Relation::BelowBase)),
        Some(offset) if above == branch.len() => Some((offset, Relation::Newer)),
        Some(offset) => Some((offset, Relation::Between)),
    }
}

/// The newest release of the branch that an id does not rule out, when it proves the one at `floor`.
fn ceiling(branch: &[Entry], floor: usize, relation: Relation, form: Form) -> usize {
    let Some(proven) = branch.get(floor) else { return floor };
    let is_hidden: &dyn Fn(&Entry) -> bool = match form {
        Form::Exact => return floor,
        Form::Smtp if proven.build >= OCTOBER_2022 && proven.build < NOVEMBER_2022 => {
            &|next| next.build == NOVEMBER_2022
        }
        Form::Smtp if proven.build.major >= MAJOR_OF_2013 => &|next| next.released < SMTP_ID_FOLLOWS_FROM,
        // Exchange 2013 up to CU21 writes mapi ids with the revision 000, whatever is installed.
        Form::Mapi if proven.build.major >= MAJOR_OF_2013 && relation == Relation::BelowBase => {
            &|next| next.released < SMTP_ID_FOLLOWS_FROM
        }
        Form::Smtp if proven.build >= IDS_LAG_FROM && proven.build.major < MAJOR_OF_2013 => {
            &|next| !next.listed.is_shown_by_smtp
        }
        Form::Mapi if proven.build >= IDS_LAG_FROM && proven.build.major < MAJOR_OF_2013 => {
            &|next| !next.listed.is_shown_by_mapi
        }
        Form::Mapi | Form::Smtp => return floor,
    };
    let later = branch.iter().skip(floor + 1);
    floor + later.take_while(|next| next.level == proven.level && is_hidden(next)).count()
}

/// The day each level of each product came out: that of its first release.
fn level_dates(releases: &[Listed]) -> BTreeMap<(String, String), Date> {
    let mut dates = BTreeMap::new();
    for Listed { release, .. } in releases {
        let key = (release.product.clone(), release.level.clone());
        let first: &mut Date = dates.entry(key).or_insert(release.released);
        *first = (*first).min(release.released);
    }
    dates
}
