//! The pages. Everything a page shows is in the API as well.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use pc_types::time::TimeZone;
use pc_types::{Timestamp, time};
use serde_json::Value;

use crate::api::{Context, Fields, Problem, TraceInput};
use crate::limits::{HISTORY_ROWS, TRACE_ROWS};
use crate::report::mode_word;
use crate::timeline;
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

pub(crate) async fn dashboard(State(context): State<Context>) -> Response {
    let report = context.report();
    let clients = context.admin.store.tls_clients(TRACE_ROWS).await.unwrap_or_default();
    let mut next: Vec<&ServerView> =
        report.servers.iter().filter(|view| view.next_stage_at.is_some()).collect();
    next.sort_by_key(|view| view.next_stage_at);
    let mode = match report.mode {
        "enforce" => "The ladder throttles and blocks.",
        "off" => "The ladder is off: nothing is counted and nothing is held.",
        _ => {
            "The ladder only counts what it would hold; nothing is sent. Set [enforcement] mode = \"enforce\" when you are ready."
        }
    };
    page(
        &context,
        "Overview",
        html! {
            h1 { "Overview" }
            dl.figures {
                div { dt { "owe updates" } dd { (report.owing) } }
                div { dt { "unknown" } dd { (report.unknown) } }
                div { dt { "in order" } dd { (report.met) } }
                div { dt { "no Exchange" } dd { (report.not_exchange) } }
                div { dt { "refused TLS clients" } dd { (clients.len()) } }
            }
            p { strong { "Mode: " (report.mode) ". " } (mode) " The catalogue is of " (report.catalogue_as_of) "." }
            h2 { "Next steps of the ladder" }
            @if next.is_empty() {
                p.empty { "No server owes anything, so nothing will happen." }
            } @else {
                table {
                    thead { tr { th { "When" } th { "Server" } th { "Step" } } }
                    tbody {
                        @for view in next.iter().take(10) {
                            tr {
                                td.tight data-label="When" { @if let Some(at) = view.next_stage_at { (day_of(at)) } }
                                td data-label="Server" { (server_link(view, Links::Pages)) }
                                td data-label="Step" { "stage " (view.stage.unwrap_or(0)) " to " (view.next_stage.unwrap_or(0)) }
                            }
                        }
                    }
                }
            }
        },
    )
}

pub(crate) async fn servers(State(context): State<Context>) -> Response {
    let views = context.views();
    page(
        &context,
        "Servers",
        html! {
            h1 { "Sending servers" }
            @if views.is_empty() {
                p.empty { "No server has sent mail yet. Point one here, or send a message with swaks." }
            } @else {
                p { "The most severe first. As a file: " a href="/api/v1/report?format=csv" { "CSV" } ", " a href="/api/v1/report?format=html" { "HTML" } ", " a href="/api/v1/report" { "JSON" } "." }
                (server_table(&views, Links::Pages))
            }
        },
    )
}

