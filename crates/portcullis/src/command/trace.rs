use pc_types::Escaped;
use serde_json::Value;

use super::{Context, parse_moment, servers};
use crate::cli::Trace;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json, table};

/// Octets of one value in the view of one transaction.
const VALUE_OCTETS_MAX: usize = 400;

/// Rows, and where to go on.
struct Found {
    rows: Vec<Value>,
    next: Option<String>,
}

pub async fn run(context: &Context, arguments: Trace) -> Result<u8, Failure> {
    let is_one = arguments.id.is_some();
    let found = search(context, arguments).await?;
    if context.json {
        print_json(&Value::Array(found.rows));
        return Ok(0);
    }
    if let ([row], true) = (found.rows.as_slice(), is_one) {
        let id = row.get("id").and_then(Value::as_str).unwrap_or_default();
        let path = format!("/api/v1/trace/{}", servers::percent_encoded(id));
        print(&timeline(&servers::ask(context, "GET", &path, None).await?));
        return Ok(0);
    }
    let columns =
        ["at", "id", "address", "reverse_path", "recipients", "verdict", "enforcement", "outcome", "reply"];
    let rows = servers::rows(&with_recipients(Value::Array(found.rows)), &columns);
    if rows.is_empty() {
        print("No transaction fits.");
        return Ok(BAD);
    }
    let head = ["TIME", "TRACE ID", "ADDRESS", "FROM", "TO", "VERDICT", "LADDER", "OUTCOME", "REPLY"];
    print(&table(&head, &rows));
    if let Some(next) = found.next {
        print(&format!("There may be older ones: --before {next}"));
    }
    Ok(0)
}

/// Asks until there are as many rows as wanted, or no more: one answer of the API may stop early.
async fn search(context: &Context, arguments: Trace) -> Result<Found, Failure> {
    let wanted = usize::from(arguments.limit);
    // Checked here, so that a mistake is told with the option's own words.
    arguments.since.as_deref().map(parse_moment).transpose()?;
    arguments.until.as_deref().map(parse_moment).transpose()?;
    let mut query = String::new();
    for (name, value) in [
        ("from", arguments.from),
        ("to", arguments.to),
        ("ip", arguments.ip),
        ("server", arguments.server),
        ("outcome", arguments.outcome),
        ("since", arguments.since),
        ("until", arguments.until),
        ("id", arguments.id),
    ] {
        if let Some(value) = value {
            query.push_str(&format!("{name}={}&", servers::percent_encoded(&value)));
        }
    }
    let mut found = Found { rows: Vec::new(), next: arguments.before };
    loop {
        let cursor = found.next.as_deref().map(servers::percent_encoded).unwrap_or_default();
        let limit = wanted - found.rows.len();
        let path = format!("/api/v1/trace?{query}limit={limit}&cursor={cursor}");
        let mut page = servers::ask(context, "GET", &path, None).await?;
        if let Some(Value::Array(rows)) = page.get_mut("rows").map(Value::take) {
            found.rows.extend(rows);
        }
        found.next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if found.next.is_none() || found.rows.len() >= wanted {
            return Ok(found);
        }
    }
}

/// One transaction: its facts, then what happened in order.
fn timeline(row: &Value) -> String {
    let text = |key: &str| match row.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => Escaped::with_octets_max(text, VALUE_OCTETS_MAX).to_string(),
        Some(other) => other.to_string(),
    };
    let fields = [
        ("trace id", "id"),
        ("connected", "connected_at"),
        ("address", "address"),
        ("listener", "listener"),
        ("connector", "connector"),
        ("tls", "tls"),
        ("greeting", "greeting"),
        ("server", "server_id"),
        ("mail at", "at"),
        ("from", "reverse_path"),
        ("message id", "message_id"),
        ("octets", "octets"),
        ("verdict", "verdict"),
        ("ladder", "enforcement"),
        ("outcome", "outcome"),
        ("reply", "reply"),
        ("upstream", "upstream"),
        ("it answered", "upstream_reply"),
    ];
    let mut out = String::new();
    for (label, key) in fields {
        let value = if key == "reverse_path" { format!("<{}>", text(key)) } else { text(key) };
        if !value.is_empty() {
            out.push_str(&format!("{label:<12}{value}\n"));
        }
    }
    let list = |key: &str, columns: &[&str]| {
        row.get(key).map(|list| servers::rows(list, columns)).unwrap_or_default()
    };
    let recipients = list("recipients", &["forward_path", "reply"]);
    if !recipients.is_empty() {
        out.push_str(&format!("\n{}", table(&["RECIPIENT", "ANSWER"], &recipients)));
    }
    let deliveries = list("deliveries", &["at", "code", "detail"]);
    if !deliveries.is_empty() {
        out.push_str(&format!("\n{}", table(&["IN THE SPOOL", "EVENT", "WHAT WAS SAID"], &deliveries)));
    }
    let steps = list("steps", &["at_ms", "step", "text"]);
    if !steps.is_empty() {
        out.push_str(&format!("\n{}", table(&["MS", "STEP", "WHAT WAS SAID"], &steps)));
    }
    out
}

/// The recipients of a row as one text.
fn with_recipients(mut value: Value) -> Value {
    for row in value.as_array_mut().into_iter().flatten() {
        let list = row.get("recipients").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<String> =
            list.filter_map(|recipient| recipient.get("forward_path")?.as_str().map(str::to_owned)).collect();
        if let Some(object) = row.as_object_mut() {
            object.insert("recipients".to_owned(), names.join(" ").into());
        }
    }
    value
}
