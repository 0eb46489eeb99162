//! `[[floor]]` and `[enforcement] floor`

use std::collections::BTreeSet;

use pc_enforce::{EsuOnly, PRESETS};
use pc_types::{Build, Date};
use toml::de::DeValue;

use super::{required, small};
use crate::document::{Diagnostics, Table};
use crate::floors::{FloorAsks, FloorEntry, floor};
use crate::limits;

pub(super) fn floors(
    root: &mut Table<'_, '_>,
    grace_days: u32,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<FloorEntry> {
    let mut floors = Vec::new();
    let mut spans = Vec::new();
    let mut is_sound = true;
    let entries = root.tables("floor", "floor", diagnostics);
    if let Some(entry) = entries.get(limits::FLOOR_VERSIONS_MAX) {
        let message = format!("[[floor]]: at most {} versions of all floors", limits::FLOOR_VERSIONS_MAX);
        diagnostics.add(entry.span.start, message);
    }
    for mut entry in entries {
        match read(&mut entry, diagnostics) {
            Some(read) => {
                spans.push((entry.span.start, read.name.clone()));
                floors.push(read);
            }
            None => is_sound = false,
        }
        entry.finish(diagnostics);
    }
    // Versions are held against each other when all of them could be read.
    let mut judged = BTreeSet::new();
    for (at, name) in spans.iter().rev().filter(|_| is_sound) {
        if judged.insert(name.as_str())
            && let Some(Err(error)) = floor(name, &floors, grace_days)
        {
            diagnostics.add(*at, format!("[[floor]] {name}: {error}"));
        }
    }
    floors
}

/// `floor` of `[enforcement]` or a `[[connector]]`: a preset, or an entry of the file.
pub(super) fn chosen(
    table: &mut Table<'_, '_>,
    floors: &[FloorEntry],
    diagnostics: &mut Diagnostics<'_>,
) -> Option<String> {
    let name = table.text("floor", diagnostics)?;
    if PRESETS.contains(&name.as_str()) || floors.iter().any(|floor| floor.name == name) {
        return Some(name);
    }
    let message =
        format!("there is no [[floor]] named {name:?}, and no preset; presets are {}", PRESETS.join(", "));
    table.fault("floor", diagnostics, &message);
    None
}

fn read(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<FloorEntry> {
    let name = name(entry, diagnostics);
    let version = small(entry.number("version", diagnostics, &limits::FLOOR_VERSIONS));
    let announced = date(entry, "announced", diagnostics);
    let effective = date(entry, "effective", diagnostics);
    let want = "a build, such as \"15.1.2507.61\"";
    let builds =
        entry.list("builds", diagnostics, want, |value: &DeValue<'_>| value.as_str()?.parse::<Build>().ok());
    let preset = entry.parsed("preset", diagnostics, &format!("one of {}", PRESETS.join(", ")), |text| {
        PRESETS.contains(&text).then(|| text.to_owned())
    });
    let esu_only = entry.parsed("esu_only", diagnostics, "\"owed\" or \"not_owed\"", |text| match text {
        "not_owed" => Some(EsuOnly::NotOwed),
        "owed" => Some(EsuOnly::Owed),
        _ => None,
    });
    if entry.has("builds") == entry.has("preset") {
        diagnostics.add(entry.span.start, "[[floor]] needs one of builds (a list) or preset (a name)");
        return None;
    }
    let asks = match (builds, preset) {
        (Some(builds), _) => FloorAsks::Builds(builds),
        (None, preset) => FloorAsks::Preset(preset?),
    };
    Some(FloorEntry {
        name: name?,
        version: version.unwrap_or(1),
        announced,
        effective,
        asks,
        esu_only: esu_only.unwrap_or(EsuOnly::Owed),
    })
}

fn name(entry: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<String> {
    if !entry.has("name") {
        return required(entry, "name", diagnostics);
    }
    let want = format!(
        "1 to {} letters, digits, \"-\", \"_\" or \".\", and no preset",
        limits::FLOOR_NAME_OCTETS_MAX
    );
    entry.parsed("name", diagnostics, &want, |text| {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        let fits = !text.is_empty() && text.len() <= limits::FLOOR_NAME_OCTETS_MAX;
        (fits && text.bytes().all(is_plain) && !PRESETS.contains(&text)).then(|| text.to_owned())
    })
}

fn date(entry: &mut Table<'_, '_>, key: &'static str, diagnostics: &mut Diagnostics<'_>) -> Option<Date> {
    entry.parsed(key, diagnostics, "a day in quotes, such as \"2027-01-31\"", |text| text.parse().ok())
}
