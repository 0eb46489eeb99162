//! The list of sending servers, by search and page by page.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::{Context, Fields, Problem};
use crate::limits::SERVER_ROWS;
use crate::page::{Links, page, problem_page, server_table};
use crate::trace::percent_encoded;
use crate::view::ServerView;

const STANDINGS: [(&str, &str); 4] =
    [("owing", "owe updates"), ("unknown", "unknown"), ("met", "in order"), ("not_exchange", "no Exchange")];

/// Empty fields of a form count as not given.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    #[serde(default)]
    q: String,
    #[serde(default)]
    standing: String,
    /// Rows to leave out.
    #[serde(default)]
    skip: usize,
}

impl ListInput {
    fn wants(&self, view: &ServerView) -> bool {
        let wanted = self.q.trim().to_ascii_lowercase();
        let has = |text: &str| text.to_ascii_lowercase().contains(&wanted);
        let texts = [
            Some(view.name()),
            Some(&view.address),
            Some(&view.id),
            view.build.as_deref(),
            view.tenant.as_deref(),
        ];
        let is_found = wanted.is_empty() || texts.into_iter().flatten().any(has);
        is_found && (self.standing.is_empty() || self.standing == view.standing)
    }

    fn link_to(&self, skip: usize) -> String {
        format!(
            "/servers?q={}&standing={}&skip={skip}",
            percent_encoded(self.q.trim()),
            percent_encoded(&self.standing)
        )
    }
}

pub(crate) async fn show(
    context: Context,
    input: Result<Fields<ListInput>, Problem>,
) -> Result<Response, Response> {
    let refused = |problem: Problem| problem_page(&context, &problem);
    let Fields(input) = input.map_err(refused)?;
    let all = context.views().await.map_err(refused)?;
    let is_empty = all.is_empty();
    let found: Vec<ServerView> = all.into_iter().filter(|view| input.wants(view)).collect();
    let rows = found.get(input.skip..).unwrap_or_default();
    let rows = rows.get(..SERVER_ROWS).unwrap_or(rows);
    Ok(page(
        &context,
        "Servers",
        html! {
            h1 { "Sending servers" }
            @if is_empty {
                p.empty { "No server has sent mail yet. Point one here, or send a message with swaks." }
            } @else {
                p { "The most severe first. All of them as a file: " a href="/api/v1/report?format=csv" { "CSV" } ", " a href="/api/v1/report?format=html" { "HTML" } ", " a href="/api/v1/report" { "JSON" } "." }
                (form(&input))
                @if rows.is_empty() { p.empty { "No server fits. " a href="/servers" { "Show all" } "." } } @else {
                    p { (input.skip + 1) " to " (input.skip + rows.len()) " of " (found.len()) "." }
                    (server_table(rows, Links::Pages))
                    (turn(&input, found.len()))
                }
            }
        },
    ))
}

fn form(input: &ListInput) -> Markup {
    html! {
        form method="get" action="/servers" role="search" {
            label { "Name, address, build, tenant or id" input name="q" value=(input.q); }
            label { "Standing" select name="standing" {
                option value="" selected[input.standing.is_empty()] { "any" }
                @for (word, spoken) in STANDINGS { option value=(word) selected[input.standing == word] { (spoken) } }
            } }
            button { "Search" }
        }
    }
}

fn turn(input: &ListInput, found: usize) -> Markup {
    let (before, after) = (input.skip.saturating_sub(SERVER_ROWS), input.skip.saturating_add(SERVER_ROWS));
    html! {
        p {
            @if input.skip > 0 { a rel="prev" href=(input.link_to(before)) { "Those before" } " " }
            @if after < found { a rel="next" href=(input.link_to(after)) { "Those after" } }
        }
    }
}
