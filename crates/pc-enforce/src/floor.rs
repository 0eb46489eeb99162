//! # Purpose
//! Floors: what the ladder asks of servers from which day on. A floor has dated versions, announced ahead;
//! a harsher one that takes effect is a raise.
//!
//! # Trust
//! Floors come from the operator, or are presets of this file.
//!
//! # Standards
//! The `microsoft-` presets are the accepted builds of Exchange Online as they became known, with their
//! sources beside them.
//!
//! # Invariants
//! Versions take effect in the order of their numbers. Before the first one nothing is owed. Which version
//! holds is a function of the day alone.
//!
//! # See also
//! `pc_exchange::Demand`, which says what a build owes; `observe`, which opens a new cycle after a raise.

use pc_exchange::{Demand, Entitlement, EsuOnly, Judgement, Owed, Verdict, Wanted};
use pc_types::{Build, Date};
use serde::{Deserialize, Serialize};

use crate::limits::GRACE_DAYS;
use crate::record::Standing;

/// What the ladder asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    name: String,
    /// Never empty; by number, and so by day.
    versions: Vec<FloorVersion>,
}

/// One version of a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloorVersion {
    /// From 1.
    pub version: u32,
    /// The day on which it was made known.
    pub announced: Option<Date>,
    /// The first day on which it holds; `None` for always.
    pub effective: Option<Date>,
    /// What it asks.
    pub demand: Demand,
}

/// Why versions make no floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloorError {
    /// Announced after it took effect.
    #[error("version {0} is announced after it takes effect")]
    Announced(u32),
    /// Two builds of a table lie in one cumulative update.
    #[error("{0} and {1} belong to one cumulative update, which can have one build only")]
    Branch(Build, Build),
    /// A later version takes effect first, or both do on one day.
    #[error("version {0} takes effect before the version ahead of it, or on the same day")]
    Order(u32),
    /// No version, or a table without builds.
    #[error("asks for nothing")]
    Empty,
    /// A number is used twice.
    #[error("version {0} is there twice")]
    Twice(u32),
}

/// Under which version of which floor a server was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorMark {
    /// The floor.
    pub floor: String,
    /// Its version.
    pub version: u32,
}

/// What a judgement means to the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What the server is held to.
    pub standing: Standing,
    /// The version that said so; `None` before the first.
    pub mark: Option<FloorMark>,
    /// For a server that owes: the newest earlier version of the same floor that it meets.
    pub meets_earlier: Option<u32>,
}

impl From<Standing> for Judged {
    /// Without a floor.
    fn from(standing: Standing) -> Self {
        Self { standing, mark: None, meets_earlier: None }
    }
}

/// Names of the presets.
pub const PRESETS: [&str; 4] = ["current", "kev", "microsoft-2024-05", "microsoft-2026-09"];

impl Floor {
    /// A floor of `versions`, in any order.
    ///
    /// # Errors
    /// See [`FloorError`].
    pub fn new(name: &str, mut versions: Vec<FloorVersion>) -> Result<Self, FloorError> {
        versions.sort_by_key(|version| version.version);
        let mut before: Option<&FloorVersion> = None;
        for version in &versions {
            let number = version.version;
            if version.announced.zip(version.effective).is_some_and(|(told, holds)| told > holds) {
                return Err(FloorError::Announced(number));
            }
            match before {
                Some(before) if before.version == number => return Err(FloorError::Twice(number)),
                // `None` comes first and holds always, so that nothing can come before it.
                Some(before) if before.effective >= version.effective => {
                    return Err(FloorError::Order(number));
                }
                _ => before = Some(version),
            }
            check_table(&version.demand)?;
        }
        if versions.is_empty() {
            Err(FloorError::Empty)
        } else {
            Ok(Self { name: name.to_owned(), versions })
        }
    }

