//! # Purpose
//! Judges one build on one day.
//!
//! # Trust
//! The build may come from a header that anybody can write; who is held to it is decided elsewhere.
//!
//! # Standards
//! Support ends, extended security updates and the n/n-1 rule of cumulative updates as in
//! exchange-lifecycle.json; vulnerabilities by the `rules` of exchange-cves.json.
//!
//! # Invariants
//! Only releases and fixes out on the day count. Precedence: unknown, unsupported, vulnerable,
//! behind, current.
//!
//! # See also
//! `catalogue`, `assessment`.

use pc_types::{Build, Date, Reason};

use crate::assessment::{Assessment, Form, HiddenUpdate, MissingUpdate, OpenCve, Verdict};
use crate::catalogue::{Catalogue, Entry, Identified, MAJOR_OF_2013, Product, Relation, Release};

/// From this update on the id of the SMTP line follows every update; before it the id stays at the
/// cumulative update, whatever is installed.
const SMTP_ID_FOLLOWS_FROM: Date = Date::constant(2021, 5, 11);

/// The October 2022 update of Exchange 2013 CU23, whose id the SMTP line of the November 2022
/// update repeats.
const OCTOBER_2022: Build = Build::new(15, 0, 1497, 42);

/// The update that hides behind [`OCTOBER_2022`].
const NOVEMBER_2022: Build = Build::new(15, 0, 1497, 44);

/// The code of the reason that lists vulnerabilities which need a further step.
pub(crate) const NOT_SETTLED: &str = "not_settled_by_build";

/// The product name used for Microsoft's hosted service.
pub(crate) const EXCHANGE_ONLINE: &str = "exchange-online";

impl Catalogue {
    /// What a build owes on `date`.
    pub fn assess(&self, build: Build, form: Form, date: Date) -> Assessment {
        if build.major == MAJOR_OF_2013 && matches!(build.minor, 20 | 21) {
            return exchange_online(build);
        }
        match self.identify(build) {
            Some(identified) => self.assess_identified(build, form, date, identified),
            None => unknown_branch(build),
        }
    }

    fn assess_identified(
        &self,
        build: Build,
        form: Form,
        date: Date,
        identified: Identified<'_>,
    ) -> Assessment {
        let floor = identified.floor;
        let ceiling = self.ceiling(identified, form, date);
        let missing = self.missing(ceiling, date);
        let cves = self.open_cves(ceiling, date);
        let support = self.support(floor, date);
        let not_settled_by_build = self.not_settled(ceiling, date);
        let not_visible = self.hidden(identified.index, ceiling, date);
        let (state, deciding) = decide(floor, &support, &missing, &cves);
        let mut reasons = vec![deciding];
        reasons.extend(relation_reason(build, identified));
        if let Some(period) = &support.esu {
            let text = format!("the build was released for extended security updates only ({period})");
            reasons.push(Reason::new("extended_security_updates", text));
        }
        if !not_visible.is_empty() {
            reasons.push(not_visible_reason(&not_visible));
        }
        if !not_settled_by_build.is_empty() {
            let text = format!("a step beside the update is needed for {}", not_settled_by_build.join(", "));
            reasons.push(Reason::new(NOT_SETTLED, text));
        }
        if date > self.as_of() {
            let text = format!("the catalogue knows nothing that came out after {}", self.as_of());
            reasons.push(Reason::new("catalogue_as_of", text));
        }
        Assessment {
            install: self.install(floor, state, &support, &missing, date),
            state,
            build,
            product: Some(floor.product.clone()),
            product_name: Some(floor.product_name.clone()),
            level: Some(floor.level.clone()),
            update: Some(floor.update_level.clone()),
            support: support.text,
            support_ended: support.ended,
            esu: support.esu,
            missing,
            cves,
            not_settled_by_build,
            not_visible,
            reasons,
        }
    }

