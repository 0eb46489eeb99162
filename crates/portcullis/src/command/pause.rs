use serde_json::{Value, json};

use super::{Context, parse_moment, servers};
use crate::cli::Pause;
use crate::exit::Failure;
use crate::output::{print, print_json, table};

const PATH: &str = "/api/v1/pauses";

pub async fn run(context: &Context, arguments: Pause) -> Result<u8, Failure> {
    match arguments {
        Pause::Add { tenant, days, from, reason, owner } => {
            let from = from.map(|text| parse_moment(&text)).transpose()?;
            let body = json!({
                "tenant": tenant, "days": days, "from": from.map(|from| from.to_string()), "reason": reason, "owner": owner,
            });
            let pause = servers::ask(context, "POST", PATH, Some(body)).await?;
            let says = format!("The ladder stands still for {tenant}");
            tell(context, &pause, &says);
        }
        Pause::End { number } => {
            let pause = servers::ask(context, "DELETE", &format!("{PATH}/{number}"), None).await?;
            tell(context, &pause, "Ended");
        }
        Pause::List => list(context).await?,
        Pause::Quota { year } => quota(context, year).await?,
    }
    Ok(0)
}

/// `enforce stop`
pub async fn stop(context: &Context, reason: &str, owner: &str) -> Result<u8, Failure> {
    let body = json!({ "reason": reason, "owner": owner });
    let pause = servers::ask(context, "POST", "/api/v1/stop", Some(body)).await?;
    tell(context, &pause, "The ladder is stopped for everybody, until `portcullis enforce resume`");
    Ok(0)
}

/// `enforce resume`: ends every stop that runs.
pub async fn resume(context: &Context) -> Result<u8, Failure> {
    let pauses = servers::ask(context, "GET", PATH, None).await?;
    let running = pauses.as_array().into_iter().flatten().filter(|pause| {
        pause.get("tenant").is_some_and(Value::is_null)
            && pause.get("state").is_some_and(|state| state == "running")
    });
    let numbers: Vec<i64> = running.filter_map(|pause| pause.get("number")?.as_i64()).collect();
    for number in &numbers {
        let pause = servers::ask(context, "DELETE", &format!("{PATH}/{number}"), None).await?;
        tell(context, &pause, "The ladder goes on");
    }
    if numbers.is_empty() {
        print("There is no stop to end.");
    }
    Ok(0)
}

fn tell(context: &Context, pause: &Value, says: &str) {
    if context.json {
        print_json(pause);
        return;
    }
    let text = |key: &str| match pause.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "it is ended".to_owned(),
    };
    print(&format!("{says}: pause {}, {} until {}.", text("number"), text("from"), text("until")));
}

async fn list(context: &Context) -> Result<(), Failure> {
    let value = servers::ask(context, "GET", PATH, None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    let rows = servers::rows(&value, &["number", "tenant", "state", "from", "until", "owner", "reason"]);
    if rows.is_empty() {
        print("No pause was ever granted.");
    } else {
        print(&table(&["NUMBER", "TENANT", "STATE", "FROM", "UNTIL", "OWNER", "REASON"], &rows));
    }
    Ok(())
}

async fn quota(context: &Context, year: Option<i16>) -> Result<(), Failure> {
    let query = year.map_or_else(String::new, |year| format!("?year={year}"));
    let value = servers::ask(context, "GET", &format!("{PATH}/quota{query}"), None).await?;
    if context.json {
        print_json(&value);
        return Ok(());
    }
    let rows = servers::rows(&value, &["tenant", "year", "used_days", "left_days"]);
    print(&table(&["TENANT", "YEAR", "DAYS USED", "DAYS LEFT"], &rows));
    Ok(())
}
