//! The handlers of `/api/v1`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pc_enforce::{Exemption, ServerRecord, preview};
use pc_store::{AuditRow, StoreError, TlsClientQuery};
use pc_types::{ServerId, Timestamp, time};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Admin;
use crate::access::{Access, Permit};
use crate::limits::{
    HISTORY_ROWS, PREVIEW_DAYS, PREVIEW_DAYS_MAX, TEXT_OCTETS_MAX, TLS_CLIENTS_SEARCHED, TRACE_ROWS,
};
use crate::login::Visitor;
use crate::raises::raises;
use crate::report::{Report, mode_word};
use crate::sign_in;
use crate::view::{ServerView, servers};

/// An answer that is not the one hoped for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn unknown_server(id: &str) -> Self {
        let message = format!("There is no server {id}; `portcullis servers list` shows all.");
        Self::new(StatusCode::NOT_FOUND, "unknown_server", message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<StoreError> for Problem {
    /// The operator of this page is the one who can mend it.
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", format!("{error}: {cause}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.code, "message": self.message }))).into_response()
    }
}

type Answer = Result<Json<Value>, Problem>;

/// Query fields; what does not fit is answered like every other wrong field.
pub(crate) struct Fields<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Fields<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(fields)) => Ok(Self(fields)),
            Err(error) => Err(Problem::bad_request(error.body_text())),
        }
    }
}

/// What a handler gets.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) admin: Arc<Admin>,
    pub(crate) access: Access,
    /// Who is signed in.
    pub(crate) visitor: Option<Visitor>,
}

impl FromRequestParts<Self> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Self) -> Result<Self, Infallible> {
        let token = sign_in::session_token(&parts.headers);
        let visitor = token.and_then(|token| state.admin.logins.visitor(token, state.admin.clock.now()));
        Ok(Self { visitor, ..state.clone() })
    }
}

impl Context {
    /// All servers as they stand now.
    pub(crate) async fn views(&self) -> Result<Vec<ServerView>, Problem> {
        let admin = Arc::clone(&self.admin);
        aside(move || {
            let (policies, now) = (admin.policies.load(), admin.clock.now());
            let mut views = servers(&policies, &admin.servers.all(), &admin.pauses, now);
            admin.attestor.attach(&mut views);
            views
        })
        .await
    }

    /// One server as it stands now.
    pub(crate) async fn view(&self, record: &ServerRecord) -> Result<ServerView, Problem> {
        let admin = Arc::clone(&self.admin);
        let pauses = admin.pauses.of(record.tenant.as_deref());
        let view = ServerView::new(&admin.policies.load(), record, &pauses, admin.clock.now());
        aside(move || {
            let mut views = [view];
            admin.attestor.attach(&mut views);
            let [view] = views;
            view
        })
        .await
    }

    /// One server, if it is known.
    pub(crate) fn find(&self, id: &str) -> Result<ServerRecord, Problem> {
        let parsed: ServerId = id.parse().map_err(|_| Problem::unknown_server(id))?;
        self.admin.servers.find(&parsed).ok_or_else(|| Problem::unknown_server(id))
    }

    pub(crate) async fn report(&self) -> Result<Report, Problem> {
        let admin = Arc::clone(&self.admin);
        let (now, policies) = (admin.clock.now(), admin.policies.load_full());
        // Who is silent for so long counts no more, as on the ladder.
        let since = time::add_days(now, -i64::from(policies.general().decay_days));
        let refused = TlsClientQuery {
            since: Some(since),
            rows_max: TLS_CLIENTS_SEARCHED,
            ..TlsClientQuery::default()
        };
        admin.writer.flush().await;
        let refused = admin.store.tls_clients(&refused).await?;
        let make = move || {
            let (servers, as_of) = (admin.servers.all(), (admin.catalogue_as_of)());
            let report = Report::new(&policies, &servers, &admin.pauses, as_of, now);
            let report = report.with_refused(&refused);
            let mut report = report.with_cves(|build| (admin.judge)(build, time::date_of(now)));
            admin.attestor.attach(&mut report.servers);
            report
        };
        aside(make).await
    }
}

