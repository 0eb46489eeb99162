//! Commands that ask the API: over the socket of the running server, or in this process when none
//! runs.

use std::path::Path;

use pc_types::time;
use pc_web::client::{ClientError, request, request_in_process};
use serde_json::Value;

use super::{Context, floors, moment, parse_moment, pause};
use crate::cli::{Enforce, Report, ReportFormat, Servers};
use crate::exit::Failure;
use crate::node;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Servers) -> Result<u8, Failure> {
    match arguments {
        Servers::List => list(context).await?,
        Servers::Show { id } => {
            let value = ask(context, "GET", &server_path(&id)?, None).await?;
            if context.json {
                print_json(&value);
            } else {
                print(&shown(&value));
            }
        }
        Servers::Exempt { id, reason, until, owner } => {
            let until = parse_moment(&until)?.to_string();
            let body = serde_json::json!({ "reason": reason, "owner": owner, "until": until });
            ask(context, "PUT", &format!("{}/exemption", server_path(&id)?), Some(body)).await?;
            print(&format!(
                "{id} is let through until {until}; `portcullis servers unexempt {id}` ends that"
            ));
        }
        Servers::Unexempt { id } => {
            ask(context, "DELETE", &format!("{}/exemption", server_path(&id)?), None).await?;
            print(&format!("{id} is under the ladder again"));
        }
        Servers::Forget { id } => {
            ask(context, "DELETE", &server_path(&id)?, None).await?;
            print(&format!("{id} is forgotten; it starts anew with its next message"));
        }
    }
    Ok(0)
}

pub async fn enforce(context: &Context, arguments: Enforce) -> Result<u8, Failure> {
    let (days, now) = match arguments {
        Enforce::Floors { now } => {
            let (config, date) = (context.load()?, time::date_of(moment(now.as_deref())?));
            if context.json {
                print_json(&floors::json(&config, date));
            } else {
                print(&floors::text(&config, date));
            }
            return Ok(0);
        }
        Enforce::Preview { days, now } => (days, moment(now.as_deref())?),
        Enforce::Resume => return pause::resume(context).await,
        Enforce::Stop { reason, owner } => return pause::stop(context, &reason, &owner).await,
    };
    let path = format!("/api/v1/preview?days={days}&now={}", percent_encoded(&now.to_string()));
    let value = ask(context, "GET", &path, None).await?;
    if context.json {
        print_json(&value);
        return Ok(0);
    }
    let config = context.load()?;
    if let Some(floor) = config.floor(&config.enforcement.floor) {
        print(&floors::line(&floor, time::date_of(now)));
    }
    let of_kind = |what: &str| -> Value {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter(|row| row.get("what").is_some_and(|kind| kind == what))
            .cloned()
            .collect()
    };
    let raised =
        rows(&of_kind("raise"), &["at", "greeting_name", "id", "build", "floor", "version", "install"]);
    if !raised.is_empty() {
        print("Servers that owe nothing today, and will once a version of their floor holds:");
        print(&table(&["WHEN", "SERVER", "ID", "BUILD", "FLOOR", "VERSION", "INSTALL UNTIL THEN"], &raised));
    }
    let columns = ["at", "greeting_name", "id", "stage", "throttle_minutes", "block_minutes"];
    let rows = rows(&of_kind("stage"), &columns);
    if rows.is_empty() {
        print(&format!("No server owes anything: nothing will happen within {days} days."));
    } else {
        print(&table(&["WHEN", "SERVER", "ID", "STAGE", "THROTTLE MIN/H", "BLOCK MIN/H"], &rows));
    }
    Ok(0)
}

