//! The outbox: who was told what, as data and as a page.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use pc_notice::Notice;
use pc_notify::ListedWebhook;
use pc_store::{StoredNotice, WebhookTry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem, audit};
use crate::limits::HISTORY_ROWS;
use crate::page::{day_of, minute_of, page, problem_page};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeFields {
    subject: Option<String>,
}

pub(crate) async fn list(
    context: Context,
    Fields(fields): Fields<NoticeFields>,
) -> Result<Json<Value>, Problem> {
    let stored = context.admin.store.notices(fields.subject.as_deref(), HISTORY_ROWS).await?;
    let rows = stored.into_iter().map(|notice| {
        let facts: Value = serde_json::from_str(&notice.facts).unwrap_or_default();
        let (state, detail) = state(&notice);
        json!({
            "at": notice.at, "addressee": notice.addressee, "subject": notice.subject,
            "kind": facts.get("kind"), "state": state, "detail": detail,
            "mail_id": notice.mail_id, "handed_at": notice.handed_at, "tries": notice.tries, "facts": facts,
        })
    });
    Ok(Json(rows.collect()))
}

pub(crate) async fn webhooks(context: Context) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(context.admin.webhooks.listed().await?)))
}

pub(crate) async fn test_webhook(context: Context, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let permit = context.access.permit()?;
    let admin = &context.admin;
    let Some(tested) = admin.webhooks.test(&name).await? else {
        let text = format!("There is no [[notify.webhook]] {name}; `portcullis notices webhooks` shows all.");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_webhook", text));
    };
    audit(&context, &permit, "webhook test", &name, &tested.answer).await;
    Ok(Json(json!(tested)))
}

pub(crate) async fn show_page(context: Context) -> Result<Response, Response> {
    let stored = context.admin.store.notices(None, HISTORY_ROWS).await;
    let notices = stored.map_err(|error| problem_page(&context, &error.into()))?;
    let webhooks =
        context.admin.webhooks.listed().await.map_err(|error| problem_page(&context, &error.into()))?;
    let waiting = notices.iter().filter(|notice| notice.mail_id.is_none()).count();
    let refused = notices.iter().filter(|notice| state(notice).0 == "refused").count();
    Ok(page(
        &context,
        "Notices",
        html! {
            h1 { "Who was told what" }
            dl.figures {
                div { dt { "notices" } dd { (notices.len()) } }
                div { dt { "waiting" } dd { (waiting) } }
                div { dt { "refused" } dd { (refused) } }
            }
            (webhook_table(&webhooks))
            (notice_table(&notices))
        },
    ))
}

fn webhook_table(webhooks: &[ListedWebhook]) -> Markup {
    html! {
        @if !webhooks.is_empty() {
            table { thead { tr { th scope="col" { "Webhook" } th scope="col" { "Waiting" } th scope="col" { "State" } } } tbody {
                @for webhook in webhooks {
                    tr {
                        td data-label="Webhook" { (webhook.name) br; small { (webhook.url) } }
                        td data-label="Waiting" { (webhook.waiting) }
                        td data-label="State" {
                            @match (webhook.disabled_at, &webhook.answer) {
                                (Some(at), Some(answer)) => {
                                    span class="badge refused" { "disabled" }
                                    br; small { "it answered " (answer) " at " (minute_of(at)) "; once it takes webhooks again: portcullis notices test-webhook " (webhook.name) }
                                }
                                _ => span class="badge delivered" { "enabled" },
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn notice_table(notices: &[StoredNotice]) -> Markup {
    html! {
        @if notices.is_empty() { p.empty { "Nobody had to be told anything." } }
        @else {
            table { thead { tr { th scope="col" { "At" } th scope="col" { "To" } th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "Mail or webhook" } } } tbody {
                @for notice in notices { (notice_row(notice)) }
            } }
        }
    }
}

fn notice_row(stored: &StoredNotice) -> Markup {
    let notice = Notice::from_json(&stored.facts);
    let server = notice.as_ref().and_then(Notice::server);
    let name =
        server.map(|server| server.greeting_name.clone().unwrap_or_else(|| server.address.to_string()));
    let (state, detail) = state(stored);
    html! {
        tr {
            td data-label="At" { (minute_of(stored.at)) }
            td data-label="To" { (stored.addressee) }
            td data-label="What" { (notice.as_ref().map_or_else(|| "written by a later version".to_owned(), words)) }
            td data-label="About" {
                @match name {
                    Some(name) => a href=(format!("/servers/{}", stored.subject)) { (name) },
                    None => a href="/spool" { (stored.subject) },
                }
            }
            td data-label="Mail or webhook" { span class=(format!("badge {state}")) { (state) } @if !detail.is_empty() { br; small { (detail) } } @if let Some(tries) = &stored.tries { br; small { (tries_words(tries)) } } }
        }
    }
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::FloorAhead { at, .. } => format!("more is asked from {} on", day_of(*at)),
        Notice::CatalogueRefused { source, .. } => {
            format!("the source {source} of the catalogue gave nothing")
        }
        Notice::CatalogueStale { days, .. } => format!("the catalogue is {days} days old"),
        Notice::MessageAside { .. } => "a message waits for a decision".to_owned(),
        Notice::Node { title, .. } => title.clone(),
        Notice::ServerOwing { .. } => "it owes updates".to_owned(),
        Notice::ServerReleased { .. } => "it owes nothing any more".to_owned(),
        Notice::StageAhead { stage, .. } => {
            format!("stage {} begins on {}", stage.number, day_of(stage.at))
        }
        Notice::StageBegun { server } => match server.stage {
            Some(stage) => format!("stage {} has begun", stage.number),
            None => "a stage has begun".to_owned(),
        },
    }
}

fn tries_words(tried: &WebhookTry) -> String {
    let times = if tried.tries == 1 { "1 try".to_owned() } else { format!("{} tries", tried.tries) };
    let last = minute_of(tried.tried_at);
    match tried.next_at {
        Some(next) => format!("{times}, last {last}, next {}", minute_of(next)),
        None => format!("{times}, last {last}"),
    }
}

/// What became of the mail or webhook: a word, and what was said.
fn state(notice: &StoredNotice) -> (&str, &str) {
    if let Some(tries) = &notice.tries {
        return (&tries.state, &tries.answer);
    }
    match (&notice.mail_id, &notice.delivery) {
        (None, _) => ("waiting", ""),
        (Some(_), None) => ("delivered", "into a Maildir"),
        (Some(_), Some((code, detail))) => (code.as_str(), detail.as_str()),
    }
}
