//! # Purpose
//! Judges one build on one day.
//!
//! # Trust
//! The build may come from a header that anybody can write; who is held to it is decided elsewhere.
//!
//! # Standards
//! Precedence of the states: unknown, unsupported, vulnerable, behind, current.
//!
//! # Invariants
//! Only releases and fixes out on the day count. What the id cannot show is listed and not held
//! against the server. An assessment holds places in the catalogue it came from; texts and lists are
//! made when they are asked for, so that judging a message costs next to nothing.
//!
//! # See also
//! `catalogue`, `support`, `remedy`, `judgement`.

use std::sync::Arc;

use pc_types::time::days_between;
use pc_types::{Build, Date, Reason};

use crate::assessment::{Form, HiddenUpdate, MissingUpdate, NotSettled, OpenCve, Verdict};
use crate::catalogue::{Catalogue, Cve, Entry, Facts, MAJOR_OF_2013, Period, Product, Relation, Release};
use crate::exposure::Exposure;
use crate::received::is_build_of_exchange_online;
use crate::support::{Support, SupportPhase};

/// The product name used for Microsoft's hosted service.
pub(crate) const EXCHANGE_ONLINE: &str = "exchange-online";

/// What one build owes on one day.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub(crate) facts: Arc<Facts>,
    build: Build,
    date: Date,
    pub(crate) state: Verdict,
    pub(crate) known: Option<Known>,
}

/// What was found about a build of a known branch.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The place of the release that the id proves.
    pub(crate) floor: usize,
    /// The place of the newest release that the id does not rule out, out on the day.
    pub(crate) ceiling: usize,
    relation: Relation,
    pub(crate) support: Support,
    /// Places of the releases that are out and not installed, by day and build.
    pub(crate) missing: Vec<usize>,
    /// How many of the ceiling's exposures count on the day.
    open_len: usize,
}

/// Whether a server owes an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    /// It does not.
    Nothing,
    /// Not enough is known to say.
    Unknown(Reason),
    /// It does.
    Update {
        /// Why.
        reason: Reason,
        /// The last day of support, or the release of the oldest missing security update.
        since: Date,
        /// What to install, or where to migrate to.
        install: String,
    },
}

impl Catalogue {
    /// What a build owes on `date`.
    pub fn assess(&self, build: Build, form: Form, date: Date) -> Assessment {
        let facts = self.facts();
        let known = Known::of(self, build, form, date);
        let state = match &known {
            Some(known) => known.state(),
            None if is_build_of_exchange_online(build) => Verdict::NotExchange,
            None => Verdict::Unknown,
        };
        Assessment { facts: Arc::clone(facts), build, date, state, known }
    }
}

impl Known {
    fn of(catalogue: &Catalogue, build: Build, form: Form, date: Date) -> Option<Self> {
        if is_build_of_exchange_online(build) {
            return None;
        }
        let facts = catalogue.facts();
        let identified = catalogue.identify(build, form)?;
        let floor = identified.floor_place;
        // An update that is not out yet cannot be hidden.
        let hidden = (floor + 1..=identified.ceiling_place)
            .take_while(|place| facts.entry(*place).is_some_and(|entry| entry.released <= date));
        let ceiling = hidden.last().unwrap_or(floor);
        let support = Support::at(facts, facts.entry(floor)?, date);
        let installed = facts.entry(ceiling)?;
        let missing = missing(facts, ceiling, installed, support.phase, date);
        let open_len = count_on(&installed.open, date);
        Some(Self { floor, ceiling, relation: identified.relation, support, missing, open_len })
    }

    fn state(&self) -> Verdict {
        match self.support.phase {
            SupportPhase::Unknown => Verdict::Unknown,
            SupportPhase::LevelEnded | SupportPhase::ProductEnded => Verdict::Unsupported,
            _ if self.open_len > 0 => Verdict::Vulnerable,
            _ if !self.missing.is_empty() => Verdict::Behind,
            _ => Verdict::Current,
        }
    }
}

