//! What of a server's response goes on to the client, and what is added.

use std::sync::LazyLock;

use hyper::Version;
use hyper::header::{
    CONNECTION, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
};
use hyper::http::response::Parts;
use pc_config::PatchMode;
use pc_http::cookies::hardened;
use pc_http::disclosure::{OWA_FIELDS, Rewritten, StrictTransportSecurity, is_dropped, location, realm};
use pc_http::fields::{is_hop_by_hop, named_by_connection};
use pc_http::host::ServedNames;
use pc_http::patches::ResponseRule;
use pc_http::policy::Directory;

/// What is said of HSTS, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts(HeaderValue);

impl Hsts {
    /// From what is to be said.
    pub fn new(said: &StrictTransportSecurity) -> Self {
        // Digits and words of ours.
        Self(HeaderValue::try_from(said.value()).unwrap_or(HeaderValue::from_static("max-age=0")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// RFC 6797 7.1: one field, so that another one goes.
    pub(crate) fn say(&self, headers: &mut HeaderMap) {
        headers.insert(STRICT_TRANSPORT_SECURITY, self.0.clone());
    }
}

/// [`OWA_FIELDS`], ready to be sent.
static OWA_HEADERS: LazyLock<[(HeaderName, HeaderValue); 4]> = LazyLock::new(|| {
    OWA_FIELDS.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
});

/// What a response is made fit by.
pub(crate) struct Fitting<'a> {
    pub(crate) asked_for: &'a str,
    pub(crate) served: &'a ServedNames,
    pub(crate) directory: Directory,
    pub(crate) fields_kept: &'a [String],
    pub(crate) changes: &'a [Change],
    pub(crate) hsts: &'a Hsts,
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
    fitting.hsts.say(headers);
    if fitting.directory == Directory::Owa {
        for (name, value) in OWA_HEADERS.iter() {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
    for Change { rule, .. } in fitting.changes.iter().filter(|change| change.mode == PatchMode::Block) {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let policy = rule.content_security_policy(content_type, text(CONTENT_SECURITY_POLICY));
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
