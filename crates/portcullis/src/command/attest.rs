use std::path::Path;

use pc_enforce::limits::ATTESTATION_OCTETS_MAX;
use serde_json::Value;

use super::{Context, servers};
use crate::cli::Attest;
use crate::exit::Failure;
use crate::output::{print, print_json, table};

const PATH: &str = "/api/v1/attestations";

pub async fn run(context: &Context, arguments: Attest) -> Result<u8, Failure> {
    match arguments {
        Attest::Add { file } => add(context, &file).await?,
        Attest::Key => {
            let key = pc_web::new_attestation_key().map_err(|error| Failure::internal(error.to_string()))?;
            print(&key);
        }
        Attest::List => list(context).await?,
        Attest::Script => print(pc_enforce::SCRIPT),
    }
    Ok(0)
}

async fn add(context: &Context, file: &Path) -> Result<(), Failure> {
    let named = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", file.display()));
    let octets = std::fs::metadata(file).map_err(|error| named(&error))?.len();
    if octets > ATTESTATION_OCTETS_MAX as u64 {
        return Err(named(&"is too large for an attestation"));
    }
    let octets = std::fs::read(file).map_err(|error| named(&error))?;
    let body: Value = serde_json::from_slice(&octets).map_err(|error| named(&error))?;
    let taken = servers::ask(context, "POST", PATH, Some(body)).await?;
    if context.json {
        print_json(&taken);
    } else {
        print(&text(&Value::Array(vec![taken])));
    }
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let value = servers::ask(context, "GET", PATH, None).await?;
    if context.json {
        print_json(&value);
    } else if value.as_array().is_some_and(Vec::is_empty) {
        print("Nothing is attested. `portcullis attest script` prints what owners of servers run.");
    } else {
        print(&text(&value));
    }
    Ok(())
}

fn text(list: &Value) -> String {
    let rows = servers::rows(list, &["tenant", "host", "build", "at", "address", "state"]);
    let mut text = table(&["TENANT", "HOST", "BUILD", "READ AT", "FROM", "STATE"], &rows);
    for row in list.as_array().into_iter().flatten() {
        let about = row.get("servers").map(|servers| servers::rows(servers, &["id", "state", "text"]));
        for server in about.unwrap_or_default() {
            if let [id, state, said] = server.as_slice()
                && state == "contradicts"
            {
                text.push_str(&format!("\n{id}: {said}\n"));
            }
        }
    }
    text
}