/// How many exposures, which are in the order of their days, count on `date`.
pub(crate) fn count_on(exposures: &[Exposure], date: Date) -> usize {
    exposures.partition_point(|exposure| exposure.since <= date)
}

/// Later updates of the level. For a cumulative update that gets none any more, or whose newest
/// update leaves something open, the newest cumulative update and its newest update as well; for
/// the products before Exchange 2013, which have no cumulative updates, later service packs.
fn missing(facts: &Facts, installed: usize, current: &Entry, phase: SupportPhase, date: Date) -> Vec<usize> {
    let Some((start, branch)) = facts.branch(current.build) else { return Vec::new() };
    let end = start + branch.len();
    let is_before_2013 = current.build.major < MAJOR_OF_2013;
    let is_out = |place: &usize| facts.entry(*place).is_some_and(|entry| entry.released <= date);
    let is_same_level = |place: &usize| {
        facts.entry(*place).is_some_and(|entry| is_before_2013 || entry.level == current.level)
    };
    let mut missing: Vec<usize> = (installed + 1..end).filter(is_same_level).filter(is_out).collect();
    if is_before_2013 {
        let is_service_pack = |place: &usize| {
            facts
                .entry(*place)
                .is_some_and(|entry| entry.product == current.product && entry.update.is_none())
        };
        missing.extend((end..facts.entries.len()).filter(is_service_pack).filter(is_out));
    } else {
        let newest = missing.last().copied().unwrap_or(installed);
        let leaves_open = facts.entry(newest).is_some_and(|entry| count_on(&entry.open, date) > 0);
        let is_over = phase == SupportPhase::LevelEnded;
        if is_over || (leaves_open && phase.is_supported()) {
            missing.extend(newer_level(facts, current, date));
        }
    }
    missing.sort_by_key(|place| facts.entry(*place).map(|entry| (entry.released, entry.build)));
    missing
}

/// The newest cumulative update after the one of `current`, and the newest update on it.
fn newer_level(facts: &Facts, current: &Entry, date: Date) -> impl Iterator<Item = usize> {
    let later = facts.entries.iter().enumerate().rev().take_while(|(_, entry)| entry.build > current.build);
    let newest = later
        .filter(|(_, entry)| entry.product == current.product && entry.released <= date)
        .find(|(_, entry)| entry.level_place.is_some() && entry.level != current.level);
    let base = newest.and_then(|(place, entry)| {
        let (start, _) = facts.branch(entry.build)?;
        let base =
            (start..place).find(|below| facts.entry(*below).is_some_and(|below| below.level == entry.level));
        base.filter(|base| *base != place)
    });
    base.into_iter().chain(newest.map(|(place, _)| place))
}

impl Assessment {
    /// The state in one word.
    pub fn state(&self) -> Verdict {
        self.state
    }

    /// The id that was judged.
    pub fn build(&self) -> Build {
        self.build
    }

    /// The day it was judged on.
    pub fn date(&self) -> Date {
        self.date
    }

    /// `SE`, `2019` and so on; `None` when the branch is unknown.
    pub fn product(&self) -> Option<&str> {
        match self.proven() {
            Some(floor) => Some(floor.product.as_str()),
            None => (self.state == Verdict::NotExchange).then_some(EXCHANGE_ONLINE),
        }
    }

    /// The release that the id proves; `None` when the branch is unknown.
    pub fn release(&self) -> Option<&Release> {
        self.proven().map(|floor| &floor.listed.release)
    }

    /// Level and update that the id proves.
    pub fn update(&self) -> Option<&str> {
        self.release().map(|release| release.update_level.as_str())
    }

    /// How the id relates to the release it was read as.
    pub fn relation(&self) -> Option<Relation> {
        self.known.as_ref().map(|known| known.relation)
    }

    /// Support in a sentence, with dates.
    pub fn support(&self) -> Option<String> {
        let (known, floor) = (self.known.as_ref()?, self.proven()?);
        Some(known.support.text(&self.facts, floor, self.date))
    }

