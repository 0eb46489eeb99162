//! Pauses of the ladder: who has one, what a year has left, granting and ending.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use pc_enforce::{DEFAULT_TENANT, GrantedPause, PauseRequest, end, grant, quota, runs, stop};
use pc_store::PauseChangeError;
use pc_types::{Timestamp, time};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Permit;
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

pub(crate) async fn list(context: Context) -> Json<Value> {
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
pub(crate) async fn show_quota(context: Context, Fields(fields): Fields<QuotaFields>) -> Json<Value> {
    let admin = &context.admin;
    let year = fields.year.unwrap_or_else(|| time::date_of(admin.clock.now()).year());
    let granted = admin.pauses.all();
    let rows = tenants(&context, &granted).into_iter().map(|tenant| {
        let quota = quota(&granted, &tenant, year);
        json!({
            "tenant": tenant, "year": quota.year, "used_days": quota.used_days, "left_days": quota.left_days,
        })
    });
    Json(rows.collect())
}

/// Everybody who is configured or ever had a pause, and those of no tenant.
pub(crate) fn tenants(context: &Context, granted: &[GrantedPause]) -> Vec<String> {
    let mut tenants: Vec<String> = granted.iter().filter_map(|pause| pause.tenant.clone()).collect();
    tenants.extend(context.admin.tenants.iter().cloned());
    tenants.push(DEFAULT_TENANT.to_owned());
    tenants.sort_unstable();
    tenants.dedup();
    tenants
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

pub(crate) async fn add(context: Context, input: Body<PauseInput>) -> Answer {
    let permit = context.access.permit()?;
    let Json(PauseInput { tenant, days, from, reason, owner }) =
        input.map_err(|error| Problem::bad_request(error.body_text()))?;
    grant_pause(&context, &permit, PauseRequest { tenant, days, from, reason, owner }).await
}

pub(crate) async fn grant_pause(context: &Context, permit: &Permit, request: PauseRequest) -> Answer {
    check_texts(&[("reason", &request.reason), ("owner", &request.owner)])?;
    if request.tenant != DEFAULT_TENANT && !context.admin.tenants.contains(&request.tenant) {
        let message = format!(
            "there is no [[tenant]] named {:?}; servers of no tenant are those of {DEFAULT_TENANT:?}",
            request.tenant
        );
        return Err(Problem::bad_request(message));
    }
    let now = context.admin.clock.now();
    let pause = context.admin.pauses.change(|granted, number| grant(granted, request, number, now)).await?;
    note(context, permit, "pause", &pause).await;
    Ok(Json(view(&pause, now)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInput {
    reason: String,
    owner: String,
}

pub(crate) async fn stop_all(context: Context, input: Body<StopInput>) -> Answer {
    let permit = context.access.permit()?;
    let Json(StopInput { reason, owner }) = input.map_err(|error| Problem::bad_request(error.body_text()))?;
    stop_ladder(&context, &permit, reason, owner).await
}

pub(crate) async fn stop_ladder(context: &Context, permit: &Permit, reason: String, owner: String) -> Answer {
    check_texts(&[("reason", &reason), ("owner", &owner)])?;
    let now = context.admin.clock.now();
    let pause = context.admin.pauses.change(|_, number| Ok(stop(reason, owner, number, now))).await?;
    note(context, permit, "stop", &pause).await;
    Ok(Json(view(&pause, now)))
}

/// Ends a pause, or a stop, whose number is the same.
pub(crate) async fn end_one(context: Context, Path(number): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    end_pause(&context, &permit, &number).await
}

pub(crate) async fn end_pause(context: &Context, permit: &Permit, number: &str) -> Answer {
    let number =
        number.parse().map_err(|_| Problem::bad_request(format!("{number:?} is no number of a pause.")))?;
    let now = context.admin.clock.now();
    let pause = context.admin.pauses.change(|granted, _| end(granted, number, now)).await?;
    note(context, permit, "end_pause", &pause).await;
    Ok(Json(view(&pause, now)))
}

async fn note(context: &Context, permit: &Permit, action: &str, pause: &GrantedPause) {
    let subject = pause.tenant.as_deref().unwrap_or("everybody");
    let until = pause.until.map_or_else(|| "it is ended".to_owned(), |until| until.to_string());
    let why = format!(
        "pause {}, {} until {until}, owner {}: {}",
        pause.number, pause.from, pause.owner, pause.reason
    );
    audit(context, permit, action, subject, &why).await;
}

/// `running`, `ended` or `planned`.
pub(crate) fn state(pause: &GrantedPause, now: Timestamp) -> &'static str {
    match pause.until {
        _ if runs(pause, now) => "running",
        Some(until) if until <= now => "ended",
        _ => "planned",
    }
}

fn view(pause: &GrantedPause, now: Timestamp) -> Value {
    json!({
        "number": pause.number, "tenant": pause.tenant, "state": state(pause, now), "from": pause.from, "until": pause.until,
        "reason": pause.reason, "owner": pause.owner, "granted_at": pause.granted_at,
    })
}
