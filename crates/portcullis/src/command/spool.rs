use serde_json::Value;

use super::{Context, servers};
use crate::cli::{Spool, Waiting};
use crate::exit::Failure;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Spool) -> Result<u8, Failure> {
    match arguments {
        Spool::List => list(context).await?,
        Spool::Show { id } => {
            let value = servers::ask(context, "GET", &message_path(&id, ""), None).await?;
            print_json(&value);
        }
        Spool::Retry(waiting) => change(context, waiting, "retry", "is tried now").await?,
        Spool::Hold(waiting) => {
            change(context, waiting, "hold", "is held until `portcullis spool release`").await?;
        }
        Spool::Release(waiting) => change(context, waiting, "release", "is released").await?,
        Spool::Remove { id } => {
            servers::ask(context, "DELETE", &message_path(&id, ""), None).await?;
            print(&format!("{id} is removed for good"));
        }
    }
    Ok(0)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let value = servers::ask(context, "GET", "/api/v1/spool", None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    let part = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
    let targets = servers::rows(&part("targets"), &["name", "state", "shut_until", "hold", "messages"]);
    print(&table(&["UPSTREAM", "STATE", "NOT ASKED BEFORE", "HELD BECAUSE", "MESSAGES"], &targets));
    let hosts: Vec<Vec<String>> =
        part("targets").as_array().into_iter().flatten().flat_map(host_rows).collect();
    if !hosts.is_empty() {
        let head = ["UPSTREAM", "HOST", "PRIORITY", "STATE", "SINCE", "LAST FAULT", "AT"];
        print(&format!("\n{}", table(&head, &hosts)));
    }
    let columns = [
        "received_at",
        "id",
        "target",
        "state",
        "reverse_path",
        "recipients_pending",
        "next_attempt_at",
        "last_reply",
    ];
    let messages = servers::rows(&part("messages"), &columns);
    if messages.is_empty() {
        print("\nNo mail waits.");
    } else {
        let head =
            ["SINCE", "ID", "UPSTREAM", "STATE", "FROM", "RECIPIENTS LEFT", "NEXT ATTEMPT", "LAST REPLY"];
        print(&format!("\n{}", table(&head, &messages)));
    }
    Ok(())
}

/// A target's hosts, each behind its name.
fn host_rows(target: &Value) -> Vec<Vec<String>> {
    let name = target.get("name").and_then(Value::as_str).unwrap_or_default();
    let columns = ["address", "priority", "state", "since", "last_fault", "last_fault_at"];
    let mut rows = servers::rows(target.get("hosts").unwrap_or(&Value::Null), &columns);
    for row in &mut rows {
        row.insert(0, name.to_owned());
    }
    rows
}

async fn change(context: &Context, waiting: Waiting, action: &str, says: &str) -> Result<(), Failure> {
    if let Some(id) = waiting.id {
        servers::ask(context, "POST", &message_path(&id, action), None).await?;
        print(&format!("{id} {says}"));
        return Ok(());
    }
    let names = match waiting.upstream {
        Some(name) => vec![name],
        None => {
            let value = servers::ask(context, "GET", "/api/v1/spool", None).await?;
            let targets = value.get("targets").and_then(Value::as_array).into_iter().flatten();
            targets.filter_map(|target| target.get("name")?.as_str().map(str::to_owned)).collect()
        }
    };
    for name in names {
        let path = format!("/api/v1/targets/{}/{action}", servers::percent_encoded(&name));
        servers::ask(context, "POST", &path, None).await?;
        print(&format!("mail for {name} {says}"));
    }
    Ok(())
}

fn message_path(id: &str, action: &str) -> String {
    let id = servers::percent_encoded(id);
    if action.is_empty() { format!("/api/v1/spool/{id}") } else { format!("/api/v1/spool/{id}/{action}") }
}