    /// What kind of support the build has.
    pub fn support_phase(&self) -> SupportPhase {
        self.known.as_ref().map_or(SupportPhase::Unknown, |known| known.support.phase)
    }

    /// The same, or `None` when the branch is unknown.
    pub(crate) fn known_phase(&self) -> Option<SupportPhase> {
        self.known.as_ref().map(|known| known.support.phase)
    }

    /// The last day of support, once it has passed.
    pub fn support_ended(&self) -> Option<Date> {
        self.known.as_ref()?.support.ended
    }

    /// The period of extended security updates that the build is judged in.
    pub fn esu(&self) -> Option<&Period> {
        self.known.as_ref()?.support.period(self.product_facts())
    }

    /// Updates that are out and not installed, oldest first. An update that was released again is
    /// listed once, as released last.
    pub fn missing(&self) -> Vec<MissingUpdate> {
        self.missing_entries().map(|entry| self.facts.update(entry)).collect()
    }

    /// How many updates are missing.
    pub fn missing_len(&self) -> usize {
        self.missing_entries().count()
    }

    /// Vulnerabilities open at this build: exploited ones first, then by score.
    pub fn cves(&self) -> Vec<OpenCve> {
        let mut cves: Vec<OpenCve> = self.open().map(open_cve).collect();
        let score = |cve: &OpenCve| cve.cvss.unwrap_or(0.0);
        let is_exploited = |cve: &OpenCve| cve.kev == Some(true);
        cves.sort_by(|this, that| {
            is_exploited(that)
                .cmp(&is_exploited(this))
                .then_with(|| score(that).total_cmp(&score(this)))
                .then_with(|| this.id.cmp(&that.id))
        });
        cves
    }

    /// How many vulnerabilities are open.
    pub fn cves_len(&self) -> usize {
        self.known.as_ref().map_or(0, |known| known.open_len)
    }

    /// Vulnerabilities that need a step beside the update, which no build can show.
    pub fn not_settled_by_build(&self) -> Vec<NotSettled> {
        let exposures = self.not_settled();
        let cves = exposures.iter().filter_map(|exposure| self.facts.cves.get(exposure.cve));
        cves.map(|cve| NotSettled { id: cve.id.clone(), step: cve.extra_action.clone() }).collect()
    }

    /// Updates that the id cannot show.
    pub fn not_visible(&self) -> Vec<HiddenUpdate> {
        let Some(known) = &self.known else { return Vec::new() };
        let update = |place: usize| {
            let release = self.facts.entry(place)?;
            Some(HiddenUpdate {
                update: release.update_level.clone(),
                build: release.build,
                released: release.released,
                cves: self.facts.closed_between(place.checked_sub(1)?, place, self.date),
            })
        };
        (known.floor + 1..=known.ceiling).filter_map(update).collect()
    }

    /// What to install; `None` when nothing is known about the build.
    pub fn install(&self) -> Option<String> {
        let known = self.known.as_ref()?;
        match self.state {
            Verdict::NotExchange | Verdict::Unknown => None,
            _ => self.facts.remedy(known, self.state, self.date),
        }
    }

    /// How the verdict came about, the deciding reason first.
    pub fn reasons(&self) -> Vec<Reason> {
        let Some((known, floor)) = self.known.as_ref().zip(self.proven()) else {
            return vec![self.unknown_reason()];
        };
        let mut reasons = vec![self.deciding(known, floor)];
        reasons.extend(relation_reason(self.build, known.relation, floor));
        if floor.released > self.date {
            let text = format!("{} came out on {}, after the day judged", floor.build, floor.released);
            reasons.push(Reason::new("released_later", text));
        }
        if let Some(period) = self.esu() {
            let text = format!(
                "only organisations enrolled in extended security updates were given this build; they end on {}",
                period.end
            );
            reasons.push(Reason::new("extended_security_updates", text));
        }
        let hidden = known.ceiling - known.floor;
        if hidden > 0 {
            let text = format!(
                "the id would be the same with {}, which {} not held against the server",
                plural(hidden, "further update", "further updates"),
                if hidden == 1 { "is" } else { "are" },
            );
            reasons.push(Reason::new("updates_not_visible", text));
        }
        let steps = self.not_settled().len();
        if steps > 0 {
            let text = format!(
                "{} a step beside the update",
                plural(steps, "vulnerability needs", "vulnerabilities need")
            );
            reasons.push(Reason::new("not_settled_by_build", text));
        }
        if self.date > self.facts.as_of {
            let text = format!("the catalogue knows nothing that came out after {}", self.facts.as_of);
            reasons.push(Reason::new("catalogue_as_of", text));
        }
        reasons
    }

