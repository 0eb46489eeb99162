use serde_json::Value;

use super::{Context, servers};
use crate::cli::Notices;
use crate::exit::Failure;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Notices) -> Result<u8, Failure> {
    match arguments {
        Notices::List { about } => list(context, about).await,
        Notices::TestWebhook { name } => test_webhook(context, &name).await,
        Notices::Webhooks => webhooks(context).await,
    }
}

async fn list(context: &Context, about: Option<String>) -> Result<u8, Failure> {
    let query = about.map_or_else(String::new, |id| format!("?subject={}", servers::percent_encoded(&id)));
    let value = servers::ask(context, "GET", &format!("/api/v1/notices{query}"), None).await?;
    if context.json {
        print_json(&value);
        return Ok(0);
    }
    let rows = servers::rows(&value, &["at", "addressee", "kind", "subject", "state", "detail"]);
    if rows.is_empty() {
        print("Nobody had to be told anything.");
    } else {
        print(&table(&["AT", "TO", "KIND", "ABOUT", "STATE", "DETAIL"], &rows));
    }
    Ok(0)
}

/// 1 where the receiver did not take it.
async fn test_webhook(context: &Context, name: &str) -> Result<u8, Failure> {
    let path = format!("/api/v1/webhooks/{}/test", servers::percent_encoded(name));
    let value = servers::ask(context, "POST", &path, None).await?;
    let taken = value.get("taken").and_then(Value::as_bool) == Some(true);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if context.json {
        print_json(&value);
    } else if taken {
        print(&format!("{} took {}: {}", text("url"), text("id"), text("answer")));
    } else {
        let (url, id, answer, remedy) = (text("url"), text("id"), text("answer"), text("remedy"));
        print(&format!("{url} did not take {id}: {answer}\n{remedy}"));
    }
    Ok(u8::from(!taken))
}

async fn webhooks(context: &Context) -> Result<u8, Failure> {
    let value = servers::ask(context, "GET", "/api/v1/webhooks", None).await?;
    if context.json {
        print_json(&value);
        return Ok(0);
    }
    let rows = servers::rows(&value, &["name", "url", "waiting", "disabled_at", "answer"]);
    if rows.is_empty() {
        print("There is no [[notify.webhook]] in the configuration.");
    } else {
        print(&table(&["WEBHOOK", "URL", "WAITING", "DISABLED AT", "ANSWER"], &rows));
    }
    Ok(0)
}
