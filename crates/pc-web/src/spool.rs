//! Spooled mail: the handlers, and the page.

use std::io;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use pc_smtpd::queue::{Listed, ListedTarget};
use pc_types::Timestamp;
use serde_json::{Value, json};

use crate::access::Permit;
use crate::api::{Context, Problem, audit};
use crate::limits::SPOOL_ROWS;
use crate::page::{minute_of, page};
use crate::trace::percent_encoded;

type Answer = Result<Json<Value>, Problem>;

pub(crate) async fn list(context: Context) -> Json<Value> {
    let queue = &context.admin.queue;
    Json(json!({ "targets": queue.targets(), "messages": queue.list() }))
}

pub(crate) async fn show(context: Context, Path(id): Path<String>) -> Answer {
    let (listed, entry) = context.admin.queue.show(&id).await.map_err(|error| problem(&id, &error))?;
    Ok(Json(json!({ "message": listed, "entry": entry })))
}

pub(crate) async fn hold(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.hold(&id).await;
    written(&context, &permit, "spool hold", &id, done).await
}

pub(crate) async fn release(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.release(&id).await;
    written(&context, &permit, "spool release", &id, done).await
}

pub(crate) async fn retry(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.retry(&id).await;
    written(&context, &permit, "spool retry", &id, done).await
}

pub(crate) async fn remove(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.remove(&id).await;
    written(&context, &permit, "spool remove", &id, done).await
}

pub(crate) async fn hold_target(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.hold_target(&id, "held by the operator").await;
    written(&context, &permit, "target hold", &id, done).await
}

pub(crate) async fn release_target(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.release_target(&id).await;
    written(&context, &permit, "target release", &id, done).await
}

pub(crate) async fn retry_target(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    let done = context.admin.queue.retry_target(&id);
    written(&context, &permit, "target retry", &id, done).await
}

async fn written(context: &Context, permit: &Permit, action: &str, id: &str, done: io::Result<()>) -> Answer {
    done.map_err(|error| problem(id, &error))?;
    audit(context, permit, action, id, "").await;
    Ok(Json(json!({ "id": id, "done": action })))
}

fn problem(id: &str, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let text = format!("The spool holds nothing named {id}; `portcullis spool list` shows all.");
            Problem::new(StatusCode::NOT_FOUND, "unknown_message", text)
        }
        io::ErrorKind::ResourceBusy => Problem::new(StatusCode::CONFLICT, "busy", format!("{id}: {error}.")),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "spool", format!("{id}: {error}")),
    }
}

pub(crate) async fn show_page(context: Context) -> Response {
    let (targets, messages) = (context.admin.queue.targets(), context.admin.queue.list());
    let octets: u64 = messages.iter().map(|message| message.octets).sum();
    let aside = messages.iter().filter(|message| message.state == "aside").count();
    page(
        &context,
        "Spool",
        html! {
            h1 { "Mail that waits" }
            dl.figures {
                div { dt { "messages" } dd { (messages.len()) } }
                div { dt { "set aside" } dd { (aside) } }
                div { dt { "megabytes" } dd { (octets.div_ceil(1_000_000)) } }
                @if let Some(oldest) = messages.first() { div { dt { "oldest" } dd { (age(oldest.received_at, context.admin.clock.now())) } } }
            }
            (target_table(&targets))
            (message_table(&messages))
        },
    )
}

/// `59 min`, `47 h`, `3 days`
fn age(since: Timestamp, now: Timestamp) -> String {
    let minutes = (now.as_second() - since.as_second()).max(0) / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

fn target_table(targets: &[ListedTarget]) -> Markup {
    html! {
        h2 { "Servers behind" }
        @if targets.is_empty() { p.empty { "No server behind takes mail by SMTP: mail goes to a folder, and nothing waits." } }
        @else {
            table { thead { tr { th scope="col" { "Upstream" } th scope="col" { "State" } th scope="col" { "Messages" } } } tbody {
                @for target in targets { tr {
                    td data-label="Upstream" { (target.name) }
                    td data-label="State" {
                        span class=(format!("badge {}", target.state)) { (target.state) } br;
                        small { (target_words(target)) }
                    }
                    td data-label="Messages" { (target.messages) }
                } }
            } }
        }
    }
}

fn target_words(target: &ListedTarget) -> String {
    match (target.state, target.shut_until, &target.hold) {
        _ if !target.configured => "not in the configuration: name it again, or remove its mail".to_owned(),
        ("held", _, reason) => format!(
            "{}; portcullis spool release --upstream {}",
            reason.as_deref().unwrap_or("held"),
            target.name
        ),
        ("shut", Some(until), _) => format!("could not be reached; asked again at {}", minute_of(until)),
        ("probe", ..) => "could not be reached; one message is tried".to_owned(),
        _ => "takes mail".to_owned(),
    }
}

fn message_table(messages: &[Listed]) -> Markup {
    html! {
        h2 { "Messages" }
        @if messages.is_empty() { p.empty { "No mail waits." } }
        @else {
            @if messages.iter().any(|message| message.state == "aside") {
                p { "What is set aside is tried no more: look at it with " code { "portcullis spool show ID" } ", then " code { "release" } " or " code { "remove" } " it." }
            }
            table { thead { tr { th scope="col" { "Since" } th scope="col" { "From" } th scope="col" { "Upstream" } th scope="col" { "State" } th scope="col" { "Said last" } } } tbody {
                @for message in messages.iter().take(SPOOL_ROWS) { tr {
                    td.tight data-label="Since" { (minute_of(message.received_at)) br; small { a href=(format!("/trace/{}", percent_encoded(&message.id))) { (message.id) } } }
                    td data-label="From" { @if message.reverse_path.is_empty() { "<>" } @else { (message.reverse_path) } br; small { (message.recipients_pending) " of " (message.recipients) " recipients left" } }
                    td data-label="Upstream" { (message.target) }
                    td.tight data-label="State" { span class=(format!("badge {}", message.state)) { (message.state) } @if let Some(next) = message.next_attempt_at { br; small { "next " (minute_of(next)) } } }
                    td data-label="Said last" { span { (message.last_reply.as_deref().unwrap_or("not tried yet")) } }
                } }
            } }
            @if messages.len() > SPOOL_ROWS { p { "The " (SPOOL_ROWS) " oldest of " (messages.len()) "; " code { "portcullis spool list" } " shows all." } }
        }
    }
}