    /// Whether an update is owed on `date`: support has ended, or a security update that is missing
    /// came out more than `grace_days` before.
    pub fn owed(&self, grace_days: u32, date: Date) -> Owed {
        let Some((known, floor)) = self.known.as_ref().zip(self.proven()) else {
            return match self.state {
                Verdict::NotExchange => Owed::Nothing,
                _ => Owed::Unknown(self.unknown_reason()),
            };
        };
        match self.state {
            Verdict::Unknown => Owed::Unknown(self.deciding(known, floor)),
            Verdict::NotExchange | Verdict::Current => Owed::Nothing,
            Verdict::Unsupported => Owed::Update {
                reason: self.deciding(known, floor),
                since: known.support.ended.unwrap_or(date),
                install: self.install().unwrap_or_default(),
            },
            Verdict::Behind | Verdict::Vulnerable => self.owed_update(known, floor, grace_days, date),
        }
    }

    fn owed_update(&self, known: &Known, floor: &Entry, grace_days: u32, date: Date) -> Owed {
        let missing = known.missing.iter().filter_map(|place| self.facts.entry(*place));
        // By day, so that the first is the oldest. An update released again counts from its first day.
        match missing.filter(|entry| entry.security).min_by_key(|entry| entry.released) {
            Some(update) if days_between(update.released, date) > i64::from(grace_days) => {
                let install = self.install().unwrap_or_default();
                Owed::Update { reason: lacks(floor, update, date), since: update.released, install }
            }
            _ => Owed::Nothing,
        }
    }

    /// The release that the id proves.
    pub(crate) fn proven(&self) -> Option<&Entry> {
        self.facts.entry(self.known.as_ref()?.floor)
    }

    fn product_facts(&self) -> Option<&Product> {
        self.facts.product_of(self.proven()?)
    }

    fn open(&self) -> impl Iterator<Item = &Cve> {
        let open =
            self.known.as_ref().and_then(|known| self.facts.entry(known.ceiling)?.open.get(..known.open_len));
        open.unwrap_or_default().iter().filter_map(|exposure| self.facts.cves.get(exposure.cve))
    }

    fn not_settled(&self) -> &[Exposure] {
        let installed = self.known.as_ref().and_then(|known| self.facts.entry(known.ceiling));
        let all = installed.map_or(&[][..], |entry| entry.not_settled.as_slice());
        all.get(..count_on(all, self.date)).unwrap_or_default()
    }

    fn missing_entries(&self) -> impl Iterator<Item = &Entry> {
        let places = self.known.as_ref().map_or(&[][..], |known| known.missing.as_slice());
        places
            .iter()
            .enumerate()
            .filter_map(|(rank, place)| Some((rank, self.facts.entry(*place)?)))
            .filter(move |(rank, entry)| {
                let later = places.iter().skip(rank + 1).filter_map(|place| self.facts.entry(*place));
                !later.into_iter().any(|later| replaces(later, entry))
            })
            .map(|(_, entry)| entry)
    }

