//! `[[floor]]`: its values, how they become floors, and how they are written.

use std::collections::BTreeSet;

use pc_enforce::{Demand, EsuOnly, Floor, FloorError, FloorVersion, PRESETS, Wanted, preset_version};
use pc_types::{Build, Date};

use crate::Config;

/// `[[floor]]`: one version of a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct FloorEntry {
    pub name: String,
    pub version: u32,
    pub announced: Option<Date>,
    pub effective: Option<Date>,
    pub asks: FloorAsks,
    pub esu_only: EsuOnly,
}

/// What a version of a floor asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum FloorAsks {
    Builds(Vec<Build>),
    Preset(String),
}

impl Config {
    /// A floor of the configuration, or a preset.
    pub fn floor(&self, name: &str) -> Option<Floor> {
        let own = floor(name, &self.floors, self.enforcement.grace_days);
        // What is wrong with an entry was told when it was read.
        own.and_then(Result::ok).or_else(|| Floor::preset(name, self.enforcement.grace_days))
    }

    /// All floors there are: the presets first.
    pub fn all_floors(&self) -> Vec<Floor> {
        let own: BTreeSet<&str> = self.floors.iter().map(|entry| entry.name.as_str()).collect();
        PRESETS.into_iter().chain(own).filter_map(|name| self.floor(name)).collect()
    }
}

/// The floor of the entries with a name, if there are any.
pub(crate) fn floor(
    name: &str,
    entries: &[FloorEntry],
    grace_days: u32,
) -> Option<Result<Floor, FloorError>> {
    let versions: Vec<FloorVersion> =
        entries.iter().filter(|entry| entry.name == name).map(|entry| version(entry, grace_days)).collect();
    (!versions.is_empty()).then(|| Floor::new(name, versions))
}

fn version(entry: &FloorEntry, grace_days: u32) -> FloorVersion {
    let preset = match &entry.asks {
        FloorAsks::Builds(_) => None,
        FloorAsks::Preset(name) => preset_version(name, grace_days),
    };
    let wanted = match (&entry.asks, &preset) {
        (_, Some(preset)) => preset.demand.wanted.clone(),
        (FloorAsks::Builds(builds), None) => Wanted::Builds(builds.clone()),
        (FloorAsks::Preset(_), None) => Wanted::Builds(Vec::new()),
    };
    // A preset keeps its own days where the entry names none.
    let own =
        |date: Option<Date>, of: fn(&FloorVersion) -> Option<Date>| date.or(preset.as_ref().and_then(of));
    FloorVersion {
        version: entry.version,
        announced: own(entry.announced, |preset| preset.announced),
        effective: own(entry.effective, |preset| preset.effective),
        demand: Demand { wanted, esu_only: entry.esu_only },
    }
}

/// As TOML.
pub(crate) fn to_toml(entries: &[FloorEntry]) -> String {
    entries.iter().map(entry_to_toml).collect()
}

fn entry_to_toml(entry: &FloorEntry) -> String {
    let date =
        |key: &str, date: Option<Date>| date.map_or_else(String::new, |date| format!("\n{key} = \"{date}\""));
    let asks = match &entry.asks {
        FloorAsks::Builds(builds) => {
            let builds: Vec<String> = builds.iter().map(|build| format!("\"{build}\"")).collect();
            format!("builds = [{}]", builds.join(", "))
        }
        FloorAsks::Preset(name) => format!("preset = \"{name}\""),
    };
    let esu_only = match entry.esu_only {
        EsuOnly::NotOwed => "not_owed",
        EsuOnly::Owed => "owed",
    };
    format!(
        "\n\n[[floor]]\nname = \"{}\"\nversion = {}{}{}\n{asks}\nesu_only = \"{esu_only}\"",
        entry.name,
        entry.version,
        date("announced", entry.announced),
        date("effective", entry.effective),
    )
}