/// With a million servers these take seconds, in which the threads that carry mail must not stand still.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        let text = "This could not be worked out; the log says why.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", text)
    })
}

/// 404 for a path under `/api/` that is none.
pub(crate) fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_route", "There is no such route; see /api/openapi.json.")
}

/// 405 for a path that has other methods.
pub(crate) async fn wrong_method() -> Problem {
    let text = "This path has no such method; see /api/openapi.json.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", text)
}

pub(crate) async fn list_servers(context: Context) -> Answer {
    Ok(Json(json!(context.views().await?)))
}

pub(crate) async fn show_server(context: Context, Path(id): Path<String>) -> Answer {
    let record = context.find(&id)?;
    let admin = &context.admin;
    let now = admin.clock.now();
    let pauses = admin.pauses.of(record.tenant.as_deref());
    let view = context.view(&record).await?;
    let judged = view.build.as_deref().map(|build| (admin.judge)(build, time::date_of(now)));
    let ahead = preview(admin.policies.load().of(&record), &record, &pauses, now, PREVIEW_DAYS_MAX);
    let ahead = ahead.into_iter().map(|row| {
        json!({
            "at": row.at, "stage": row.stage.number,
            "throttle_minutes": row.stage.throttle_minutes, "block_minutes": row.stage.block_minutes,
        })
    });
    Ok(Json(json!({
        "server": view,
        "sightings": admin.store.sightings(&record.id, HISTORY_ROWS).await?,
        "events": admin.store.ladder_events(&record.id, HISTORY_ROWS).await?,
        "judge": judged,
        "preview": ahead.collect::<Value>(),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExemptionInput {
    reason: String,
    owner: String,
    until: Timestamp,
}

pub(crate) async fn exempt(
    context: Context,
    Path(id): Path<String>,
    input: Result<Json<ExemptionInput>, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let permit = context.access.permit()?;
    let Json(ExemptionInput { reason, owner, until }) =
        input.map_err(|error| Problem::bad_request(error.body_text()))?;
    grant_exemption(&context, &permit, &id, Exemption { reason, owner, until }).await
}

pub(crate) async fn grant_exemption(
    context: &Context,
    permit: &Permit,
    id: &str,
    exemption: Exemption,
) -> Answer {
    check_texts(&[("reason", &exemption.reason), ("owner", &exemption.owner)])?;
    if exemption.until <= context.admin.clock.now() {
        return Err(Problem::bad_request("until lies in the past; give a later date."));
    }
    let why = format!("until {}, owner {}: {}", exemption.until, exemption.owner, exemption.reason);
    change(context, permit, id, ("exempt", &why), |record| {
        Some(ServerRecord { exemption: Some(exemption), ..record })
    })
    .await
}

pub(crate) async fn unexempt(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    end_exemption(&context, &permit, &id).await
}

pub(crate) async fn end_exemption(context: &Context, permit: &Permit, id: &str) -> Answer {
    change(context, permit, id, ("unexempt", ""), |record| Some(ServerRecord { exemption: None, ..record }))
        .await
}

pub(crate) async fn forget(context: Context, Path(id): Path<String>) -> Answer {
    let permit = context.access.permit()?;
    forget_server(&context, &permit, &id).await
}

pub(crate) async fn forget_server(context: &Context, permit: &Permit, id: &str) -> Answer {
    change(context, permit, id, ("forget", ""), |_| None).await
}

/// Changes a server's record and writes down who did what and why.
async fn change(
    context: &Context,
    permit: &Permit,
    id: &str,
    (action, why): (&str, &str),
    change: impl FnOnce(ServerRecord) -> Option<ServerRecord>,
) -> Answer {
    let record = context.find(id)?;
    let found = context.admin.servers.change(&record.id, |record| match record {
        Some(record) => (change(record), true),
        None => (None, false),
    });
    if !found {
        return Err(Problem::unknown_server(id));
    }
    audit(context, permit, action, id, why).await;
    Ok(Json(json!({ "id": id, "done": action })))
}

/// Writes down who did what and why.
pub(crate) async fn audit(context: &Context, permit: &Permit, action: &str, subject: &str, why: &str) {
    context.admin.writer.audit(AuditRow {
        at: context.admin.clock.now(),
        actor: permit.actor().to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: why.to_owned(),
    });
    // The answer means that it is written.
    context.admin.writer.flush().await;
}

/// What people write must be there and must fit.
pub(crate) fn check_texts(texts: &[(&str, &str)]) -> Result<(), Problem> {
    for (name, text) in texts {
        if text.trim().is_empty() || text.len() > TEXT_OCTETS_MAX {
            return Err(Problem::bad_request(format!("{name} needs 1 to {TEXT_OCTETS_MAX} characters.")));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
pub(crate) struct PreviewQuery {
    days: Option<u32>,
    now: Option<Timestamp>,
}

pub(crate) async fn show_preview(context: Context, Fields(query): Fields<PreviewQuery>) -> Json<Value> {
    let admin = &context.admin;
    let from = query.now.unwrap_or_else(|| admin.clock.now());
    let days = query.days.unwrap_or(PREVIEW_DAYS).min(PREVIEW_DAYS_MAX);
    let policies = admin.policies.load();
    let mut rows = Vec::new();
    for record in admin.servers.all() {
        let pauses = admin.pauses.of(record.tenant.as_deref());
        for row in preview(policies.of(&record), &record, &pauses, from, days) {
            rows.push((row.at, record.id.clone(), record.greeting_name.clone(), row.stage));
        }
    }
    rows.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let rows = rows.into_iter().map(|(at, id, name, stage)| {
        json!({
            "at": at, "id": id, "greeting_name": name, "what": "stage", "stage": stage.number,
            "throttle_minutes": stage.throttle_minutes, "block_minutes": stage.block_minutes,
        })
    });
    let mut rows: Vec<Value> = rows.collect();
    rows.extend(raises(admin, from, days).iter().map(|raise| json!(raise)));
    Json(rows.into())
}

#[derive(Deserialize)]
pub(crate) struct ReportQuery {
    format: Option<String>,
}

pub(crate) async fn show_report(
    context: Context,
    Fields(query): Fields<ReportQuery>,
) -> Result<Response, Problem> {
    let report = context.report().await?;
    let (content_type, text) = match query.format.as_deref().unwrap_or("json") {
        "csv" => ("text/csv; charset=utf-8", report.csv()),
        "html" => ("text/html; charset=utf-8", report.html()),
        "json" => ("application/json", format!("{:#}", json!(report))),
        "text" => ("text/plain; charset=utf-8", report.text()),
        _ => return Err(Problem::bad_request("format is one of csv, html, json, text.")),
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, text).into_response())
}

pub(crate) async fn reload_catalogue(context: Context) -> Answer {
    let permit = context.access.permit()?;
    let reload = Arc::clone(&context.admin.reload_catalogue);
    let reloaded = tokio::task::spawn_blocking(move || reload()).await;
    let reloaded = reloaded.unwrap_or_else(|_| Err("the catalogue could not be taken".to_owned()));
    let value =
        reloaded.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "catalogue", error))?;
    let as_of = (context.admin.catalogue_as_of)().to_string();
    audit(&context, &permit, "catalog", &as_of, &format!("all servers judged anew: {value}")).await;
    Ok(Json(value))
}

pub(crate) async fn show_audit(context: Context) -> Answer {
    Ok(Json(json!(context.admin.store.audit(TRACE_ROWS).await?)))
}

pub(crate) async fn show_sites(context: Context) -> Json<Value> {
    Json((context.admin.sites)())
}

pub(crate) async fn show_status(context: Context) -> Answer {
    let admin = &context.admin;
    let report = context.report().await?;
    Ok(Json(json!({
        "node": admin.node_name,
        "now": admin.clock.now(),
        "mode": mode_word(admin.policies.load().general().mode),
        "catalogue_as_of": (admin.catalogue_as_of)().to_string(),
        "servers": { "owing": report.owing, "unknown": report.unknown, "met": report.met, "not_exchange": report.not_exchange },
        "too_old_for_tls": report.hellos.addresses,
        "ready": (admin.ready)().is_ok(),
        "remarks": (admin.remarks)(),
        "listeners": (admin.listeners)(),
    })))
}