    fn deciding(&self, known: &Known, floor: &Entry) -> Reason {
        let support = || known.support.text(&self.facts, floor, self.date);
        match self.state {
            Verdict::Unsupported if known.support.phase == SupportPhase::LevelEnded => {
                Reason::new("level_unsupported", support())
            }
            Verdict::Unsupported => Reason::new("product_unsupported", support()),
            Verdict::Unknown => Reason::new("no_support_dates", support()),
            Verdict::Vulnerable => {
                let exploited = self.open().filter(|cve| cve.kev == Some(true)).count();
                let mut text = format!(
                    "{} {} leaves {} open",
                    floor.product_name,
                    floor.update_level,
                    plural(known.open_len, "vulnerability", "vulnerabilities"),
                );
                if exploited > 0 {
                    text.push_str(&format!(", {exploited} known to be exploited"));
                }
                Reason::new("vulnerabilities_open", self.with_lag(text, known))
            }
            Verdict::Behind => {
                let text = format!("{} {} is not up to date", floor.product_name, floor.update_level);
                Reason::new("updates_missing", self.with_lag(text, known))
            }
            Verdict::Current | Verdict::NotExchange => {
                let shown = if known.ceiling > known.floor { " that its id can show" } else { "" };
                let text = format!("{} {} lacks nothing{shown}", floor.product_name, floor.update_level);
                Reason::new("up_to_date", text)
            }
        }
    }

    /// Adds how many updates are missing and for how long.
    fn with_lag(&self, mut text: String, known: &Known) -> String {
        if let Some(oldest) = known.missing.first().and_then(|place| self.facts.entry(*place)) {
            text.push_str(&format!(
                "; {} missing, the oldest since {}, {} days ago",
                plural(self.missing_len(), "update is", "updates are"),
                oldest.released,
                days_between(oldest.released, self.date),
            ));
        }
        text
    }

    pub(crate) fn unknown_reason(&self) -> Reason {
        let build = self.build;
        if self.state == Verdict::NotExchange {
            return Reason::new(
                "exchange_online",
                format!("{build} is a version of Microsoft's hosted service"),
            );
        }
        let newest = self.facts.entries.last();
        let text = if newest.is_some_and(|newest| build > newest.build) {
            format!("{build} is above every version that the catalogue of {} knows", self.facts.as_of)
        } else {
            format!(
                "no release of Exchange Server has the version {}.{}.{}",
                build.major, build.minor, build.build
            )
        };
        Reason::new("unknown_build", text)
    }
}

/// That an update is missing which is older than it may be.
pub(crate) fn lacks(floor: &Entry, update: &Entry, date: Date) -> Reason {
    let text = format!(
        "{} {} lacks the security update {} of {}, {} days old",
        floor.product_name,
        floor.level,
        update.update_level,
        update.released,
        days_between(update.released, date),
    );
    Reason::new("security_update_missing", text)
}

fn open_cve(cve: &Cve) -> OpenCve {
    OpenCve { id: cve.id.clone(), class: cve.class.clone(), cvss: cve.cvss, kev: cve.kev }
}

/// Whether `later` is the same update, released again: `Nov24SUv2` after `Nov24SU`.
pub(crate) fn replaces(later: &Entry, entry: &Entry) -> bool {
    let is_same_place = later.product == entry.product && later.level == entry.level;
    match (&later.update, &entry.update) {
        (Some(later), Some(update)) => is_same_place && without_version(later) == without_version(update),
        _ => false,
    }
}

fn without_version(update: &str) -> &str {
    match update.rsplit_once('v') {
        Some((name, version))
            if !version.is_empty() && version.bytes().all(|octet| octet.is_ascii_digit()) =>
        {
            name
        }
        _ => update,
    }
}

pub(crate) fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn relation_reason(build: Build, relation: Relation, floor: &Release) -> Option<Reason> {
    let name = format!("{} ({})", floor.update_level, floor.build);
    match relation {
        Relation::Exact => None,
        Relation::Alias => {
            Some(Reason::new("header_alias", format!("servers with {name} write {build} in headers")))
        }
        Relation::BelowBase => {
            Some(Reason::new("below_base", format!("{build} is below {name}, the first of its branch")))
        }
        Relation::Between => Some(Reason::new(
            "between_releases",
            format!("{build} is no release and shows {name} at the least"),
        )),
        Relation::Newer => Some(Reason::new(
            "newer_than_catalogue",
            format!("{build} is newer than {name}, the last the catalogue knows, and is judged as that"),
        )),
    }
}
