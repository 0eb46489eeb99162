//! The outbox: who was told what.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem};
use crate::limits::HISTORY_ROWS;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeFields {
    subject: Option<String>,
}

pub(crate) async fn list(
    State(context): State<Context>,
    Fields(fields): Fields<NoticeFields>,
) -> Result<Json<Value>, Problem> {
    let stored = context.admin.store.notices(fields.subject.as_deref(), HISTORY_ROWS).await?;
    let rows = stored.into_iter().map(|notice| {
        let facts: Value = serde_json::from_str(&notice.facts).unwrap_or_default();
        let (state, detail) = match (&notice.mail_id, &notice.delivery) {
            (None, _) => ("waiting", ""),
            (Some(_), None) => ("delivered", "into a Maildir"),
            (Some(_), Some((code, detail))) => (code.as_str(), detail.as_str()),
        };
        json!({
            "at": notice.at, "addressee": notice.addressee, "subject": notice.subject,
            "kind": facts.get("kind"), "state": state, "detail": detail,
            "mail_id": notice.mail_id, "handed_at": notice.handed_at, "facts": facts,
        })
    });
    Ok(Json(rows.collect()))
}
