use serde_json::Value;

use super::{Context, parse_moment, servers};
use crate::cli::Trace;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Trace) -> Result<u8, Failure> {
    let mut query = Vec::new();
    let since = arguments.since.as_deref().map(parse_moment).transpose()?.map(|since| since.to_string());
    for (name, value) in [
        ("from", arguments.from),
        ("to", arguments.to),
        ("ip", arguments.ip),
        ("since", since),
        ("id", arguments.id),
    ] {
        if let Some(value) = value {
            query.push(format!("{name}={}", servers::percent_encoded(&value)));
        }
    }
    let value = servers::ask(context, "GET", &format!("/api/v1/trace?{}", query.join("&")), None).await?;
    if context.json {
        print_json(&value);
        return Ok(0);
    }
    let columns =
        ["at", "id", "address", "reverse_path", "recipients", "verdict", "enforcement", "outcome", "reply"];
    let rows = servers::rows(&with_recipients(value), &columns);
    if rows.is_empty() {
        print("No transaction fits.");
        return Ok(BAD);
    }
    let head = ["TIME", "TRACE ID", "ADDRESS", "FROM", "TO", "VERDICT", "LADDER", "OUTCOME", "REPLY"];
    print(&table(&head, &rows));
    Ok(0)
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
