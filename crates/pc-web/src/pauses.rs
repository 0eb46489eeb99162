//! Pauses of the ladder: who has one, what a year has left, granting and ending.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pc_enforce::{DEFAULT_TENANT, GrantedPause, PauseRequest, end, grant, quota, runs, stop};
use pc_store::PauseChangeError;
use pc_types::{Timestamp, time};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem, audit, check_texts};

type Answer = Result<Json<Value>, Problem>;
type Body<T> = Result<Json<T>, axum::extract::rejection::JsonRejection>;

impl From<PauseChangeError> for Problem {
    fn from(error: PauseChangeError) -> Self {
        match error {
            PauseChangeError::Refused(refusal) => {
                Self::new(StatusCode::CONFLICT, "pause_refused", refusal.to_string())
            }
            PauseChangeError::Store(error) => error.into(),
        }
    }
}

pub(crate) async fn list(State(context): State<Context>) -> Json<Value> {
    let now = context.admin.clock.now();
    let mut pauses = context.admin.pauses.all();
    pauses.reverse();
    Json(pauses.iter().map(|pause| view(pause, now)).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaFields {
    year: Option<i16>,
}

/// Of every tenant that is configured or ever had a pause, and of the servers without one.
pub(crate) async fn show_quota(
    State(context): State<Context>,
    Fields(fields): Fields<QuotaFields>,
) -> Json<Value> {
    let admin = &context.admin;
    let year = fields.year.unwrap_or_else(|| time::date_of(admin.clock.now()).year());
    let granted = admin.pauses.all();
    let mut tenants: Vec<&str> = granted.iter().filter_map(|pause| pause.tenant.as_deref()).collect();
    tenants.extend(admin.tenants.iter().map(String::as_str));
    tenants.push(DEFAULT_TENANT);
    tenants.sort_unstable();
    tenants.dedup();
    let rows = tenants.into_iter().map(|tenant| {
        let quota = quota(&granted, tenant, year);
        json!({
            "tenant": tenant, "year": quota.year, "used_days": quota.used_days, "left_days": quota.left_days,
        })
    });
    Json(rows.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseInput {
    tenant: String,
    days: u32,
    from: Option<Timestamp>,
    reason: String,
    owner: String,
}

pub(crate) async fn add(State(context): State<Context>, input: Body<PauseInput>) -> Answer {
    let _permit = context.access.permit()?;
    let Json(input) = input.map_err(|error| Problem::bad_request(error.body_text()))?;
    check_texts(&[("reason", &input.reason), ("owner", &input.owner)])?;
    if input.tenant != DEFAULT_TENANT && !context.admin.tenants.contains(&input.tenant) {
        let message = format!(
            "there is no [[tenant]] named {:?}; servers of no tenant are those of {DEFAULT_TENANT:?}",
            input.tenant
        );
        return Err(Problem::bad_request(message));
    }
    let now = context.admin.clock.now();
    let PauseInput { tenant, days, from, reason, owner } = input;
    let request = PauseRequest { tenant, days, from, reason, owner };
    let pause = context.admin.pauses.change(|granted, number| grant(granted, request, number, now)).await?;
    note(&context, "pause", &pause).await;
    Ok(Json(view(&pause, now)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInput {
    reason: String,
    owner: String,
}

pub(crate) async fn stop_all(State(context): State<Context>, input: Body<StopInput>) -> Answer {
    let _permit = context.access.permit()?;
    let Json(StopInput { reason, owner }) = input.map_err(|error| Problem::bad_request(error.body_text()))?;
    check_texts(&[("reason", &reason), ("owner", &owner)])?;
    let now = context.admin.clock.now();
    let pause = context.admin.pauses.change(|_, number| Ok(stop(reason, owner, number, now))).await?;
    note(&context, "stop", &pause).await;
    Ok(Json(view(&pause, now)))
}

/// Ends a pause, or a stop, whose number is the same.
pub(crate) async fn end_one(State(context): State<Context>, Path(number): Path<String>) -> Answer {
    let _permit = context.access.permit()?;
    let number =
        number.parse().map_err(|_| Problem::bad_request(format!("{number:?} is no number of a pause.")))?;
    let now = context.admin.clock.now();
    let pause = context.admin.pauses.change(|granted, _| end(granted, number, now)).await?;
    note(&context, "end_pause", &pause).await;
    Ok(Json(view(&pause, now)))
}

async fn note(context: &Context, action: &str, pause: &GrantedPause) {
    let subject = pause.tenant.as_deref().unwrap_or("everybody");
    let until = pause.until.map_or_else(|| "it is ended".to_owned(), |until| until.to_string());
    let why = format!(
        "pause {}, {} until {until}, owner {}: {}",
        pause.number, pause.from, pause.owner, pause.reason
    );
    audit(context, action, subject, &why).await;
}

fn view(pause: &GrantedPause, now: Timestamp) -> Value {
    let state = match pause.until {
        _ if runs(pause, now) => "running",
        Some(until) if until <= now => "ended",
        _ => "planned",
    };
    json!({
        "number": pause.number, "tenant": pause.tenant, "state": state, "from": pause.from, "until": pause.until,
        "reason": pause.reason, "owner": pause.owner, "granted_at": pause.granted_at,
    })
}
