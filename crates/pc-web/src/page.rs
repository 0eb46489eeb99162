//! The pages. Everything a page shows is in the API as well.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use pc_store::TlsClientQuery;
use pc_types::time::TimeZone;
use pc_types::{Timestamp, time};

use crate::api::{Context, Problem};
use crate::limits::{PREVIEW_DAYS, TRACE_ROWS};
use crate::raises;
use crate::report::Report;
use crate::sign_in::token_field;
use crate::view::ServerView;

/// The style sheet.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Whether names lead to pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    None,
    Pages,
}

pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(crate) async fn dashboard(context: Context) -> Result<Response, Response> {
    let report = context.report().await.map_err(|problem| problem_page(&context, &problem))?;
    let clients = context.admin.store.tls_clients(&all_clients()).await;
    let clients = clients.map_err(|error| problem_page(&context, &error.into()))?.len();
    let is_more = u32::try_from(clients).is_ok_and(|clients| clients >= TRACE_ROWS);
    let mode = match report.mode {
        "enforce" => "The ladder throttles and blocks.",
        "off" => "The ladder is off: nothing is counted and nothing is held.",
        _ => {
            "The ladder only counts what it would hold; nothing is sent. Set [enforcement] mode = \"enforce\" when you are ready."
        }
    };
    Ok(page(
        &context,
        "Overview",
        html! {
            h1 { "Overview" }
            dl.figures {
                div { dt { "owe updates" } dd { (report.owing) } }
                div { dt { "unknown" } dd { (report.unknown) } }
                div { dt { "in order" } dd { (report.met) } }
                div { dt { "no Exchange" } dd { (report.not_exchange) } }
                div { dt { "too old for TLS" } dd { (report.hellos.addresses) } }
                div { dt { a href="/tls" { "refused TLS clients" } } dd { (clients) @if is_more { "+" } } }
            }
            p { strong { "Mode: " (report.mode) ". " } (mode) " The catalogue is of " (report.catalogue_as_of) "." }
            (stage_counts(&report))
            (next_steps(&report))
            (raises::section(&raises::raises(&context.admin, context.admin.clock.now(), PREVIEW_DAYS)))
        },
    ))
}

fn stage_counts(report: &Report) -> Markup {
    html! {
        @if !report.by_stage.is_empty() {
            h2 { "Servers by stage" }
            ul.stages {
                @for (stage, count) in &report.by_stage {
                    li { span class=(format!("badge stage{stage}")) { "stage " (stage) } " " (count) }
                }
            }
        }
    }
}

fn next_steps(report: &Report) -> Markup {
    let mut next: Vec<&ServerView> =
        report.servers.iter().filter(|view| view.next_stage_at.is_some()).collect();
    next.sort_by_key(|view| view.next_stage_at);
    html! {
        h2 { "Next steps of the ladder" }
        @if report.servers.is_empty() {
            p.empty { "No server has sent mail yet. Point one here, or send a message with swaks; it shows under " a href="/servers" { "Servers" } "." }
        } @else if next.is_empty() {
            p.empty { "Nothing changes by itself: no server has a stage ahead." }
        } @else {
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Server" } th scope="col" { "Step" } } }
                tbody {
                    @for view in next.iter().take(10) {
                        tr {
                            td.tight data-label="When" { @if let Some(at) = view.next_stage_at { (day_of(at)) } }
                            td data-label="Server" { (server_link(view, Links::Pages)) @if let Some(until) = view.exempt_until { br; small { "exempt until " (day_of(until)) } } }
                            td data-label="Step" { "stage " (view.stage.unwrap_or(0)) " to " (view.next_stage.unwrap_or(0)) }
                        }
                    }
                }
            }
        }
    }
}