    /// A preset under its own name; `current` with `grace_days`.
    pub fn preset(name: &str, grace_days: u32) -> Option<Self> {
        let version = preset_version(name, grace_days)?;
        Some(Self { name: name.to_owned(), versions: vec![version] })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All versions, oldest first.
    pub fn versions(&self) -> &[FloorVersion] {
        &self.versions
    }

    /// The version that holds on `date`.
    pub fn in_force(&self, date: Date) -> Option<&FloorVersion> {
        self.versions.iter().rev().find(|version| version.effective.is_none_or(|from| from <= date))
    }

    /// The next version after `date`.
    pub fn next(&self, date: Date) -> Option<&FloorVersion> {
        self.versions.iter().find(|version| version.effective.is_some_and(|from| from > date))
    }

    /// What a judgement of `date` means. Unknown is never good: it meets no floor.
    pub fn judge(&self, judgement: &Judgement, entitlement: Entitlement, date: Date) -> Judged {
        let Some(version) = self.in_force(date) else {
            let standing = match judgement.verdict {
                Verdict::NotExchange => Standing::NotExchange,
                Verdict::Unknown => unknown(judgement),
                _ => Standing::Met,
            };
            return Judged { standing, mark: None, meets_earlier: None };
        };
        let standing = standing(judgement, &version.demand, entitlement);
        let meets = |earlier: &&FloorVersion| {
            let standing = self::standing(judgement, &earlier.demand, entitlement);
            earlier.version < version.version && standing == Standing::Met
        };
        let meets_earlier = match standing {
            Standing::Owing { .. } => self.versions.iter().rev().find(meets).map(|earlier| earlier.version),
            _ => None,
        };
        let mark = FloorMark { floor: self.name.clone(), version: version.version };
        Judged { standing, mark: Some(mark), meets_earlier }
    }
}

impl Default for Floor {
    /// The preset `current`.
    fn default() -> Self {
        let demand =
            Demand { wanted: Wanted::SecurityUpdates { grace_days: GRACE_DAYS }, esu_only: EsuOnly::Owed };
        let version = FloorVersion { version: 1, announced: None, effective: None, demand };
        Self { name: "current".to_owned(), versions: vec![version] }
    }
}

impl FloorVersion {
    /// What it asks, in a sentence.
    pub fn text(&self) -> String {
        match &self.demand.wanted {
            Wanted::Builds(builds) => {
                let builds: Vec<String> = builds.iter().map(ToString::to_string).collect();
                format!("at least {}, in its own cumulative update", builds.join(", "))
            }
            Wanted::NoneExploited => "no vulnerability open that is known to be exploited".to_owned(),
            Wanted::SecurityUpdates { grace_days } => {
                format!("in support, with every security update older than {grace_days} days")
            }
        }
    }
}

/// What a preset asks, and from when on.
pub fn preset_version(name: &str, grace_days: u32) -> Option<FloorVersion> {
    let (announced, effective, wanted) = match name {
        "current" => (None, None, Wanted::SecurityUpdates { grace_days }),
        "kev" => (None, None, Wanted::NoneExploited),
        "microsoft-2024-05" => {
            (None, Some(Date::constant(2024, 5, 1)), Wanted::Builds(MICROSOFT_2024_05.to_vec()))
        }
        "microsoft-2026-09" => (
            Some(Date::constant(2026, 9, 2)),
            Some(Date::constant(2026, 9, 13)),
            Wanted::Builds(MICROSOFT_2026_09.to_vec()),
        ),
        _ => return None,
    };
    // Microsoft's tables hold public updates only, so that the choice matters for the first two.
    let demand = Demand { wanted, esu_only: EsuOnly::Owed };
    Some(FloorVersion { version: 1, announced, effective, demand })
}

/// The August 2023 update, seen as the floor for 2016 CU23 in May 2024 (known to the month, and never
/// announced). The two builds for 2019 are the same update and so an analogy, not an observation.
const MICROSOFT_2024_05: [Build; 3] =
    [Build::new(15, 1, 2507, 31), Build::new(15, 2, 1118, 36), Build::new(15, 2, 1258, 23)];

/// The October 2025 update, the last public one: announced on 2 September 2026 for the second week of that
/// month, of which the last day stands here. Microsoft names the builds of 2016 CU23 and 2019 CU15; 2019 CU14
/// got the same update, and one reader only takes CU15 to be required.
const MICROSOFT_2026_09: [Build; 3] =
    [Build::new(15, 1, 2507, 61), Build::new(15, 2, 1544, 36), Build::new(15, 2, 1748, 39)];

fn check_table(demand: &Demand) -> Result<(), FloorError> {
    let Wanted::Builds(builds) = &demand.wanted else { return Ok(()) };
    if builds.is_empty() {
        return Err(FloorError::Empty);
    }
    for (place, build) in builds.iter().enumerate() {
        let same = builds.iter().skip(place + 1).find(|other| other.branch() == build.branch());
        if let Some(other) = same {
            return Err(FloorError::Branch(*build, *other));
        }
    }
    Ok(())
}

fn standing(judgement: &Judgement, demand: &Demand, entitlement: Entitlement) -> Standing {
    match (judgement.verdict, &judgement.assessment) {
        (Verdict::NotExchange, _) => Standing::NotExchange,
        (Verdict::Unknown, _) | (_, None) => unknown(judgement),
        (_, Some(assessment)) => match assessment.owed_under(demand, entitlement) {
            Owed::Nothing => Standing::Met,
            Owed::Unknown(reason) => Standing::Unknown { code: reason.code.to_owned(), text: reason.text },
            Owed::Update { reason, install, .. } => {
                Standing::Owing { code: reason.code.to_owned(), text: reason.text, install }
            }
        },
    }
}

fn unknown(judgement: &Judgement) -> Standing {
    let reason = judgement.reasons.first();
    let text = reason.map_or("The evidence could not be judged.", |reason| reason.text.as_str());
    Standing::Unknown {
        code: reason.map_or("unknown", |reason| reason.code).to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
