//! The handlers of spooled mail.

use std::io;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pc_store::AuditRow;
use serde_json::{Value, json};

use crate::api::{Context, Problem};

type Answer = Result<Json<Value>, Problem>;

pub(crate) async fn list(State(context): State<Context>) -> Json<Value> {
    let queue = &context.admin.queue;
    Json(json!({ "targets": queue.targets(), "messages": queue.list() }))
}

pub(crate) async fn show(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let (listed, entry) = context.admin.queue.show(&id).await.map_err(|error| problem(&id, &error))?;
    Ok(Json(json!({ "message": listed, "entry": entry })))
}

pub(crate) async fn hold(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.hold(&id).await;
    written(&context, "spool hold", &id, done).await
}

pub(crate) async fn release(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.release(&id).await;
    written(&context, "spool release", &id, done).await
}

pub(crate) async fn retry(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.retry(&id).await;
    written(&context, "spool retry", &id, done).await
}

pub(crate) async fn remove(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.remove(&id).await;
    written(&context, "spool remove", &id, done).await
}

pub(crate) async fn hold_target(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.hold_target(&id, "held by the operator").await;
    written(&context, "target hold", &id, done).await
}

pub(crate) async fn release_target(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.release_target(&id).await;
    written(&context, "target release", &id, done).await
}

pub(crate) async fn retry_target(State(context): State<Context>, Path(id): Path<String>) -> Answer {
    let done = permitted(&context)?.retry_target(&id);
    written(&context, "target retry", &id, done).await
}

fn permitted(context: &Context) -> Result<&pc_smtpd::queue::Queue, Problem> {
    let _permit = context.access.permit()?;
    Ok(&context.admin.queue)
}

/// Writes down who did what; the answer means that it is written.
async fn written(context: &Context, action: &str, id: &str, done: io::Result<()>) -> Answer {
    done.map_err(|error| problem(id, &error))?;
    let writer = &context.admin.writer;
    writer.audit(AuditRow {
        at: context.admin.clock.now(),
        actor: "command line".to_owned(),
        action: action.to_owned(),
        subject: id.to_owned(),
        reason: String::new(),
    });
    writer.flush().await;
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
