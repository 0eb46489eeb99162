//! # Purpose
//! Which site a request is for, by exact name.
//!
//! # Trust
//! Host is the client's word. A request without one makes IIS build redirects from its inner address, which is why
//! such requests are cut and never forwarded.
//!
//! # Standards
//! RFC 9112 3.2, RFC 9110 7.2 and 7.4.

use std::collections::BTreeMap;

use crate::Version;

/// The names that are served, each with the number of its site.
#[derive(Clone, Debug, Default)]
pub struct ServedNames(BTreeMap<Box<str>, usize>);

impl ServedNames {
    /// From names in lower case.
    pub fn new(names: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self(names.into_iter().map(|(name, site)| (name.into_boxed_str(), site)).collect())
    }

    /// The site of a name in lower case.
    pub fn site(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// What a request says of the host it is for.
#[derive(Clone, Copy, Debug)]
pub struct HostClaim<'a> {
    /// Of the request.
    pub version: Version,
    /// All Host fields; for HTTP/2 `:authority` is in `authority`.
    pub fields: &'a [&'a [u8]],
    /// From an absolute-form target, or `:authority`.
    pub authority: Option<&'a str>,
    /// What TLS was opened for.
    pub server_name: Option<&'a str>,
    /// The port that the client reached us at.
    pub port: u16,
}

/// What becomes of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostDecision {
    /// Close without a byte.
    Abort(HostFault),
    /// 400 and close.
    BadRequest(HostFault),
    /// 421 and close: TLS was opened for another name (RFC 9110 15.5.20).
    Misdirected,
    /// The site, by number, and the name as it is served.
    Site(usize, String),
}

/// What is wrong with a Host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// Host and authority name different hosts.
    Ambiguous,
    /// There, without a value.
    Empty,
    /// Not `name` or `name:port`.
    Malformed,
    /// Not there.
    Missing,
    /// More than one.
    Repeated,
    /// Well-formed, and not served here.
    Unknown,
}

impl HostFault {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "host_ambiguous",
            Self::Empty => "host_empty",
            Self::Malformed => "host_malformed",
            Self::Missing => "host_missing",
            Self::Repeated => "host_repeated",
            Self::Unknown => "host_unknown",
        }
    }
}

/// Decides by name.
pub fn decide(claim: &HostClaim<'_>, served: &ServedNames) -> HostDecision {
    let name = match name_of(claim) {
        Ok(name) => name,
        // RFC 9112 3.2 asks for 400 with a repeated or invalid Host. Without any there is nobody to answer for.
        Err(fault @ (HostFault::Empty | HostFault::Missing | HostFault::Unknown)) => {
            return HostDecision::Abort(fault);
        }
        Err(fault) => return HostDecision::BadRequest(fault),
    };
    let Some(site) = served.site(&name) else { return HostDecision::Abort(HostFault::Unknown) };
    match claim.server_name.map(normal) {
        Some(server_name) if server_name != name => HostDecision::Misdirected,
        // Without SNI the certificate was the default one; the name is served all the same.
        _ => HostDecision::Site(site, name),
    }
}

fn name_of(claim: &HostClaim<'_>) -> Result<String, HostFault> {
    let from_field = match claim.fields {
        [] => None,
        [value] => Some(parse(value, claim.port)?),
        _ => return Err(HostFault::Repeated),
    };
    let from_authority = claim.authority.map(|text| parse(text.as_bytes(), claim.port)).transpose()?;
    match (from_field, from_authority) {
        (Some(field), Some(authority)) if field != authority => Err(HostFault::Ambiguous),
        // RFC 9113 8.3.1: a client must say `:authority`, and Host beside it says the same.
        (Some(_), None) if claim.version == Version::Http2 => Err(HostFault::Missing),
        // RFC 9112 3.2: HTTP/1.1 needs Host also beside an absolute-form target.
        (None, Some(_)) if claim.version != Version::Http2 => Err(HostFault::Missing),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(HostFault::Missing),
    }
}

/// `name` or `name:port`, the port being ours, in normal form.
fn parse(value: &[u8], port: u16) -> Result<String, HostFault> {
    let text = std::str::from_utf8(value).map_err(|_| HostFault::Malformed)?;
    if text.is_empty() {
        return Err(HostFault::Empty);
    }
    // An address is a valid Host and never a name of ours.
    if text.starts_with('[') {
        return Err(HostFault::Unknown);
    }
    let (name, named_port) = match text.split_once(':') {
        Some((name, digits)) => (name, Some(digits)),
        None => (text, None),
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'));
    if !is_name {
        return Err(HostFault::Malformed);
    }
    match named_port {
        None => Ok(normal(name)),
        Some(digits) if !digits.bytes().all(|octet| octet.is_ascii_digit()) || digits.len() > 5 => {
            Err(HostFault::Malformed)
        }
        // Behind a forwarding of ports clients name the outer one.
        Some("443") => Ok(normal(name)),
        Some(digits) if digits.parse() == Ok(port) => Ok(normal(name)),
        Some(_) => Err(HostFault::Unknown),
    }
}

/// Lower case, without the dot of the root.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