/// The servers as a table.
pub(crate) fn server_table(views: &[ServerView], links: Links) -> Markup {
    html! {
        table {
            thead { tr { th { "Server" } th { "Shows" } th { "Verdict" } th { "Ladder" } th { "Next" } th { "Last seen" } } }
            tbody {
                @for view in views {
                    tr {
                        td data-label="Server" { (server_link(view, links)) br; small { (view.address) } }
                        td data-label="Shows" { (view.software()) @if let Some(update) = &view.update { br; small { (update) } } }
                        td data-label="Verdict" { (verdict(view)) }
                        td data-label="Ladder" {
                            @match view.stage {
                                Some(stage) => { span class=(format!("badge stage{stage}")) { "stage " (stage) } br; small { "day " (view.day) ", " (view.throttle_minutes) " + " (view.block_minutes) " min/h" } }
                                None => { small { "none" } }
                            }
                            @if view.exempt_until.is_some() { br; small { "exempt" } }
                        }
                        td data-label="Next" { @match (view.next_stage, view.next_stage_at) { (Some(next), Some(at)) => { (day_of(at)) br; small { "stage " (next) } } _ => { small { "-" } } } }
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

fn verdict(view: &ServerView) -> Markup {
    let word = view.verdict.as_deref().unwrap_or("unknown");
    html! { span class=(format!("badge {word}")) { (word.replace('_', " ")) } }
}

pub(crate) async fn server(
    State(context): State<Context>,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    let record = context.find(&id).map_err(|problem| problem_page(&context, &problem))?;
    let admin = &context.admin;
    let now = admin.clock.now();
    let view = ServerView::new(&admin.policy.load(), &record, &admin.pauses, now);
    let judged =
        view.build.as_deref().map(|build| (admin.judge)(build, time::date_of(now))).unwrap_or_default();
    let history = async {
        let events = admin.store.ladder_events(&record.id, HISTORY_ROWS).await?;
        Ok::<_, pc_store::StoreError>((events, admin.store.sightings(&record.id, HISTORY_ROWS).await?))
    };
    let (events, sightings) = history.await.map_err(|error| problem_page(&context, &error.into()))?;
    Ok(page(
        &context,
        view.name(),
        html! {
            p.crumbs { a href="/servers" { "Servers" } }
            h1 { (view.name()) }
            p.lead { (verdict(&view)) " " (headline(&view, mode_word(admin.policy.load().mode))) }
            @if view.stage.is_some() {
                h2 { "Ladder" }
                (timeline::ladder(&view, now))
                p.key { span.swatch.report {} " report " span.swatch.throttle {} " throttle (450) " span.swatch.both {} " throttle and block " span.swatch.block {} " block (550)" }
                @if view.throttle_minutes > 0 || view.block_minutes > 0 {
                    h3 { "Inside the hour (UTC)" }
                    (timeline::hour(&view))
                    p { "Windows begin at minute " (view.start_minute) " of every hour" @if view.block_minutes > 0 { "; blocked for " (view.block_minutes) " minutes" } @if view.throttle_minutes > 0 { "; deferred for " (view.throttle_minutes) " minutes" } "." }
                }
                details { summary { "All dates" } ol.dates { @for stage in &view.stage_dates { li { (day_of(stage.at)) ": throttled " (stage.throttle_minutes) ", blocked " (stage.block_minutes) " minutes an hour" } } } }
            }
            @if let Some(install) = &view.install { h2 { "What to install" } p.install { (install) } }
            h2 { "Evidence" }
            @match &view.header {
                Some(header) => { pre { (header) } p { (view.reason) } }
                None => { p { (view.reason) } }
            }
            (missing(&judged))
            (cves(&judged))
            h2 { "Facts" }
            dl.facts {
                dt { "Address" } dd { (view.address) }
                dt { "Shows" } dd { (view.software()) @if let Some(update) = &view.update { ", " (update) } }
                dt { "First seen" } dd { (minute_of(view.first_seen)) }
                dt { "Last seen" } dd { (minute_of(view.last_seen)) }
                dt { "Transactions" } dd { (view.transactions) ", deferred " (view.throttled) ", blocked " (view.blocked) ", would have been held " (view.would_hold) }
                dt { "Id" } dd { code { (view.id) } }
            }
            p { a href=(format!("/trace?server={}", view.id)) { "Its messages" } }
            h2 { "History" }
            @if events.is_empty() && sightings.is_empty() { p.empty { "Nothing yet." } }
            @if !events.is_empty() {
                table { thead { tr { th { "When" } th { "What" } th { "" } } } tbody {
                    @for event in &events { tr { td.tight data-label="When" { (minute_of(event.at)) } td data-label="What" { (event.code) } td data-label="Detail" { (event.detail) } } }
                } }
            }
            @if !sightings.is_empty() {
                h3 { "What it showed, when it changed" }
                table { thead { tr { th { "When" } th { "Build" } th { "Verdict" } th { "Why" } } } tbody {
                    @for sighting in &sightings { tr {
                        td.tight data-label="When" { (minute_of(sighting.at)) }
                        td.tight data-label="Build" { (sighting.build.as_deref().unwrap_or("-")) }
                        td.tight data-label="Verdict" { (sighting.verdict) }
                        td data-label="Why" { (sighting.reason) }
                    } }
                } }
            }
            h2 { "If you must let it through" }
            p { "On this machine: " code { "portcullis servers exempt " (view.id) " --reason \"…\" --until YYYY-MM-DD" } }
        },
    ))
}

/// What this server is and what comes, in a sentence.
fn headline(view: &ServerView, mode: &str) -> String {
    if let Some(until) = view.exempt_until {
        let why = view.exempt_reason.as_deref().unwrap_or("no reason given");
        return format!("{}. Exempt until {}: {why}.", view.software(), minute_of(until));
    }
    let Some(stage) = view.stage else {
        return match view.standing {
            "met" => format!("{}. Owes nothing.", view.software()),
            "unknown" => format!("{}. Its state is unknown, so nothing is held against it.", view.software()),
            _ => format!("{}. Nothing to enforce.", view.software()),
        };
    };
    let held = match (view.throttle_minutes, view.block_minutes) {
        (0, 0) => "is reported only".to_owned(),
        (throttle, 0) => format!("is deferred for {throttle} minutes of each hour"),
        (0, block) => format!("is blocked for {block} minutes of each hour"),
        (throttle, block) => {
            format!("is blocked for {block} and deferred for {throttle} minutes of each hour")
        }
    };
    let would = if mode == "report" { " In report mode nothing of this is sent." } else { "" };
    let next = match (view.next_stage, view.next_stage_at) {
        (Some(next), Some(at)) => format!(" Stage {next} begins on {}.", day_of(at)),
        _ => String::new(),
    };
    format!(
        "{}. Stage {stage}, day {}: its mail {held}.{next}{would} One message from an updated server ends it.",
        view.software(),
        view.day
    )
}

fn missing(judged: &Value) -> Markup {
    let list = judged.get("missing").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !list.is_empty() {
            h2 { "Missing updates (" (list.len()) ")" }
            table { thead { tr { th { "Update" } th { "Build" } th { "Released" } th { "KB" } } } tbody {
                @for update in list { tr {
                    td data-label="Update" { (text(update, "update")) }
                    td.tight data-label="Build" { (text(update, "build")) }
                    td.tight data-label="Released" { (text(update, "released")) }
                    td.tight data-label="KB" { (text(update, "kb")) }
                } }
            } }
        }
    }
}

fn cves(judged: &Value) -> Markup {
    let list = judged.get("cves").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let exploited = list.iter().filter(|cve| cve.get("kev").and_then(Value::as_bool) == Some(true)).count();
    html! {
        @if !list.is_empty() {
            h2 { "Open vulnerabilities (" (list.len()) ", known exploited: " (exploited) ")" }
            ul.cves { @for cve in list { li {
                (text(cve, "id")) " " small { (text(cve, "class")) @if let Some(score) = cve.get("cvss").and_then(Value::as_f64) { " " (score) } }
                @if cve.get("kev").and_then(Value::as_bool) == Some(true) { " " span.badge.vulnerable { "exploited" } }
            } } }
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) async fn trace(
    State(context): State<Context>,
    input: Result<Fields<TraceInput>, Problem>,
) -> Result<Response, Response> {
    let Fields(input) = input.map_err(|problem| problem_page(&context, &problem))?;
    let query = input.query().map_err(|problem| problem_page(&context, &problem))?;
    context.admin.writer.flush().await;
    let rows =
        context.admin.store.trace(&query).await.map_err(|error| problem_page(&context, &error.into()))?;
    let field = |name: &str, label: &str, value: &Option<String>| {
        html! { label { (label) input name=(name) value=(value.as_deref().unwrap_or_default()); } }
    };
    Ok(page(
        &context,
        "Trace",
        html! {
            h1 { "What happened to a message" }
            form method="get" action="/trace" {
                (field("from", "From", &input.from)) (field("to", "To", &input.to)) (field("ip", "Address", &input.ip))
                (field("id", "Trace id or Message-ID", &input.id)) (field("since", "Since", &input.since))
                button { "Search" }
            }
            @if rows.is_empty() {
                p.empty { "No transaction fits. If the sender says it tried, look at " a href="/tls" { "refused TLS clients" } "." }
            } @else {
                table { thead { tr { th { "When" } th { "From" } th { "To" } th { "Ladder" } th { "Outcome" } } } tbody {
                    @for row in &rows { tr {
                        td.tight data-label="When" { (minute_of(row.at)) br; small { (row.id) } }
                        td data-label="From" { @if row.reverse_path.is_empty() { "<>" } @else { (row.reverse_path) } br; small { (row.address) " " (row.greeting) } }
                        td data-label="To" { @for recipient in &row.recipients { (recipient.forward_path) br; } }
                        td data-label="Ladder" { (row.enforcement) br; small { (row.verdict.as_deref().unwrap_or("-")) } }
                        td data-label="Outcome" { span class=(format!("badge {}", row.outcome)) { (row.outcome) } br; small { (row.reply) } }
                    } }
                } }
            }
        },
    ))
}

pub(crate) async fn tls(State(context): State<Context>) -> Result<Response, Response> {
    context.admin.writer.flush().await;
    let clients = context
        .admin
        .store
        .tls_clients(TRACE_ROWS)
        .await
        .map_err(|error| problem_page(&context, &error.into()))?;
    Ok(page(
        &context,
        "TLS",
        html! {
            h1 { "Clients that TLS refused" }
            p { "TLS 1.2 and 1.3 with AES-GCM and forward secrecy, nothing else. Who cannot do that shows here; an old mail server never gets as far as a header." }
            @if clients.is_empty() {
                p.empty { "No client was refused so far." }
            } @else {
                table { thead { tr { th { "Last seen" } th { "Address" } th { "Why" } th { "Offers at most" } th { "Name asked for" } th { "Times" } } } tbody {
                    @for client in &clients { tr {
                        td.tight data-label="Last seen" { (minute_of(client.last_seen)) }
                        td data-label="Address" { (client.address) }
                        td data-label="Why" { (client.refusal.replace('_', " ")) }
                        td data-label="Offers" { (client.version) br; small { (client.ja4) } }
                        td data-label="Name" { (client.server_name.as_deref().unwrap_or("-")) }
                        td data-label="Times" { (client.count) }
                    } }
                } }
            }
        },
    ))
}

pub(crate) async fn not_found(State(context): State<Context>) -> Response {
    problem_page(&context, &Problem::new(StatusCode::NOT_FOUND, "no_page", "There is no such page."))
}

fn problem_page(context: &Context, problem: &Problem) -> Response {
    let body = page(context, "Not shown", html! { h1 { "Not shown" } p { (problem.message()) } });
    (problem.status(), body).into_response()
}

fn page(context: &Context, title: &str, content: Markup) -> Response {
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
                    nav aria-label="Pages" { a href="/" { "Overview" } a href="/servers" { "Servers" } a href="/trace" { "Trace" } a href="/tls" { "TLS" } }
                }
                main id="content" { (content) }
                footer { "Times are UTC. The same as data: " a href="/api/openapi.json" { "API" } ", " a href="/metrics" { "metrics" } "." }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
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
