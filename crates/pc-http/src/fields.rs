//! # Purpose
//! Which request and response fields go on.
//!
//! # Standards
//! RFC 9110 7.6.1 (hop-by-hop), RFC 9112 9. 7.6.3 (Via).

use crate::Version;
use crate::framing::is_token;

/// Via of a request: what it came in, and a name for us that tells nothing.
pub fn via(received: Version) -> &'static str {
    match received {
        Version::Http2 => "2.0 gateway",
        Version::Http11 => "1.1 gateway",
        Version::Http10 => "1.0 gateway",
    }
}

/// Fields that end at a hop, whoever names them (RFC 9110 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that Connection must not take off a request: somebody would judge it by them.
const NEVER_DROPPED: [&str; 8] = [
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Fields by which a client could pass for a proxy, or name another path.
const FROM_OUTSIDE: [&str; 6] = ["forwarded", "proxy", "x-original-url", "x-real-ip", "x-rewrite-url", "via"];

/// Why a request is refused for its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// Connection names what must not be dropped, or something that is no field name.
    #[error("Connection names a field that may not be dropped")]
    Connection,
}

impl FieldFault {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connection => "field_connection",
        }
    }
}

/// The names that Connection values add to the hop-by-hop fields, in lower case.
///
/// # Errors
/// A value names what must not be dropped.
pub fn named_by_connection<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<String>, FieldFault> {
    let mut names = Vec::new();
    for value in values {
        for word in value.split(|octet| *octet == b',') {
            let word = word.trim_ascii();
            if word.is_empty() {
                continue;
            }
            if !word.iter().all(|octet| is_token(*octet)) {
                return Err(FieldFault::Connection);
            }
            let name = String::from_utf8_lossy(word).to_ascii_lowercase();
            if NEVER_DROPPED.contains(&name.as_str()) {
                return Err(FieldFault::Connection);
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether a field, its name in lower case, ends at this hop in either direction.
pub fn is_hop_by_hop(name: &str, named: &[String]) -> bool {
    HOP_BY_HOP.contains(&name) || named.iter().any(|other| other == name)
}

/// Whether a request field, its name in lower case, is not for a client to set.
pub fn is_from_outside(name: &str) -> bool {
    FROM_OUTSIDE.contains(&name)
        || name.starts_with("x-forwarded-")
        // IIS gives `a_b` and `a-b` to applications as one variable.
        || name.contains('_')
}

/// Whether an Authorization value, or a WWW-Authenticate offer, is of a scheme that speaks for the whole connection.
pub fn is_connection_bound(value: &[u8]) -> bool {
    let scheme = value.trim_ascii_start().split(|octet| octet.is_ascii_whitespace() || *octet == b',').next();
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_adds_its_names_and_may_not_take_what_others_judge_by() {
        let named = named_by_connection([&b"close, X-Private"[..], b"keep-alive"]).unwrap();
        assert_eq!(named, ["close", "x-private", "keep-alive"]);
        assert!(
            is_hop_by_hop("x-private", &named)
                && is_hop_by_hop("te", &[])
                && !is_hop_by_hop("cookie", &named)
        );
        for value in ["Host", "close, Authorization", "Cookie", "Content-Length", "X-Forwarded-For", "a b"] {
            assert_eq!(named_by_connection([value.as_bytes()]), Err(FieldFault::Connection), "{value}");
        }
    }

    #[test]
    fn a_client_cannot_pass_for_a_proxy() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-anything",
            "forwarded",
            "proxy",
            "x-original-url",
            "x_forwarded_for",
        ] {
            assert!(is_from_outside(name), "{name}");
        }
        for name in
            ["x-anchormailbox", "x-owa-canary", "client-request-id", "x-ms-exchange-x", "x-requesttype"]
        {
            assert!(!is_from_outside(name), "{name}");
        }
    }

    #[test]
    fn schemes_that_speak_for_a_connection_are_known_in_any_case() {
        for value in ["NTLM TlRMTVNTUAAB", "negotiate", "Negotiate abc==", "ntlm"] {
            assert!(is_connection_bound(value.as_bytes()), "{value}");
        }
        for value in ["Basic QQ==", "Bearer x", "NTLMx", ""] {
            assert!(!is_connection_bound(value.as_bytes()), "{value}");
        }
    }
}