    /// The place of the newest release that the id does not rule out.
    fn ceiling(&self, identified: Identified<'_>, form: Form, date: Date) -> usize {
        let floor = identified.floor;
        // Exchange 2013 up to CU21 writes mapi ids with the revision 000, whatever is installed.
        let is_at_level =
            form == Form::Smtp || (form == Form::Mapi && identified.relation == Relation::BelowBase);
        if !is_at_level || floor.build.major < MAJOR_OF_2013 {
            return identified.index;
        }
        let later = self.entries.iter().enumerate().skip(identified.index + 1);
        let hidden = later.take_while(|(_, entry)| {
            let next = &entry.release;
            let is_hidden = next.released < SMTP_ID_FOLLOWS_FROM
                || (floor.build == OCTOBER_2022 && next.build == NOVEMBER_2022);
            next.build.branch() == floor.build.branch()
                && next.level == floor.level
                && next.released <= date
                && is_hidden
        });
        hidden.last().map_or(identified.index, |(place, _)| place)
    }

    fn hidden(&self, floor: usize, ceiling: usize, date: Date) -> Vec<HiddenUpdate> {
        let places = floor + 1..ceiling + 1;
        let update = |place: usize| {
            let release = &self.entries.get(place)?.release;
            Some(HiddenUpdate {
                update: release.update_level.clone(),
                build: release.build,
                released: release.released,
                cves: self.closed_between(place - 1, place, date),
            })
        };
        places.filter_map(update).collect()
    }

    /// Later updates of the branch, and for the products before Exchange 2013, which have no
    /// cumulative updates, later service packs.
    fn missing(&self, installed: usize, date: Date) -> Vec<MissingUpdate> {
        let Some(entry) = self.entries.get(installed) else { return Vec::new() };
        let current = &entry.release;
        let Some((start, branch)) = self.branch(current.build) else { return Vec::new() };
        let later = branch.iter().enumerate().filter(|(offset, _)| start + offset > installed);
        let later = later.map(|(_, entry)| entry);
        let branch_end = start + branch.len();
        let service_packs = self.entries.iter().skip(branch_end).filter(|entry| {
            current.build.major < MAJOR_OF_2013
                && entry.release.product == current.product
                && entry.release.update.is_none()
        });
        let is_out = |entry: &&Entry| entry.release.released <= date;
        let mut missing: Vec<MissingUpdate> =
            later.chain(service_packs).filter(is_out).map(|entry| update_of(&entry.release)).collect();
        missing.sort_by_key(|update| (update.released, update.build));
        missing
    }

    fn open_cves(&self, installed: usize, date: Date) -> Vec<OpenCve> {
        let Some(entry) = self.entries.get(installed) else { return Vec::new() };
        let known = entry.open.iter().take_while(|open| open.since <= date);
        let mut cves: Vec<OpenCve> = known
            .filter_map(|open| self.cves.get(open.cve))
            .map(|cve| OpenCve { id: cve.id.clone(), class: cve.class.clone(), cvss: cve.cvss, kev: cve.kev })
            .collect();
        let score = |cve: &OpenCve| cve.cvss.unwrap_or(0.0);
        cves.sort_by(|this, that| {
            that.kev
                .cmp(&this.kev)
                .then_with(|| score(that).total_cmp(&score(this)))
                .then_with(|| this.id.cmp(&that.id))
        });
        cves
    }

    fn not_settled(&self, installed: usize, date: Date) -> Vec<String> {
        let Some(entry) = self.entries.get(installed) else { return Vec::new() };
        let known = entry.not_settled.iter().filter(|open| open.since <= date);
        known.filter_map(|open| self.cves.get(open.cve)).map(|cve| cve.id.clone()).collect()
    }

    fn support(&self, release: &Release, date: Date) -> Support {
        let Some(product) = self.product(&release.product) else {
            let text = format!("{} is out of support", release.product_name);
            return Support { text, ended: Some(release.released), scope: Scope::Product, esu: None };
        };
        match product.extended_end {
            Some(end) if end < date => support_after(product, release, end, date),
            _ => level_support(product, release, date),
        }
    }

