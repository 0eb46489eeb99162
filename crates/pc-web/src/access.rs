use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Admin;
use crate::api::Problem;

/// What a router may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write: the Unix socket, and commands without a running server.
    Full,
    /// Read: the TCP listener.
    ReadOnly,
}

/// Proof that a write is allowed.
#[derive(Debug)]
pub struct Permit {
    _private: (),
}

impl Access {
    /// The permit, where writing is allowed.
    ///
    /// # Errors
    /// 403 with the remedy.
    pub(crate) fn permit(self) -> Result<Permit, Problem> {
        match self {
            Self::Full => Ok(Permit { _private: () }),
            Self::ReadOnly => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "read_only",
                "Nothing can be changed here; use the command line on this machine.",
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
