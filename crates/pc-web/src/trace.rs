//! Search of the trace, and one transaction as a timeline; for the API and as pages.

use std::net::IpAddr;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use pc_store::{Cursor, PathSearch, TracePage, TraceQuery, TraceRow};
use pc_types::time::TimeZone;
use pc_types::{Timestamp, time};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem};
use crate::limits::TRACE_ROWS;
use crate::page::{minute_of, page, problem_page};
use crate::timeline;

/// What `outcome` may be.
const OUTCOMES: [&str; 9] =
    ["taken", "waiting", "deferred", "refused", "undelivered", "aside", "removed", "abandoned", "no_mail"];

#[derive(Default, Deserialize)]
pub(crate) struct TraceInput {
    from: Option<String>,
    to: Option<String>,
    ip: Option<String>,
    id: Option<String>,
    server: Option<String>,
    outcome: Option<String>,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Empty fields of a form count as not given.
pub(crate) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl TraceInput {
    fn query(&self) -> Result<TraceQuery, Problem> {
        let address = given(&self.ip).map(|text| {
            text.parse::<IpAddr>().map_err(|_| Problem::bad_request(format!("{text:?} is no IP address.")))
        });
        let outcome = given(&self.outcome).map(|text| {
            let known = OUTCOMES.contains(&text).then(|| text.to_owned());
            known.ok_or_else(|| Problem::bad_request(format!("outcome is one of {}.", OUTCOMES.join(", "))))
        });
        let server_id =
            given(&self.server).map(|text| text.parse().map_err(|_| Problem::unknown_server(text)));
        let before = given(&self.cursor).map(|text| {
            text.parse::<Cursor>().map_err(|error| Problem::bad_request(format!("cursor: {error}.")))
        });
        Ok(TraceQuery {
            from: given(&self.from).map(PathSearch::parse),
            to: given(&self.to).map(PathSearch::parse),
            address: address.transpose()?,
            id: given(&self.id).map(str::to_owned),
            outcome: outcome.transpose()?,
            since: given(&self.since).map(|text| moment(text, 0)).transpose()?,
            // A day that is named is part of what is asked for.
            until: given(&self.until).map(|text| moment(text, 1)).transpose()?,
            server_id: server_id.transpose()?,
            before: before.transpose()?,
            rows_max: Some(self.limit.unwrap_or(TRACE_ROWS)),
        })
    }

    /// The same search from `cursor` on.
    fn link_from(&self, cursor: &Cursor) -> String {
        let cursor = Some(cursor.to_string());
        let limit = self.limit.map(|limit| limit.to_string());
        let fields = [
            ("from", &self.from),
            ("to", &self.to),
            ("ip", &self.ip),
            ("id", &self.id),
            ("server", &self.server),
            ("outcome", &self.outcome),
            ("since", &self.since),
            ("until", &self.until),
            ("limit", &limit),
            ("cursor", &cursor),
        ];
        let fields: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| {
                given(value).map(|value| format!("{name}={}", percent_encoded(value)))
            })
            .collect();
        format!("/trace?{}", fields.join("&"))
    }
}

/// A moment, or the start of a day `days_later`.
pub(crate) fn moment(text: &str, days_later: i64) -> Result<Timestamp, Problem> {
    let moment = text.parse::<Timestamp>().ok();
    let date = || text.parse::<pc_types::Date>().ok().map(time::start_of);
    moment.or_else(|| Some(time::add_days(date()?, days_later))).ok_or_else(|| {
        Problem::bad_request(format!("{text:?} is no time; write 2026-11-23 or 2026-11-23T16:25:00Z."))
    })
}

/// RFC 3986 2.3.
pub(crate) fn percent_encoded(text: &str) -> String {
    let octet = |octet: u8| match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
        _ => format!("%{octet:02X}"),
    };
    text.bytes().map(octet).collect()
}

async fn search(context: &Context, input: &TraceInput) -> Result<TracePage, Problem> {
    let query = input.query()?;
    context.admin.writer.flush().await;
    Ok(context.admin.store.trace(&query).await?)
}

