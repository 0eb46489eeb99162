//! `enforce floors`: the table of floors with the days from which they hold.

use pc_config::Config;
use pc_enforce::{Floor, FloorVersion};
use pc_types::Date;

use crate::output::table;

/// All floors as a table.
pub fn text(config: &Config, date: Date) -> String {
    let mut rows = Vec::new();
    for floor in config.all_floors() {
        for version in floor.versions() {
            rows.push(vec![
                floor.name().to_owned(),
                version.version.to_string(),
                day(version.announced),
                version.effective.map_or_else(|| "always".to_owned(), |date| date.to_string()),
                state(config, &floor, version, date).replace('_', " "),
            ]);
        }
    }
    let mut text = table(&["FLOOR", "VERSION", "ANNOUNCED", "HOLDS FROM", ""], &rows);
    for floor in config.all_floors() {
        for version in floor.versions() {
            text.push_str(&format!("\n{} {}: {}", floor.name(), version.version, version.text()));
        }
    }
    text
}

/// The same as JSON.
pub fn json(config: &Config, date: Date) -> serde_json::Value {
    let floors = config.all_floors();
    let rows = floors.iter().flat_map(|floor| {
        floor.versions().iter().map(move |version| {
            let mut row = version_json(floor, version);
            if let Some(object) = row.as_object_mut() {
                object.insert("state".to_owned(), state(config, floor, version, date).into());
                object.insert("asks".to_owned(), version.text().into());
            }
            row
        })
    });
    rows.collect()
}

/// One version, as answers name it.
pub fn version_json(floor: &Floor, version: &FloorVersion) -> serde_json::Value {
    serde_json::json!({
        "floor": floor.name(),
        "version": version.version,
        "announced": version.announced.map(|date| date.to_string()),
        "effective": version.effective.map(|date| date.to_string()),
    })
}

/// The floor in force and the next one, in a line.
pub fn line(floor: &Floor, date: Date) -> String {
    let mut text = match floor.in_force(date) {
        Some(version) => {
            let since = version.effective.map_or_else(String::new, |from| format!(" since {from}"));
            format!("Floor {} version {}{since}: {}", floor.name(), version.version, version.text())
        }
        None => format!("Floor {}: nothing is asked yet", floor.name()),
    };
    if let Some(next) = floor.next(date) {
        text.push_str(&format!(
            "; version {} holds from {}: {}",
            next.version,
            day(next.effective),
            next.text()
        ));
    }
    text
}

fn state(config: &Config, floor: &Floor, version: &FloorVersion, date: Date) -> &'static str {
    let is_used = floor.name() == config.enforcement.floor;
    let holds = floor.in_force(date).is_some_and(|held| held.version == version.version);
    match (holds, version.effective.is_some_and(|from| from > date)) {
        (true, _) if is_used => "in_force",
        (true, _) => "available",
        (false, true) => "ahead",
        (false, false) => "replaced",
    }
}

fn day(date: Option<Date>) -> String {
    date.map_or_else(|| "-".to_owned(), |date| date.to_string())
}
