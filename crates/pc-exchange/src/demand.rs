//! # Purpose
//! What a floor asks of a build on one day, and what its owner can install to meet it.
//!
//! # Trust
//! Reads the catalogue and an assessment. The floor comes from the operator.
//!
//! # Standards
//! Exchange Online's accepted builds (a table) and its wish for current servers. CISA's list for what is
//! exploited.
//!
//! # Invariants
//! Builds are compared inside one cumulative update only: across them their numbers say nothing about the
//! patch level. A build the id does not rule out counts for the server. A later build of a branch never owes
//! more than an earlier one. Nobody is told to install what they are not given.
//!
//! # See also
//! `assess`, `remedy`; `pc-enforce`, which knows from which day a floor holds.

use pc_types::time::days_between;
use pc_types::{Build, Date, Reason};

use crate::assess::{Assessment, Known, Owed, count_on, lacks};
use crate::assessment::Verdict;
use crate::catalogue::{Branch, Cve, Entry, Period};
use crate::remedy::{described, is_esu_only};
use crate::support::SupportPhase;

/// What a floor asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The level.
    pub wanted: Wanted,
    /// Whether a server owes that could be helped only by an update its owner is not given.
    pub esu_only: EsuOnly,
}

/// The level a floor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A build at or above the listed one of its cumulative update. A cumulative update, or product, that is
    /// older than every listed one of its product is below the floor; one that is newer than all is above.
    Builds(Vec<Build>),
    /// No vulnerability open that is known to be exploited.
    NoneExploited,
    /// Support, and every security update that is older than so many days.
    SecurityUpdates {
        /// How old it may be.
        grace_days: u32,
    },
}

/// Whether the lack of an update counts that only enrolled organisations are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EsuOnly {
    /// It does not.
    NotOwed,
    /// It does: the owner enrols or migrates.
    Owed,
}

/// What the owner of a server is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// Extended security updates.
    pub esu: bool,
}

/// Where a build stands to a table.
enum Place {
    Above,
    Below(Option<Build>),
    Unlisted,
}

impl Assessment {
    /// Whether the server owes something under `demand` on the day of the assessment.
    pub fn owed_under(&self, demand: &Demand, entitlement: Entitlement) -> Owed {
        let Some((known, proven)) = self.known.as_ref().zip(self.proven()) else {
            return match self.state {
                Verdict::NotExchange => Owed::Nothing,
                _ => Owed::Unknown(self.unknown_reason()),
            };
        };
        let question = Question { assessment: self, known, proven, entitlement };
        match &demand.wanted {
            Wanted::Builds(builds) => question.table(builds, demand.esu_only),
            Wanted::NoneExploited => question.none_exploited(demand.esu_only),
            Wanted::SecurityUpdates { grace_days } => question.updates(*grace_days, demand.esu_only),
        }
    }
}

/// An assessment of a known branch, and whose server it is.
struct Question<'a> {
    assessment: &'a Assessment,
    known: &'a Known,
    /// The release that the id proves.
    proven: &'a Entry,
    entitlement: Entitlement,
}

