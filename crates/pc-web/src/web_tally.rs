//! What the web edge refused, or would have, in some days.

use axum::Json;
use pc_types::time;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem};
use crate::limits::{SUMMARY_DAYS, SUMMARY_DAYS_MAX};

#[derive(Default, Deserialize)]
pub(crate) struct TallyInput {
    days: Option<u16>,
}

/// Counts are written once a minute, so that the newest may be missing.
pub(crate) async fn tally_api(
    context: Context,
    Fields(input): Fields<TallyInput>,
) -> Result<Json<Value>, Problem> {
    let days = input.days.unwrap_or(SUMMARY_DAYS);
    if !(1..=SUMMARY_DAYS_MAX).contains(&days) {
        return Err(Problem::bad_request(format!("days is a number from 1 to {SUMMARY_DAYS_MAX}.")));
    }
    let now = context.admin.clock.now();
    let first = time::date_of(time::add_days(now, 1 - i64::from(days)));
    let counts = context.admin.store.web_tally(first, time::date_of(now)).await?;
    Ok(Json(json!({ "days": days, "counts": counts })))
}
