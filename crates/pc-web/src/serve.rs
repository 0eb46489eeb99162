use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use pc_net::Stop;
use tokio::net::{TcpListener, UnixListener};

use crate::access::{Access, check_host, require_sign_in, secure};
use crate::api::{self, Context};
use crate::audit_page;
use crate::limits::BODY_OCTETS_MAX;
use crate::openapi::openapi;
use crate::{
    Admin, attestations, notices, page, pauses, pauses_page, server_list, server_page, sign_in, spool,
    tls_clients, trace, web_tally,
};

/// All routes; `openapi` describes those of the API.
pub fn router(admin: Arc<Admin>, access: Access) -> Router {
    let context = Context { admin: Arc::clone(&admin), access, visitor: None };
    let router = Router::new()
        .route("/api/v1/servers", get(api::list_servers))
        .route("/api/v1/servers/{id}", get(api::show_server).delete(api::forget))
        .route("/api/v1/servers/{id}/exemption", put(api::exempt).delete(api::unexempt))
        .route("/api/v1/preview", get(api::show_preview))
        .route("/api/v1/catalog/reload", post(api::reload_catalogue))
        .route("/api/v1/report", get(api::show_report))
        .route("/api/v1/sites", get(api::show_sites))
        .route("/api/v1/spool", get(spool::list))
        .route("/api/v1/spool/{id}", get(spool::show).delete(spool::remove))
        .route("/api/v1/spool/{id}/hold", post(spool::hold))
        .route("/api/v1/spool/{id}/release", post(spool::release))
        .route("/api/v1/spool/{id}/retry", post(spool::retry))
        .route("/api/v1/targets/{id}/hold", post(spool::hold_target))
        .route("/api/v1/targets/{id}/release", post(spool::release_target))
        .route("/api/v1/targets/{id}/retry", post(spool::retry_target))
        .route("/api/v1/trace", get(trace::list_api))
        .route("/api/v1/trace/{id}", get(trace::show_api))
        .route("/api/v1/tls/clients", get(tls_clients::list_api))
        .route("/api/v1/tls/summary", get(tls_clients::summary_api))
        .route("/api/v1/web/tally", get(web_tally::tally_api))
        .route("/api/v1/attestations", get(attestations::list).post(attestations::add))
        .route("/api/v1/audit", get(api::show_audit))
        .route("/api/v1/notices", get(notices::list))
        .route("/api/v1/webhooks", get(notices::webhooks))
        .route("/api/v1/webhooks/{id}/test", post(notices::test_webhook))
        .route("/api/v1/pauses", get(pauses::list).post(pauses::add))
        .route("/api/v1/pauses/quota", get(pauses::show_quota))
        .route("/api/v1/pauses/{id}", delete(pauses::end_one))
        .route("/api/v1/stop", post(pauses::stop_all))
        .route("/api/v1/status", get(api::show_status))
        .route("/api/openapi.json", get(|| async { Json(openapi()) }))
        .route("/metrics", get(|context: Context| async move { context.admin.metrics.render() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/", get(page::dashboard))
        .route("/servers", get(server_list::show))
        .route("/servers/{id}", get(server_page::server))
        .route("/servers/{id}/exempt", post(server_page::exempt))
        .route("/servers/{id}/unexempt", post(server_page::unexempt))
        .route("/servers/{id}/forget", post(server_page::forget))
        .route("/pauses", get(pauses_page::show).post(pauses_page::grant))
        .route("/pauses/{number}/end", post(pauses_page::end))
        .route("/stop", post(pauses_page::stop))
        .route("/login", get(sign_in::show).post(sign_in::sign_in))
        .route("/logout", post(sign_in::sign_out))
        .route("/trace", get(trace::list))
        .route("/trace/{id}", get(trace::show))
        .route("/spool", get(spool::show_page))
        .route("/notices", get(notices::show_page))
        .route("/audit", get(audit_page::show))
        .route("/tls", get(tls_clients::show))
        .route("/style.css", get(page::style))
        .fallback(not_found)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(context.clone());
    let router = match access {
        Access::Full => router,
        Access::ReadOnly => router
            .layer(from_fn_with_state(context, require_sign_in))
            .layer(from_fn_with_state(admin, check_host)),
    };
    // Outermost, so that refusals carry the headers as well.
    router.layer(from_fn(secure))
}

/// Scripts get JSON, people a page.
async fn not_found(context: Context, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        api::no_route().into_response()
    } else {
        page::not_found(context).await
    }
}

async fn ready(context: Context) -> (StatusCode, String) {
    match (context.admin.ready)() {
        Ok(()) => {
            let remarks = (context.admin.remarks)().into_iter().map(|remark| format!("remark: {remark}\n"));
            (StatusCode::OK, format!("ready\n{}", remarks.collect::<String>()))
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Serves on a TCP listener until `stop`.
pub async fn serve_tcp(listener: TcpListener, router: Router, mut stop: Stop) {
    let serving = axum::serve(listener, router);
    tokio::select! {
        () = stop.stopped() => {}
        // It returns only with an error that axum has already retried.
        _ = serving => {}
    }
}

/// Serves on a Unix socket that only its owner opens, until `stop`.
///
/// # Errors
/// The folder cannot be written, or another server listens there.
pub async fn serve_unix(path: &Path, router: Router, mut stop: Stop) -> io::Result<()> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server uses this data folder"));
    }
    // A socket that nobody answers is left over from a crash.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let serving = axum::serve(listener, router);
    tokio::select! {
        () = stop.stopped() => {}
        _ = serving => {}
    }
    // What cannot be removed is removed at the next start.
    let _ = std::fs::remove_file(path);
    Ok(())
}
