//! What of a server's response goes on to the client, and what is added.

use hyper::Version;
use hyper::header::{
    CONNECTION, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use hyper::http::response::Parts;
use pc_config::PatchMode;
use pc_http::cookies::hardened;
use pc_http::disclosure::{OWA_FIELDS, Rewritten, StrictTransportSecurity, is_dropped, location, realm};
use pc_http::fields::{is_hop_by_hop, named_by_connection};
use pc_http::host::ServedNames;
use pc_http::patches::ResponseRule;
use pc_http::policy::Directory;

pub(crate) const STRICT_TRANSPORT_SECURITY: HeaderName = hyper::header::STRICT_TRANSPORT_SECURITY;

/// What a response is made fit by.
pub(crate) struct Fitting<'a> {
    pub(crate) asked_for: &'a str,
    pub(crate) served: &'a ServedNames,
    pub(crate) directory: Directory,
    pub(crate) fields_kept: &'a [String],
    pub(crate) changes: &'a [Change],
    pub(crate) hsts: &'a StrictTransportSecurity,
}

/// A rule of a response that may concern it, and whether it acts or only reports.
pub(crate) struct Change {
    pub(crate) rule: ResponseRule,
    pub(crate) mode: PatchMode,
}

impl Change {
    /// Whether it concerns this response.
    pub(crate) fn concerns(&self, parts: &Parts) -> bool {
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        self.rule.concerns(content_type.unwrap_or_default())
    }
}

/// Whether the server ends its connection after this response, and with it ours.
pub(crate) fn ends_connection(parts: &Parts) -> bool {
    let has = |word: &[u8]| {
        let mut values = parts.headers.get_all(CONNECTION).into_iter();
        values.any(|value| {
            value
                .as_bytes()
                .split(|octet| *octet == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
        })
    };
    has(b"close") || (parts.version == Version::HTTP_10 && !has(b"keep-alive"))
}

/// Takes off what is not for the client, and adds what is ours to say.
pub(crate) fn fit(parts: &mut Parts, fitting: &Fitting<'_>) {
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    // A server of the operator's own: what it names here and must not is left alone.
    let named = named_by_connection(headers.get_all(CONNECTION).into_iter().map(HeaderValue::as_bytes));
    let named = named.unwrap_or_default();
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str(), &named) || is_dropped(name.as_str(), fitting.fields_kept))
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        rewrite(headers, &name, |value| location(value, fitting.asked_for, fitting.served));
    }
    rewrite(headers, &WWW_AUTHENTICATE, |value| realm(value, fitting.asked_for, fitting.served));
    if matches!(fitting.directory, Directory::Owa | Directory::Ecp)
        && let hyper::header::Entry::Occupied(mut cookies) = headers.entry(SET_COOKIE)
    {
        for cookie in cookies.iter_mut() {
            if let Some(Ok(value)) =
                hardened(cookie.as_bytes()).map(|octets| HeaderValue::from_bytes(&octets))
            {
                *cookie = value;
            }
        }
    }
    // RFC 6797 7.1: one field, so that the server's own goes.
    if let Ok(value) = HeaderValue::try_from(fitting.hsts.value()) {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    if fitting.directory == Directory::Owa {
        for (name, value) in OWA_FIELDS {
            headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
        }
    }
    for Change { rule, .. } in fitting.changes.iter().filter(|change| change.mode == PatchMode::Block) {
        let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|value| value.to_str().ok());
        let policy = rule.content_security_policy(&content_type, policy);
        if let Some(value) = policy.and_then(|policy| HeaderValue::try_from(policy).ok()) {
            headers.insert(CONTENT_SECURITY_POLICY, value);
        }
    }
}

fn rewrite(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Rewritten) {
    let values: Vec<HeaderValue> = headers.get_all(name).into_iter().cloned().collect();
    if values.is_empty() {
        return;
    }
    headers.remove(name);
    for value in values {
        // What is no ASCII names no host of ours, and of a realm it is a text for people.
        let rewritten = match value.to_str() {
            Ok(text) => change(text),
            Err(_) if *name == WWW_AUTHENTICATE => Rewritten::Keep,
            Err(_) => Rewritten::Drop,
        };
        match rewritten {
            Rewritten::Drop => {}
            Rewritten::Keep => {
                headers.append(name, value);
            }
            Rewritten::Replace(text) => {
                if let Ok(value) = HeaderValue::try_from(text) {
                    headers.append(name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