    fn install(
        &self,
        release: &Release,
        state: Verdict,
        support: &Support,
        missing: &[MissingUpdate],
        date: Date,
    ) -> String {
        if state == Verdict::Unsupported {
            let target = match support.scope {
                Scope::Level => self.newest_of(&release.product, date),
                Scope::Product => self.successor(date).and_then(|next| self.newest_of(&next.product, date)),
            };
            return target.map_or_else(
                || "a supported version of Exchange Server".to_owned(),
                |target| format!("{} {}", target.product_name, described(&update_of(target))),
            );
        }
        match missing.iter().max_by_key(|update| update.build) {
            Some(update) => format!("{} {}", release.product_name, described(update)),
            None => "nothing".to_owned(),
        }
    }

    /// The newest product in support on `date`.
    fn successor(&self, date: Date) -> Option<&Product> {
        let supported = self
            .products
            .iter()
            .filter(|product| product.released <= date && product.extended_end.is_none_or(|end| end >= date));
        supported.max_by_key(|product| product.released)
    }

    fn newest_of(&self, product: &str, date: Date) -> Option<&Release> {
        self.releases()
            .filter(|release| release.product == product && release.released <= date)
            .max_by_key(|release| release.build)
    }
}

/// An update with its build and article, as an operator looks it up.
pub(crate) fn described(update: &MissingUpdate) -> String {
    match &update.kb {
        Some(kb) => format!("{} ({}, {kb})", update.update, update.build),
        None => format!("{} ({})", update.update, update.build),
    }
}

fn update_of(release: &Release) -> MissingUpdate {
    MissingUpdate {
        update: release.update_level.clone(),
        build: release.build,
        released: release.released,
        kb: release.kb.clone(),
        security: release.security,
    }
}

struct Support {
    text: String,
    ended: Option<Date>,
    /// What the end applies to.
    scope: Scope,
    esu: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Level,
    Product,
}

/// Support of a product past its end. A build made for extended security updates shows that its
/// server is enrolled; any other build of the level does not.
fn support_after(product: &Product, release: &Release, end: Date, date: Date) -> Support {
    let ended = |text: String, on: Date| Support { text, ended: Some(on), scope: Scope::Product, esu: None };
    let over = format!("{}: support ended on {end}", product.name);
    let is_eligible = product.esu_levels.contains(&release.level);
    let (Some(first), Some(last)) = (product.esu_windows.first(), product.esu_windows.last()) else {
        return ended(over, end);
    };
    if !is_eligible || date < first.start {
        return ended(over, end);
    }
    let is_enrolled = release.released > end;
    if date > last.end {
        let text = format!("{over}, extended security updates on {}", last.end);
        return ended(text, if is_enrolled { last.end } else { end });
    }
    if !is_enrolled {
        let text = format!(
            "{over}; extended security updates run until {}, but this build shows no enrolment",
            last.end
        );
        return ended(text, end);
    }
    // Nothing was released between the two periods, so that the days between them change nothing:
    // the period that ends next is named.
    let period = product.esu_windows.iter().find(|window| date <= window.end).unwrap_or(last);
    let name = format!("{}, {} to {}", period.name, period.start, period.end);
    let text = format!("{over}; extended security updates, {name}");
    Support { text, ended: None, scope: Scope::Product, esu: Some(name) }
}

fn level_support(product: &Product, release: &Release, date: Date) -> Support {
    let until_product_end = match product.extended_end {
        Some(end) => format!("{}: in support until {end}", product.name),
        None => format!("{}: in support", product.name),
    };
    let supported = Support { text: until_product_end, ended: None, scope: Scope::Product, esu: None };
    if product.levels.is_empty() {
        return supported;
    }
    let Some(level) = product.levels.iter().find(|level| level.name == release.level) else {
        let text = format!("{} {}: never supported", product.name, release.level);
        return Support { text, ended: Some(release.released), scope: Scope::Level, esu: None };
    };
    match level.until {
        Some(until) if until < date => Support {
            text: format!("{} {}: security updates ended on {until}", product.name, level.name),
            ended: Some(until),
            scope: Scope::Level,
            esu: None,
        },
        _ => supported,
    }
}