impl Question<'_> {
    fn updates(&self, grace_days: u32, esu_only: EsuOnly) -> Owed {
        let date = self.assessment.date();
        let phase = self.known.support.phase;
        let owed = self.assessment.owed(grace_days, date);
        // The days in which support has ended and updates are still made, for those enrolled.
        let is_extended = matches!(phase, SupportPhase::ExtendedSecurityUpdates | SupportPhase::ProductEnded);
        if !is_extended || self.running_esu().is_none() {
            return owed;
        }
        if self.spares(esu_only) && !self.has_public_missing() {
            return Owed::Nothing;
        }
        if phase == SupportPhase::ExtendedSecurityUpdates || !self.entitlement.esu {
            return owed;
        }
        match self.missing().filter(|entry| entry.security).min_by_key(|entry| entry.released) {
            Some(oldest) if days_between(oldest.released, date) > i64::from(grace_days) => Owed::Update {
                reason: lacks(self.proven, oldest, date),
                since: oldest.released,
                install: self.newest_install(),
            },
            _ => Owed::Nothing,
        }
    }

    fn none_exploited(&self, esu_only: EsuOnly) -> Owed {
        let exploited = self.exploited_at(self.known.ceiling);
        let Some(first) = exploited.iter().min_by_key(|(_, since)| *since) else {
            // Microsoft does not look at products past their end any more: that nothing is known to be
            // open there proves nothing.
            return match self.known.support.phase {
                SupportPhase::ProductEnded if !self.is_assessed() => {
                    let name = &self.proven.product_name;
                    let text = format!(
                        "{name} is past its end and no longer assessed: whether an exploited vulnerability is open is not \
                         known"
                    );
                    Owed::Unknown(Reason::new("not_assessed", text))
                }
                SupportPhase::Unknown => Owed::Unknown(self.assessment.unknown_reason()),
                _ => Owed::Nothing,
            };
        };
        let mut ids: Vec<&str> = exploited.iter().map(|(cve, _)| cve.id.as_str()).collect();
        ids.sort_unstable();
        let text = format!(
            "{} {} leaves {} open, known to be exploited",
            self.proven.product_name,
            self.proven.update_level,
            listed(&ids)
        );
        let closes = |place: &&usize| self.exploited_at(**place).is_empty();
        let closing = self.known.missing.iter().filter(closes).filter_map(|place| self.entry(*place));
        let (extended, public): (Vec<&Entry>, Vec<&Entry>) =
            closing.partition(|entry| self.is_extended(entry));
        if public.is_empty() && !extended.is_empty() && self.spares(esu_only) {
            return Owed::Nothing;
        }
        let install = match extended.last() {
            _ if !public.is_empty() => self.newest_install(),
            Some(last) if self.is_withheld(last) => self.out_of_reach(last),
            Some(_) => self.newest_install(),
            None => self.migration(),
        };
        let reason = Reason::new("exploited_vulnerability_open", text);
        Owed::Update { reason, since: first.1, install }
    }

    fn table(&self, builds: &[Build], esu_only: EsuOnly) -> Owed {
        let name = &self.proven.product_name;
        match self.place(builds) {
            Place::Above => Owed::Nothing,
            Place::Unlisted => {
                let text = format!(
                    "the floor names builds of older and newer versions than {name} {}, and none of it",
                    self.proven.level
                );
                Owed::Unknown(Reason::new("not_in_floor", text))
            }
            Place::Below(Some(minimum)) => {
                let text = format!("{name} {} is below the build {minimum}", self.proven.update_level);
                let date = self.assessment.date();
                let wanted = self.assessment.facts.release_at(minimum).filter(|entry| entry.released <= date);
                let is_extended = wanted.is_some_and(|entry| self.is_extended(entry));
                if is_extended && self.spares(esu_only) && !self.has_public_missing() {
                    return Owed::Nothing;
                }
                let install = match wanted {
                    Some(entry) if self.is_withheld(entry) => self.out_of_reach(entry),
                    Some(entry) => self.at_least(entry),
                    None => format!("{name}, build {minimum} or later"),
                };
                let since = wanted.map_or(date, |entry| entry.released);
                Owed::Update { reason: Reason::new("below_floor", text), since, install }
            }
            Place::Below(None) => {
                let text = format!("{name} {} is older than every version of the floor", self.proven.level);
                // The listed build of the newest cumulative update of the same product, if there is one.
                let facts = &self.assessment.facts;
                let listed = builds.iter().filter_map(|build| facts.release_at(*build));
                let target = listed
                    .filter(|entry| entry.product == self.proven.product && !self.is_withheld(entry))
                    .max_by_key(|entry| entry.build);
                let install = match target {
                    Some(entry) => format!("{name} {}, then {}", entry.level, described(entry)),
                    None => self.migration(),
                };
                let since = self.known.support.ended.unwrap_or(self.assessment.date());
                Owed::Update { reason: Reason::new("older_than_floor", text), since, install }
            }
        }
    }

    /// Where the build stands to a table. Numbers are compared inside one branch; of branches only the order
    /// in which they were made.
    fn place(&self, builds: &[Build]) -> Place {
        let own = Branch::of(self.assessment.build());
        if let Some(minimum) = builds.iter().find(|build| Branch::of(**build) == own) {
            let newest = self.entry(self.known.ceiling).map_or(self.proven.build, |entry| entry.build);
            let shown = self.assessment.build().max(self.proven.build).max(newest);
            return if shown >= *minimum { Place::Above } else { Place::Below(Some(*minimum)) };
        }
        let facts = &self.assessment.facts;
        let of_product = |build: &&Build| {
            facts
                .branch(**build)
                .and_then(|(_, entries)| entries.first())
                .is_some_and(|entry| entry.product == self.proven.product)
        };
        let has_product = builds.iter().any(|build| of_product(&build));
        let listed = builds.iter().filter(|build| !has_product || of_product(build));
        let (mut below, mut above) = (false, false);
        for build in listed {
            if Branch::of(*build) < own { above = true } else { below = true }
        }
        match (below, above) {
            (true, true) => Place::Unlisted,
            (true, false) => Place::Below(None),
            (false, _) => Place::Above,
        }
    }

    fn entry(&self, place: usize) -> Option<&Entry> {
        self.assessment.facts.entry(place)
    }

    fn missing(&self) -> impl Iterator<Item = &Entry> {
        self.known.missing.iter().filter_map(|place| self.entry(*place))
    }

    fn has_public_missing(&self) -> bool {
        self.missing().any(|entry| entry.security && !self.is_extended(entry))
    }

    /// Whether extended security updates are not counted against this owner, while they are made. A build that
    /// shows enrolment does not change that: it would make a later build owe more than an earlier one.
    fn spares(&self, esu_only: EsuOnly) -> bool {
        esu_only == EsuOnly::NotOwed && !self.entitlement.esu && self.running_esu().is_some()
    }

    fn is_extended(&self, entry: &Entry) -> bool {
        let product = self.assessment.facts.product_of(entry);
        is_esu_only(product, entry, product.and_then(|product| product.extended_end))
    }

    /// Whether the owner is not given this update. A build that only enrolled organisations got shows that
    /// its server is enrolled.
    fn is_withheld(&self, entry: &Entry) -> bool {
        let shows_enrolment = self.known.support.phase == SupportPhase::ExtendedSecurityUpdates;
        self.is_extended(entry) && !self.entitlement.esu && !shows_enrolment
    }

    /// The last period of extended security updates, when it is not over and made for this level.
    fn running_esu(&self) -> Option<&Period> {
        let product = self.assessment.facts.product_of(self.proven)?;
        let is_eligible = product.esu_levels.contains(&self.proven.level);
        product.esu_periods.last().filter(|last| is_eligible && self.assessment.date() <= last.end)
    }

    /// Whether Microsoft still says of the level's builds what is open in them.
    fn is_assessed(&self) -> bool {
        self.running_esu().is_some()
    }

    fn exploited_at(&self, place: usize) -> Vec<(&Cve, Date)> {
        let Some(entry) = self.entry(place) else { return Vec::new() };
        let open = entry.open.get(..count_on(&entry.open, self.assessment.date())).unwrap_or_default();
        let cves =
            open.iter().filter_map(|open| Some((self.assessment.facts.cves.get(open.cve)?, open.since)));
        cves.filter(|(cve, _)| cve.kev == Some(true)).collect()
    }

    /// The newest update the owner is given.
    fn newest_install(&self) -> String {
        let given = self.missing().filter(|entry| !self.is_withheld(entry));
        match given.max_by_key(|entry| entry.build) {
            Some(entry) if entry.level != self.proven.level && entry.update.is_some() => {
                format!("{} {}, then {}", entry.product_name, entry.level, described(entry))
            }
            Some(entry) => format!("{} {}", entry.product_name, described(entry)),
            None => self.migration(),
        }
    }

    fn at_least(&self, minimum: &Entry) -> String {
        let given = self.missing().filter(|entry| entry.level == minimum.level && !self.is_withheld(entry));
        let newest = given.max_by_key(|entry| entry.build).filter(|newest| newest.build > minimum.build);
        let minimum = format!("{} {}", minimum.product_name, described(minimum));
        match newest {
            Some(newest) => format!("{minimum} at the least; the newest is {}", described(newest)),
            None => minimum,
        }
    }

    /// What helps is given to enrolled organisations only.
    fn out_of_reach(&self, update: &Entry) -> String {
        let migration = self.migration();
        let end = self.running_esu().map(|period| period.end);
        match end {
            Some(end) => format!(
                "{migration}; or enrol in extended security updates, which end on {end}: {} is given to enrolled \
                 organisations only",
                described(update)
            ),
            None => format!(
                "{migration}; {} was given to organisations enrolled in extended security updates only",
                described(update)
            ),
        }
    }

    fn migration(&self) -> String {
        self.assessment.facts.successor_text(self.assessment.date())
    }
}

/// The first few of a list, and how many more there are.
fn listed(ids: &[&str]) -> String {
    let shown = ids.get(..IDS_SHOWN_MAX.min(ids.len())).unwrap_or(ids).join(", ");
    match ids.len().checked_sub(IDS_SHOWN_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// A sentence holds so many ids; the full list stands in the judgement.
const IDS_SHOWN_MAX: usize = 3;
