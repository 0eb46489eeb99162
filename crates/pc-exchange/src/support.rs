//! # Purpose
//! Whether a release is in support on a day, and by what.
//!
//! # Trust
//! Reads the catalogue only.
//!
//! # Standards
//! Ends, cumulative update windows and periods of extended security updates as in
//! exchange-lifecycle.json; every date there is the last day of something.
//!
//! # Invariants
//! Support once ended begins again only with a period of extended security updates, and only for
//! builds that nobody but enrolled organisations was given.
//!
//! # See also
//! `assess`.

use pc_types::Date;

use crate::catalogue::{Entry, Facts, Level, Period, Product};

/// What kind of support a build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupportPhase {
    /// The product gets security updates only.
    Extended,
    /// The product has ended; the build shows that its server gets extended security updates.
    ExtendedSecurityUpdates,
    /// The product is in support, its cumulative update gets no updates any more, or never did.
    LevelEnded,
    /// The product is in full support.
    Mainstream,
    /// The product has ended.
    ProductEnded,
    /// The catalogue holds no dates for the product.
    Unknown,
}

impl SupportPhase {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extended => "extended",
            Self::ExtendedSecurityUpdates => "esu",
            Self::LevelEnded => "level_ended",
            Self::Mainstream => "mainstream",
            Self::ProductEnded => "ended",
            Self::Unknown => "unknown",
        }
    }

    /// Whether updates are made for the build.
    pub const fn is_supported(self) -> bool {
        matches!(self, Self::Extended | Self::ExtendedSecurityUpdates | Self::Mainstream)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Support {
    pub(crate) phase: SupportPhase,
    /// The last day of support, once it has passed.
    pub(crate) ended: Option<Date>,
    /// Place of the period of extended security updates.
    period: Option<usize>,
}

impl Support {
    const fn of(phase: SupportPhase, ended: Option<Date>) -> Self {
        Self { phase, ended, period: None }
    }

    pub(crate) fn at(facts: &Facts, release: &Entry, date: Date) -> Self {
        let Some(product) = facts.product_of(release) else {
            // Older than every product with dates, and so ended before the first of them.
            let first_end = facts.products.iter().filter_map(|product| product.extended_end).min();
            return match first_end {
                Some(end) if end < date => Self::of(SupportPhase::ProductEnded, Some(end)),
                _ => Self::of(SupportPhase::Unknown, None),
            };
        };
        match product.extended_end {
            Some(end) if end < date => Self::after(product, release, end, date),
            _ => Self::of_level(product, release, date),
        }
    }

    /// Support of a product past its end. A build made for extended security updates shows that its
    /// server is enrolled; any other build of the level does not.
    fn after(product: &Product, release: &Entry, end: Date, date: Date) -> Self {
        let is_enrolled = release.released > end && product.esu_levels.contains(&release.level);
        let Some(last) = product.esu_periods.last().filter(|_| is_enrolled) else {
            return Self::of(SupportPhase::ProductEnded, Some(end));
        };
        if date > last.end {
            return Self::of(SupportPhase::ProductEnded, Some(last.end));
        }
        // Nothing was released between the periods, so that the days between them change nothing:
        // the period that ends next is named.
        let period = product.esu_periods.iter().position(|period| date <= period.end);
        Self { phase: SupportPhase::ExtendedSecurityUpdates, ended: None, period }
    }

    fn of_level(product: &Product, release: &Entry, date: Date) -> Self {
        let phase = match product.mainstream_end {
            Some(end) if end < date => SupportPhase::Extended,
            _ => SupportPhase::Mainstream,
        };
        if product.levels.is_empty() {
            return Self::of(phase, None);
        }
        match release.level_place.and_then(|place| product.levels.get(place)) {
            // A preview.
            None => Self::of(SupportPhase::LevelEnded, Some(release.released)),
            Some(Level { until: Some(until), .. }) if *until < date => {
                Self::of(SupportPhase::LevelEnded, Some(*until))
            }
            Some(_) => Self::of(phase, None),
        }
    }

    pub(crate) fn period<'a>(&self, product: Option<&'a Product>) -> Option<&'a Period> {
        product?.esu_periods.get(self.period?)
    }

    /// Support in a sentence, with its dates.
    pub(crate) fn text(&self, facts: &Facts, release: &Entry, date: Date) -> String {
        let name = &release.product_name;
        let Some(product) = facts.product_of(release) else {
            return match self.ended {
                Some(end) => format!("{name}: support ended, no later than {end}"),
                None => format!("{name}: no support dates are known"),
            };
        };
        match self.phase {
            SupportPhase::Unknown => format!("{name}: no support dates are known"),
            SupportPhase::LevelEnded if release.level_place.is_none() => {
                format!("{name} {}: never supported", release.level)
            }
            SupportPhase::LevelEnded => match self.ended {
                Some(end) => format!("{name} {}: security updates ended on {end}", release.level),
                None => format!("{name} {}: security updates have ended", release.level),
            },
            SupportPhase::Mainstream | SupportPhase::Extended => in_support(product, release, date),
            SupportPhase::ExtendedSecurityUpdates => {
                let period = self.period(Some(product));
                let period = period.map_or_else(String::new, |period| format!(", {}", named(period)));
                format!("{}; extended security updates{period}", over(product))
            }
            SupportPhase::ProductEnded => self.ended_text(product, release, date),
        }
    }

    fn ended_text(&self, product: &Product, release: &Entry, date: Date) -> String {
        let over = over(product);
        let is_eligible = product.esu_levels.contains(&release.level);
        let Some(last) = product.esu_periods.last().filter(|_| is_eligible) else { return over };
        if self.ended != product.extended_end {
            return format!("{over}, extended security updates on {}", last.end);
        }
        if date > last.end {
            return over;
        }
        format!("{over}; extended security updates run until {}, this build shows no enrolment", last.end)
    }
}

fn over(product: &Product) -> String {
    match product.extended_end {
        Some(end) => format!("{}: support ended on {end}", product.name),
        None => format!("{}: support ended", product.name),
    }
}

pub(crate) fn named(period: &Period) -> String {
    format!("{}, {} to {}", period.name, period.start, period.end)
}

fn in_support(product: &Product, release: &Entry, date: Date) -> String {
    let name = &product.name;
    let text = match (product.mainstream_end, product.extended_end, product.min_support_until) {
        (Some(mainstream), Some(end), _) if date <= mainstream => {
            format!("{name}: mainstream support until {mainstream}, extended support until {end}")
        }
        (_, Some(end), _) => format!("{name}: extended support until {end}"),
        (_, None, Some(until)) => format!("{name}: in support, until {until} at least"),
        (_, None, None) => format!("{name}: in support"),
    };
    let until = release.level_place.and_then(|place| product.levels.get(place)?.until);
    match until.filter(|until| product.extended_end.is_none_or(|end| *until < end)) {
        Some(until) => format!("{text}; {} gets security updates until {until}", release.level),
        None => text,
    }
}