fn decide(
    floor: &Release,
    support: &Support,
    missing: &[MissingUpdate],
    cves: &[OpenCve],
) -> (Verdict, Reason) {
    if support.ended.is_some() {
        let code = match support.scope {
            Scope::Level => "level_unsupported",
            Scope::Product => "product_unsupported",
        };
        return (Verdict::Unsupported, Reason::new(code, support.text.clone()));
    }
    let name = format!("{} {}", floor.product_name, floor.update_level);
    if !cves.is_empty() {
        let exploited = cves.iter().filter(|cve| cve.kev).count();
        let text = match exploited {
            0 => format!("{name} leaves {} open", vulnerabilities(cves.len())),
            _ => format!(
                "{name} leaves {} open, {exploited} known to be exploited",
                vulnerabilities(cves.len())
            ),
        };
        return (Verdict::Vulnerable, Reason::new("vulnerabilities_open", text));
    }
    if let Some(newest) = missing.last() {
        let text = format!("{name} is missing {} of {}", newest.update, newest.released);
        return (Verdict::Behind, Reason::new("updates_missing", text));
    }
    (Verdict::Current, Reason::new("up_to_date", format!("{name} is missing nothing")))
}

fn vulnerabilities(count: usize) -> String {
    match count {
        1 => "1 vulnerability".to_owned(),
        _ => format!("{count} vulnerabilities"),
    }
}

fn relation_reason(build: Build, identified: Identified<'_>) -> Option<Reason> {
    let floor = identified.floor;
    let name = format!("{} ({})", floor.update_level, floor.build);
    match identified.relation {
        Relation::Exact => None,
        Relation::Alias => {
            Some(Reason::new("header_alias", format!("servers with {name} write {build} in headers")))
        }
        Relation::BelowBase => {
            Some(Reason::new("below_base", format!("{build} is below {name}, the first of its branch")))
        }
        Relation::Between => {
            Some(Reason::new("between_releases", format!("{build} is no release and is read as {name}")))
        }
        Relation::Newer => Some(Reason::new(
            "newer_than_catalogue",
            format!("{build} is newer than {name}, the last the catalogue knows"),
        )),
    }
}

fn not_visible_reason(hidden: &[HiddenUpdate]) -> Reason {
    let names: Vec<&str> = hidden.iter().map(|update| update.update.as_str()).collect();
    let text = format!("the id cannot show {}; they are not held against the server", names.join(", "));
    Reason::new("updates_not_visible", text)
}

fn unknown_branch(build: Build) -> Assessment {
    let text = format!("the catalogue has no version {}.{}.{}", build.major, build.minor, build.build);
    bare(build, Verdict::Unknown, None, Reason::new("unknown_build", text))
}

fn exchange_online(build: Build) -> Assessment {
    let text = format!("{build} is a version of Microsoft's hosted service");
    let reason = Reason::new("exchange_online", text);
    bare(build, Verdict::NotExchange, Some(EXCHANGE_ONLINE), reason)
}

fn bare(build: Build, state: Verdict, product: Option<&str>, reason: Reason) -> Assessment {
    Assessment {
        state,
        build,
        product: product.map(str::to_owned),
        product_name: None,
        level: None,
        update: None,
        support: String::new(),
        support_ended: None,
        esu: None,
        missing: Vec::new(),
        cves: Vec::new(),
        not_settled_by_build: Vec::new(),
        not_visible: Vec::new(),
        install: String::new(),
        reasons: vec![reason],
    }
}