async fn find(context: &Context, id: &str) -> Result<TraceRow, Problem> {
    context.admin.writer.flush().await;
    let unknown = || {
        let message = format!("There is no transaction {id}; it may be older than [store] trace_days keeps.");
        Problem::new(StatusCode::NOT_FOUND, "unknown_transaction", message)
    };
    context.admin.store.transaction(id).await?.ok_or_else(unknown)
}

pub(crate) async fn list_api(
    context: Context,
    Fields(input): Fields<TraceInput>,
) -> Result<Json<Value>, Problem> {
    let page = search(&context, &input).await?;
    let rows: Vec<Value> = page
        .rows
        .iter()
        .map(|row| {
            let mut value = json!(row);
            if let Some(object) = value.as_object_mut() {
                object.insert("cursor".to_owned(), Cursor::of(row).to_string().into());
            }
            value
        })
        .collect();
    let next = page.next.as_ref();
    Ok(Json(json!({
        "rows": rows,
        "next": next.map(ToString::to_string),
        "searched_to": next.map(Cursor::at),
    })))
}

pub(crate) async fn show_api(context: Context, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(find(&context, &id).await?)))
}

pub(crate) async fn list(
    context: Context,
    input: Result<Fields<TraceInput>, Problem>,
) -> Result<Response, Response> {
    let Fields(input) = input.map_err(|problem| problem_page(&context, &problem))?;
    let found = search(&context, &input).await.map_err(|problem| problem_page(&context, &problem))?;
    Ok(page(
        &context,
        "Trace",
        html! {
            h1 { "What happened to a message" }
            (form(&input))
            (results(&found))
            @if let Some(next) = &found.next {
                p { a rel="next" href=(input.link_from(next)) { "Older than " (minute_of(next.at())) } }
            }
        },
    ))
}

fn form(input: &TraceInput) -> Markup {
    let field = |name: &str, label: &str, hint: &str, value: &Option<String>| {
        html! { label { (label) input name=(name) value=(value.as_deref().unwrap_or_default()) placeholder=(hint); } }
    };
    let outcome = given(&input.outcome).unwrap_or_default();
    html! {
        form method="get" action="/trace" role="search" {
            (field("from", "From: address or domain", "a@example.net", &input.from))
            (field("to", "To: address or domain", "example.org", &input.to))
            (field("ip", "Connecting address", "192.0.2.7", &input.ip))
            (field("id", "Trace id or Message-ID", "", &input.id))
            (field("server", "Server id", "", &input.server))
            label { "Outcome" select name="outcome" {
                option value="" selected[outcome.is_empty()] { "any" }
                @for word in OUTCOMES { option value=(word) selected[outcome == word] { (word.replace('_', " ")) } }
            } }
            (field("since", "Since", "2026-11-23", &input.since))
            (field("until", "Until", "2026-11-23", &input.until))
            button { "Search" }
        }
    }
}

