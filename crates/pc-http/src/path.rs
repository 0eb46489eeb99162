//! # Purpose
//! The one form of a path that rules are matched against.
//!
//! # Trust
//! Every published bypass of a rule for Exchange was a second spelling of the same path.
//!
//! # Standards
//! RFC 3986 5.2.4 and 6.2.2; what IIS does beyond it: `\` is `/`, doubled `/` are one, case does not matter.
//!
//! # Invariants
//! The normal form holds no percent sign that begins an escape, no `\`, no `//`, no `.` or `..` segment, no control
//! octet, and no parameters (`;x`) in a segment. It never gets longer than the path.

use std::borrow::Cow;

use crate::limits::DECODING_ROUNDS_MAX;

/// A path, and path with query, in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath {
    /// Path, `?`, query.
    whole: String,
    /// Octets of the path.
    path: usize,
}

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// `%` without two hexadecimal digits.
    #[error("a percent sign begins no escape")]
    BrokenEscape,
    /// A control octet, or NUL.
    #[error("a control octet stands in the path")]
    ControlOctet,
    /// Decoding does not come to an end.
    #[error("the path is encoded more than twice")]
    EncodedTooOften,
    /// More `..` than segments before them.
    #[error("the path leads above its root")]
    LeadsOut,
    /// Decoded octets that are no UTF-8, overlong forms included.
    #[error("the path is no UTF-8")]
    NotUtf8,
    /// Neither `/...` nor `*`.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
}

impl PathFault {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BrokenEscape => "path_broken_escape",
            Self::ControlOctet => "path_control_octet",
            Self::EncodedTooOften => "path_encoded_too_often",
            Self::LeadsOut => "path_leads_out",
            Self::NotUtf8 => "path_not_utf8",
            Self::NotAbsolute => "path_not_absolute",
        }
    }
}

impl NormalPath {
    /// Of `path` as it came, without the query, and of the query.
    ///
    /// # Errors
    /// The path has no normal form. A query always has one: what cannot be decoded stays as it is, since Exchange's own
    /// clients put binary into queries (ActiveSync's base64 form).
    pub fn new(path: &str, query: Option<&str>) -> Result<Self, PathFault> {
        if !path.starts_with('/') {
            return Err(PathFault::NotAbsolute);
        }
        let decoded = decoded(path)?;
        if decoded.chars().any(char::is_control) {
            return Err(PathFault::ControlOctet);
        }
        let mut whole = resolved(&decoded)?;
        let path = whole.len();
        whole.push('?');
        if let Some(query) = query {
            whole.push_str(&normal_query(query));
        }
        Ok(Self { whole, path })
    }

    /// Begins with `/`, in lower case.
    pub fn as_str(&self) -> &str {
        self.whole.get(..self.path).unwrap_or_default()
    }

    /// Decoded and in lower case, without `?`.
    pub fn query(&self) -> &str {
        self.whole.get(self.path + 1..).unwrap_or_default()
    }

    /// The path, `?`, and the query, which may be empty.
    pub fn with_query(&self) -> &str {
        &self.whole
    }

    /// The first segment: the virtual directory. Empty for `/`.
    pub fn directory(&self) -> &str {
        self.as_str().get(1..).and_then(|rest| rest.split('/').next()).unwrap_or_default()
    }
}

/// The first segment of a path as it came, which is what IIS routes by before it looks closer.
pub fn raw_directory(path: &str) -> &str {
    path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

fn decoded(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut octets = path.as_bytes().to_vec();
    for _ in 0..DECODING_ROUNDS_MAX {
        if !octets.contains(&b'%') {
            break;
        }
        let next = percent_decoded(&octets).ok_or(PathFault::BrokenEscape);
        match next {
            Ok(next) => octets = next,
            // After the first round `%` may be itself: `100%25`.
            Err(fault) if octets == path.as_bytes() => return Err(fault),
            Err(_) => break,
        }
    }
    if percent_decoded(&octets).is_some_and(|next| next != octets) {
        return Err(PathFault::EncodedTooOften);
    }
    String::from_utf8(octets).map(Cow::Owned).map_err(|_| PathFault::NotUtf8)
}

/// `None` where a percent sign begins no escape.
fn percent_decoded(octets: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((octet, tail)) = rest.split_first() {
        rest = tail;
        if *octet != b'%' {
            decoded.push(*octet);
            continue;
        }
        let (high, low) = (hexadecimal(tail.first())?, hexadecimal(tail.get(1))?);
        decoded.push(high * 16 + low);
        rest = tail.get(2..)?;
    }
    Some(decoded)
}

fn hexadecimal(octet: Option<&u8>) -> Option<u8> {
    char::from(*octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn resolved(decoded: &str) -> Result<String, PathFault> {
    let ends_in_slash = decoded.ends_with(['/', '\\']);
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        let name = segment.split(';').next().unwrap_or_default();
        match name {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(PathFault::LeadsOut)?;
            }
            name => segments.push(name),
        }
    }
    // Room for the mark before the query.
    let mut path = String::with_capacity(decoded.len() + 1);
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    if path.is_empty() || ends_in_slash {
        path.push('/');
    }
    Ok(lower(path))
}

fn lower(mut text: String) -> String {
    if !text.is_ascii() {
        return text.to_lowercase();
    }
    text.make_ascii_lowercase();
    text
}

fn normal_query(query: &str) -> String {
    if !query.contains('%') {
        return lower(query.to_owned());
    }
    let mut octets = query.as_bytes().to_vec();
    for _ in 0..DECODING_ROUNDS_MAX {
        match percent_decoded(&octets) {
            Some(next) if next != octets => octets = next,
            _ => break,
        }
    }
    lower(String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests;
