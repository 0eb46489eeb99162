//! Who changed what, and why.

use axum::response::Response;
use maud::{Markup, html};
use pc_store::AuditRow;

use crate::api::Context;
use crate::limits::TRACE_ROWS;
use crate::page::{minute_of, page, problem_page};

pub(crate) async fn show(context: Context) -> Result<Response, Response> {
    let rows = context.admin.store.audit(TRACE_ROWS).await;
    let rows = rows.map_err(|error| problem_page(&context, &error.into()))?;
    Ok(page(
        &context,
        "Audit",
        html! {
            h1 { "Who changed what" }
            @if rows.is_empty() { p.empty { "Nothing was changed yet." } } @else {
                p { "The newest first, " (TRACE_ROWS) " at most. The same as data: " a href="/api/v1/audit" { "JSON" } "." }
                (table(&rows))
            }
        },
    ))
}

fn table(rows: &[AuditRow]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Whom" } th scope="col" { "Why" } } }
            tbody { @for row in rows { tr {
                td.tight data-label="When" { (minute_of(row.at)) }
                td.tight data-label="Who" { (row.actor) }
                td.tight data-label="What" { (row.action.replace('_', " ")) }
                td.tight data-label="Whom" { (row.subject) }
                td data-label="Why" { @if row.reason.is_empty() { "-" } @else { (row.reason) } }
            } } }
        }
    }
}