fn results(found: &TracePage) -> Markup {
    html! {
        @if found.rows.is_empty() {
            @match &found.next {
                Some(next) => { p.empty { "Nothing fits between the newest and " (minute_of(next.at())) "; there is more to look at." } }
                None => { p.empty { "No transaction fits. If the sender says it tried, look at " a href="/tls" { "refused TLS clients" } "." } }
            }
        } @else {
            table { thead { tr { th scope="col" { "When" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Ladder" } th scope="col" { "Outcome" } } } tbody {
                @for row in &found.rows { tr {
                    td.tight data-label="When" { (minute_of(row.at)) br; small { a href=(format!("/trace/{}", percent_encoded(&row.id))) { (row.id) } } }
                    td data-label="From" { (sender(row)) br; small { (row.address) " " (row.greeting) } }
                    td data-label="To" { (recipients(row)) }
                    td.tight data-label="Ladder" { (row.enforcement.replace('_', " ")) br; small { (row.verdict.as_deref().unwrap_or("-")) } }
                    td data-label="Outcome" { span class=(format!("badge {}", row.outcome)) { (row.outcome.replace('_', " ")) } br; small { (row.reply) } }
                } }
            } }
        }
    }
}

/// The null path has no characters.
fn sender(row: &TraceRow) -> &str {
    match row.reverse_path.as_str() {
        "" if row.outcome == "no_mail" => "no sender",
        "" => "<>",
        path => path,
    }
}

const LISTED_RECIPIENTS: usize = 3;

fn recipients(row: &TraceRow) -> Markup {
    html! {
        @for recipient in row.recipients.iter().take(LISTED_RECIPIENTS) { span { (recipient.forward_path) } br; }
        @if row.recipients.len() > LISTED_RECIPIENTS { small { "and " (row.recipients.len() - LISTED_RECIPIENTS) " more" } }
    }
}

pub(crate) async fn show(context: Context, Path(id): Path<String>) -> Result<Response, Response> {
    let row = find(&context, &id).await.map_err(|problem| problem_page(&context, &problem))?;
    Ok(page(
        &context,
        "Transaction",
        html! {
            p.crumbs { a href="/trace" { "Trace" } }
            h1 { (sender(&row)) }
            p.lead { span class=(format!("badge {}", row.outcome)) { (row.outcome.replace('_', " ")) } " " (row.reply) }
            (timeline::transaction(&row))
            (steps(&row))
            (deliveries(&row))
            (facts(&row))
            (answers(&row))
        },
    ))
}

fn steps(row: &TraceRow) -> Markup {
    html! {
        h2 { "Steps" }
        @if row.steps.is_empty() { p.empty { "This transaction was recorded without its steps." } }
        @else {
            table { thead { tr { th scope="col" { "After" } th scope="col" { "Step" } th scope="col" { "What was said" } } } tbody {
                @for step in &row.steps { tr {
                    td.tight data-label="After" { (step.at_ms) " ms" }
                    td.tight data-label="Step" { (step.step.replace('_', " ")) }
                    td data-label="Said" { span { (step.text) } }
                } }
            } }
        }
    }
}

/// What the spool did with it after the sender was answered.
fn deliveries(row: &TraceRow) -> Markup {
    html! {
        @if !row.deliveries.is_empty() {
            h2 { "In the spool" }
            table { thead { tr { th scope="col" { "When" } th scope="col" { "Event" } th scope="col" { "What was said" } } } tbody {
                @for event in &row.deliveries { tr {
                    td.tight data-label="When" { (second_of(event.at)) }
                    td.tight data-label="Event" { (event.code) }
                    td data-label="Said" { span { (event.detail) } }
                } }
            } }
        }
    }
}

fn facts(row: &TraceRow) -> Markup {
    html! {
        h2 { "Facts" }
        dl.facts {
            dt { "Connected" } dd { (second_of(row.connected_at)) " from " (row.address) @if !row.listener.is_empty() { " to " (row.listener) } }
            @if !row.connector.is_empty() { dt { "Connector" } dd { (row.connector) } }
            dt { "Greeting" } dd { (row.greeting) }
            dt { "TLS" } dd { (row.tls.as_deref().unwrap_or("none")) }
            @if row.outcome != "no_mail" { dt { "MAIL" } dd { (second_of(row.at)) ", answered in full after " (row.elapsed_ms) " ms" } }
            dt { "Server" } dd { a href=(format!("/servers/{}", row.server_id)) { (row.server_id) } }
            dt { "Evidence" } dd { (row.verdict.as_deref().unwrap_or("not read")) ", ladder: " (row.enforcement.replace('_', " ")) }
            @if let Some(id) = &row.message_id { dt { "Message-ID" } dd { (id) } }
            dt { "Size" } dd { (row.octets) " octets" }
            @if let Some(upstream) = &row.upstream { dt { "Handed to" } dd { (upstream) @if let Some(reply) = &row.upstream_reply { ": " (reply) } } }
            dt { "Id" } dd { code { (row.id) } }
        }
    }
}

fn answers(row: &TraceRow) -> Markup {
    html! {
        @if !row.recipients.is_empty() {
            h2 { "Recipients (" (row.recipients.len()) ")" }
            table { thead { tr { th scope="col" { "Recipient" } th scope="col" { "Answer" } } } tbody {
                @for recipient in &row.recipients { tr {
                    td data-label="Recipient" { span { (recipient.forward_path) } }
                    td data-label="Answer" { span { (recipient.reply) } }
                } }
            } }
        }
    }
}

/// `2026-11-23 16:25:07`
fn second_of(at: Timestamp) -> String {
    format!("{}:{:02}", minute_of(at), at.to_zoned(TimeZone::UTC).second())
}
