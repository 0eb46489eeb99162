//! `tls clients`: who could not connect, why, and what it may be.

use serde_json::Value;

use super::{Context, parse_moment, servers};
use crate::cli::TlsClients;
use crate::exit::Failure;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: TlsClients) -> Result<(), Failure> {
    if let Some(days) = arguments.summary {
        return summary(context, days).await;
    }
    // Checked here, so that a mistake is told with the option's own words.
    arguments.since.as_deref().map(parse_moment).transpose()?;
    arguments.until.as_deref().map(parse_moment).transpose()?;
    let mut path = "/api/v1/tls/clients?".to_owned();
    for (name, value) in [
        ("ip", arguments.ip),
        ("name", arguments.name),
        ("version", arguments.version),
        ("refusal", arguments.refusal),
        ("product", arguments.product),
        ("suite", arguments.suite),
        ("ja4", arguments.ja4),
        ("since", arguments.since),
        ("until", arguments.until),
        ("fitting", arguments.fitting.then(|| "yes".to_owned())),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("{name}={}&", servers::percent_encoded(&value)));
        }
    }
    let mut value = servers::ask(context, "GET", &path, None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    for row in value.as_array_mut().into_iter().flatten() {
        let name = row.pointer("/guess/name").cloned().unwrap_or_else(|| "-".into());
        if let Some(row) = row.as_object_mut() {
            row.insert("product".to_owned(), name);
        }
    }
    let columns = ["last_seen", "address", "refusal", "version", "server_name", "ja4", "count", "product"];
    let rows = servers::rows(&value, &columns);
    if rows.is_empty() {
        print("No client fits, or none was refused so far.");
        return Ok(());
    }
    let head = ["LAST SEEN", "ADDRESS", "REFUSAL", "VERSION", "SNI", "JA4", "COUNT", "MAY BE"];
    print(&table(&head, &rows));
    print(
        "What a client may be is a guess by the order of its offers; --json has the source of each, and what to do.",
    );
    Ok(())
}

async fn summary(context: &Context, days: u16) -> Result<(), Failure> {
    let value = servers::ask(context, "GET", &format!("/api/v1/tls/summary?days={days}"), None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    let sites = value.get("sites").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if sites.is_empty() {
        print(&format!("No client was refused in {days} days."));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = sites
        .iter()
        .map(|site| {
            let number = |key: &str| site.get(key).map(ToString::to_string).unwrap_or_default();
            vec![
                site.get("site").and_then(Value::as_str).unwrap_or("mail and other names").to_owned(),
                number("attempts"),
                number("clients"),
                counted(site.get("refusals")),
                counted(site.get("products")),
            ]
        })
        .collect();
    print(&format!("Refused clients in {days} days. What a client may be is a guess.\n"));
    print(&table(&["SITE", "CONNECTIONS", "CLIENTS", "WHY", "MAY BE"], &rows));
    Ok(())
}

/// `3 old_version, 1 ssl_v2`
fn counted(counts: Option<&Value>) -> String {
    let counts = counts.and_then(Value::as_object).into_iter().flatten();
    counts.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
