use super::{Context, servers};
use crate::cli::Notices;
use crate::exit::Failure;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Notices) -> Result<u8, Failure> {
    let Notices::List { about } = arguments;
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