/// The servers as a table.
pub(crate) fn server_table(views: &[ServerView], links: Links) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Server" } th scope="col" { "Shows" } th scope="col" { "Verdict" } th scope="col" { "Ladder" } th scope="col" { "Next" } th scope="col" { "Last seen" } } }
            tbody {
                @for view in views {
                    tr {
                        td data-label="Server" { (server_link(view, links)) br; small { (view.address) } }
                        td data-label="Shows" { (view.software()) @if let Some(update) = &view.update { br; small { (update) } } }
                        td data-label="Verdict" { (verdict(view)) }
                        td data-label="Ladder" {
                            @match view.stage {
                                Some(stage) => { span class=(format!("badge stage{stage}")) { "stage " (stage) } br; small { "day " (view.day) ", " (view.held()) } }
                                None => { small { "none" } }
                            }
                            @if let Some(until) = view.exempt_until { br; small { "exempt until " (day_of(until)) } } @else if view.paused { br; small { "paused" } }
                        }
                        td.tight data-label="Next" { @match (view.next_stage, view.next_stage_at) { (Some(next), Some(at)) => { (day_of(at)) br; small { "stage " (next) } } _ => { small { "-" } } } }
                        td.tight data-label="Last seen" { (minute_of(view.last_seen)) }
                    }
                }
            }
        }
    }
}

fn server_link(view: &ServerView, links: Links) -> Markup {
    match links {
        Links::None => html! { (view.name()) },
        Links::Pages => html! { a href=(format!("/servers/{}", view.id)) { (view.name()) } },
    }
}

pub(crate) fn verdict(view: &ServerView) -> Markup {
    let word = view.verdict.as_deref().unwrap_or("unknown");
    html! { span class=(format!("badge {word}")) { (word.replace('_', " ")) } }
}

pub(crate) async fn not_found(context: Context) -> Response {
    problem_page(&context, &Problem::new(StatusCode::NOT_FOUND, "no_page", "There is no such page."))
}

pub(crate) fn problem_page(context: &Context, problem: &Problem) -> Response {
    let body = page(
        context,
        "Not shown",
        html! { h1 { "Not shown" } p { (problem.message()) } p { "Go to the " a href="/" { "overview" } ", the " a href="/servers" { "servers" } " or the " a href="/trace" { "trace" } "." } },
    );
    (problem.status(), body).into_response()
}

pub(crate) fn page(context: &Context, title: &str, content: Markup) -> Response {
    let node = &context.admin.node_name;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - " (node) }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
            }
            body {
                a.skip href="#content" { "To the content" }
                header {
                    strong { "Portcullis" } " " span { (node) }
                    nav aria-label="Pages" { a href="/" { "Overview" } a href="/servers" { "Servers" } a href="/trace" { "Trace" } a href="/spool" { "Spool" } a href="/pauses" { "Pauses" } a href="/notices" { "Notices" } a href="/tls" { "TLS" } a href="/audit" { "Audit" } }
                    (account(context))
                }
                main id="content" { (content) }
                footer { "Times are UTC. The same as data: " a href="/api/openapi.json" { "API" } ", " a href="/metrics" { "metrics" } "." }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

/// Who is signed in, and the way in or out.
fn account(context: &Context) -> Markup {
    html! {
        @if let Some(visitor) = &context.visitor {
            form.inline method="post" action="/logout" {
                (token_field(context))
                span { (visitor.name) }
                button.plain { "Sign out" }
            }
        } @else if context.admin.logins.are_asked_for() { a href="/login" { "Sign in" } }
    }
}

/// `2026-11-23`
pub(crate) fn day_of(at: Timestamp) -> String {
    time::date_of(at).to_string()
}

/// `2026-11-23 16:25`
pub(crate) fn minute_of(at: Timestamp) -> String {
    let zoned = at.to_zoned(TimeZone::UTC);
    format!("{} {:02}:{:02}", zoned.date(), zoned.hour(), zoned.minute())
}

/// The clients that TLS refused, without a condition.
fn all_clients() -> TlsClientQuery {
    TlsClientQuery { rows_max: TRACE_ROWS, ..TlsClientQuery::default() }
}
