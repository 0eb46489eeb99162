use std::path::Path;

use super::Context;
use crate::cli::Tls;
use crate::exit::Failure;
use crate::node;
use crate::output::{print, print_json, table};

pub async fn run(context: &Context, arguments: Tls) -> Result<u8, Failure> {
    match arguments {
        Tls::Acme => return super::tls_acme::run(context),
        Tls::Check(arguments) => return super::tls_check::run(context, arguments).await,
        Tls::Records => super::tls_records::run(context).await?,
        Tls::Standard => standard(context).await,
        Tls::Clients(arguments) => super::tls_clients::run(context, arguments).await?,
    }
    Ok(0)
}

/// What the running node says of its own check; nothing where none runs.
async fn remarks(context: &Context) -> Vec<String> {
    let Ok(config) = context.load() else { return Vec::new() };
    if !node::socket_path(Path::new(&config.node.data)).exists() {
        return Vec::new();
    }
    let status = super::servers::ask(context, "GET", "/api/v1/status", None).await.unwrap_or_default();
    let remarks = status.get("remarks").and_then(serde_json::Value::as_array).into_iter().flatten();
    remarks.filter_map(serde_json::Value::as_str).map(str::to_owned).collect()
}

async fn standard(context: &Context) {
    let remarks = remarks(context).await;
    let standard = pc_tls::standard();
    if context.json {
        print_json(&serde_json::json!({
            "versions": standard.versions.iter().map(|version| version.name).collect::<Vec<_>>(),
            "suites": standard.suites.iter().map(|suite| serde_json::json!({
                "name": suite.name, "openssl": suite.openssl_name, "code": format!("{:04x}", suite.code),
            })).collect::<Vec<_>>(),
            "checked": remarks,
            "groups": standard.groups.iter().map(|group| group.name).collect::<Vec<_>>(),
        }));
        return;
    }
    let versions: Vec<&str> = standard.versions.iter().map(|version| version.name).collect();
    let groups: Vec<&str> = standard.groups.iter().map(|group| group.name).collect();
    let rows: Vec<Vec<String>> = standard
        .suites
        .iter()
        .map(|suite| {
            vec![format!("{:04x}", suite.code), suite.name.to_owned(), suite.openssl_name.to_owned()]
        })
        .collect();
    print(&format!(
        "The standard on every listener; no setting changes it.\n\nversions  {}\ngroups    {}\n\nSuites in the server's \
         order:\n{}",
        versions.join(", "),
        groups.join(", "),
        table(&["CODE", "SUITE", "OPENSSL"], &rows)
    ));
    for remark in remarks {
        print(&format!("\nTo be looked at: {}", pc_types::Escaped::new(&remark)));
    }
}
