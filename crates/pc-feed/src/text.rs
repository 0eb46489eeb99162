//! Small pieces that all formats share.

use pc_types::{Build, Date};

use crate::facts::FeedError;
use crate::limits::TEXT_OCTETS_MAX;

/// The day of `2026-06-09`, `2026-06-09T07:00:00` or `2026-06-09T07:00:00.123Z`.
pub(crate) fn day(text: &str) -> Result<Date, FeedError> {
    let written = text.trim();
    let day = written.split_once(['T', ' ']).map_or(written, |(day, _)| day);
    day.parse().map_err(|_| FeedError::Day(shortened(text)))
}

pub(crate) fn optional_day(text: Option<&str>) -> Result<Option<Date>, FeedError> {
    text.filter(|text| !text.trim().is_empty()).map(day).transpose()
}

/// A fixed build: `15.02.2562.043`. Records hold addresses of pages and dashes in its place, which say nothing.
pub(crate) fn build(text: &str) -> Option<Build> {
    text.trim().parse().ok()
}

/// `KB5094144` from `5094144`.
pub(crate) fn kb(text: &str) -> Option<String> {
    let digits = text.trim().trim_start_matches("KB");
    let is_number = (6..=8).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| format!("KB{digits}"))
}

/// `CVE-2026-45583` or `ADV190021`, as nothing else is taken over into the catalogue.
pub(crate) fn id(text: &str) -> Option<String> {
    let text = text.trim();
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|octet| octet.is_ascii_digit());
    let is_id = match text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')) {
        Some((year, number)) => year.len() == 4 && digits(year) && digits(number),
        None => text.strip_prefix("ADV").is_some_and(digits),
    };
    is_id.then(|| text.to_owned())
}

/// Whether a product's name is that of an Exchange server.
pub(crate) fn is_exchange_server(name: &str) -> bool {
    name.contains("Exchange Server")
}

/// A score as CVSS has it.
pub(crate) fn score(value: f64) -> Option<f64> {
    (0.0..=10.0).contains(&value).then_some(value)
}

/// A text of the feed that goes into the catalogue: bounded, on one line.
pub(crate) fn shortened(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if out.len() + 1 + word.len() > TEXT_OCTETS_MAX {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|character| !character.is_control()));
    }
    out
}
