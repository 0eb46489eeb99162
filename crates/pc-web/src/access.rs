use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Admin;
use crate::api::{Context, Problem};
use crate::sign_in;

/// What a router may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write: the Unix socket, and commands without a running server.
    Full,
    /// Read by the API, and change by the forms of who is signed in: the TCP listener.
    ReadOnly,
}

/// Proof that a write is allowed, and to whom.
#[derive(Clone, Debug)]
pub struct Permit {
    actor: String,
}

impl Permit {
    /// Of a person who is signed in.
    pub(crate) fn of(actor: &str) -> Self {
        Self { actor: actor.to_owned() }
    }

    /// Who, for the audit log.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}

impl Access {
    /// The permit, where writing is allowed.
    ///
    /// # Errors
    /// 403 with the remedy.
    pub(crate) fn permit(self) -> Result<Permit, Problem> {
        match self {
            Self::Full => Ok(Permit::of("command line")),
            Self::ReadOnly => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "read_only",
                "The API changes nothing over TCP; use the command line on this machine, or sign in on the pages.",
            )),
        }
    }
}

/// Refuses Host names that are not ours, so that a page of somebody else's that points its name at
/// this address reads nothing.
pub(crate) async fn check_host(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_ours(host, admin.node_name.as_str()) {
        next.run(request).await
    } else {
        let text = "This address answers to localhost, 127.0.0.1 and the node's own name only.";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", text).into_response()
    }
}

fn is_ours(host: &str, node_name: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(node_name)
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where there are accounts, asks who comes before anything is shown; what watches the node needs none.
pub(crate) async fn require_sign_in(visited: Context, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = matches!(path, "/login" | "/style.css" | "/healthz" | "/readyz" | "/metrics");
    if is_open || visited.visitor.is_some() || !visited.admin.logins.are_asked_for() {
        return next.run(request).await;
    }
    if path.starts_with("/api/") {
        let text = "Sign in on the pages, or use the command line on this machine.";
        return Problem::new(StatusCode::UNAUTHORIZED, "sign_in", text).into_response();
    }
    match request.uri().path_and_query() {
        Some(next) if request.method() == Method::GET => sign_in::redirect(&sign_in::path_to(next.as_str())),
        _ => sign_in::redirect("/login"),
    }
}

/// Headers that every answer carries.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri \
             'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        // The report brings its own policy, since its style is inside it.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_hosts() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "edge.example.org",
            "EDGE.example.org:1",
        ] {
            assert!(is_ours(host, "edge.example.org"), "{host}");
        }
        for host in
            ["", "evil.example.com", "127.0.0.1.evil.example.com:8080", "192.0.2.1", "[2001:db8::1]:80"]
        {
            assert!(!is_ours(host, "edge.example.org"), "{host}");
        }
    }
}