pub async fn report(context: &Context, arguments: Report) -> Result<u8, Failure> {
    let format = if context.json { ReportFormat::Json } else { arguments.format };
    let name = match format {
        ReportFormat::Csv => "csv",
        ReportFormat::Html => "html",
        ReportFormat::Json => "json",
        ReportFormat::Text => "text",
    };
    let bytes = ask_bytes(context, "GET", &format!("/api/v1/report?format={name}"), None).await?;
    print(&String::from_utf8_lossy(&bytes));
    Ok(0)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let value = ask(context, "GET", "/api/v1/servers", None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    let columns = [
        "id",
        "greeting_name",
        "address",
        "product",
        "build",
        "verdict",
        "standing",
        "stage",
        "day",
        "last_seen",
    ];
    let rows = rows(&value, &columns);
    if rows.is_empty() {
        print("No server has sent mail yet.");
    } else {
        let head = [
            "ID",
            "SERVER",
            "ADDRESS",
            "PRODUCT",
            "BUILD",
            "VERDICT",
            "STANDING",
            "STAGE",
            "DAY",
            "LAST SEEN",
        ];
        print(&table(&head, &rows));
    }
    Ok(())
}

/// The main facts of one server; `--json` has all of them.
fn shown(value: &Value) -> String {
    let server = value.get("server").unwrap_or(value);
    let fields = [
        ("server", "greeting_name"),
        ("id", "id"),
        ("address", "address"),
        ("product", "product"),
        ("build", "build"),
        ("verdict", "verdict"),
        ("standing", "standing"),
        ("reason", "reason"),
        ("evidence", "header"),
        ("install", "install"),
        ("connector", "connector"),
        ("matched by", "connector_by"),
        ("match", "connector_match"),
        ("mode", "mode"),
        ("floor", "floor"),
        ("version", "floor_version"),
        ("stage", "stage"),
        ("day", "day"),
        ("next stage", "next_stage_at"),
        ("first seen", "first_seen"),
        ("last seen", "last_seen"),
    ];
    let rows: Vec<Vec<String>> = fields
        .iter()
        .filter_map(|(label, key)| server.get(*key).map(|field| vec![(*label).to_owned(), cell(field)]))
        .filter(|row| row.get(1).is_some_and(|cell| !cell.is_empty()))
        .collect();
    let mut text = String::new();
    for row in &rows {
        if let [label, cell] = row.as_slice() {
            text.push_str(&format!("{label:<12}{}\n", pc_types::Escaped::with_octets_max(cell, 1_000)));
        }
    }
    if let Some(attested) = server.get("attestation").filter(|attested| attested.is_object()) {
        let of = |key: &str| attested.get(key).map(cell).unwrap_or_default();
        let line = format!("{} at {} by {}: {}", of("build"), of("at"), of("host"), of("text"));
        text.push_str(&format!("{:<12}{}\n", "attested", pc_types::Escaped::with_octets_max(&line, 1_000)));
    }
    for line in rows_of(server.get("interior"), &["build", "header"]) {
        if let [build, header] = line.as_slice() {
            let header = pc_types::Escaped::with_octets_max(header, 300);
            text.push_str(&format!("{:<12}{build}, not judged: {header}\n", "interior"));
        }
    }
    let events = rows_of(value.get("events"), &["at", "code", "detail"]);
    if !events.is_empty() {
        text.push_str(&format!("\n{}", table(&["WHEN", "WHAT", ""], &events)));
    }
    text
}

fn rows_of(value: Option<&Value>, columns: &[&str]) -> Vec<Vec<String>> {
    value.map(|value| rows(value, columns)).unwrap_or_default()
}

/// The columns of an array of objects as text.
pub fn rows(value: &Value, columns: &[&str]) -> Vec<Vec<String>> {
    let list = value.as_array().into_iter().flatten();
    list.map(|row| columns.iter().map(|column| row.get(*column).map(cell).unwrap_or_default()).collect())
        .collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A server id is checked here, so that nothing else gets into a path.
fn server_path(id: &str) -> Result<String, Failure> {
    let id: pc_types::ServerId = id.parse().map_err(|error| Failure::usage(format!("{id:?}: {error}")))?;
    Ok(format!("/api/v1/servers/{id}"))
}

/// Asks the API for JSON.
pub async fn ask(context: &Context, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
    let bytes = ask_bytes(context, method, path, body).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::internal(format!("the API answered no JSON: {error}")))
}

async fn ask_bytes(
    context: &Context,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Vec<u8>, Failure> {
    let config = context.load()?;
    let socket = node::socket_path(Path::new(&config.node.data));
    let (status, bytes) = match request(&socket, method, path, body.clone()).await {
        Err(ClientError::NotRunning) => {
            let offline = node::Offline::open(&config).await?;
            let answer = request_in_process(offline.router(), method, path, body).await;
            offline.close().await;
            answer
        }
        answer => answer,
    }
    .map_err(|error| Failure::internal(crate::exit::chain(&error)))?;
    if (200..300).contains(&status) {
        return Ok(bytes);
    }
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = value.get("message").and_then(Value::as_str).unwrap_or("the API refused").to_owned();
    match status {
        404 => Err(Failure::bad(message)),
        400..500 => Err(Failure::usage(message)),
        _ => Err(Failure::internal(message)),
    }
}

/// A value for a query string, RFC 3986 2.3.
pub fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            _ => format!("%{octet:02X}"),
        })
        .collect()
}
