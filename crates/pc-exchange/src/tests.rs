mod assess;
mod catalogue;
mod evidence;
mod false_builds;
mod fixtures;
mod judgement;
mod properties;

use std::sync::LazyLock;

use pc_types::{Build, Date, Domain};

use crate::{Assessment, Catalogue, Form};

/// Read once for all tests; clones share it.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

fn catalogue() -> Catalogue {
    CATALOGUE.clone()
}

fn build(text: &str) -> Build {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn assess(text: &str, form: Form, day: &str) -> Assessment {
    catalogue().assess(build(text), form, date(day))
}

fn smtp_line(from: &str, by: &str, id: &str) -> String {
    format!(
        "Received: from {from} (192.0.2.1) by {by} (192.0.2.5) with Microsoft SMTP Server (TLS) id {id}; d"
    )
}

fn mapi_line(by: &str, id: &str) -> String {
    format!("Received: from {by} ([::1]) by {by} ([::1]) with mapi id {id}; d")
}
