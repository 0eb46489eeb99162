use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::Domain;

/// An `https` address that we may be told to fetch: host, port, and what is asked for there. RFC 3986 without
/// user, fragment and dot segments, of which none is needed and each has misled somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl {
    /// Whom to connect to.
    pub host: UrlHost,
    /// 443 unless named.
    pub port: u16,
    /// From the first slash on, with the query.
    pub target: String,
}

/// The host of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlHost {
    /// An address of its own.
    Address(IpAddr),
    /// A name.
    Name(Domain),
}

/// Why a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither a host name nor an address, or a user before it.
    #[error("needs a host name or an address behind https://")]
    Host,
    /// Over 2000 octets.
    #[error("is longer than 2000 characters")]
    Length,
    /// Not 1 to 65535.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// Not https.
    #[error("must begin with https://")]
    Scheme,
    /// A character that an address does not have, a fragment, or a dot segment.
    #[error("holds characters that an address does not have, a fragment, or \"..\"")]
    Target,
}

impl FromStr for HttpsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (host, port, target) = read(text, SCHEME, PORT)?;
        Ok(Self { host, port, target })
    }
}

/// The parts of an address that begins with `scheme`.
pub(crate) fn read(text: &str, scheme: &str, port_default: u16) -> Result<(UrlHost, u16, String), UrlError> {
    if text.len() > OCTETS_MAX {
        return Err(UrlError::Length);
    }
    let begin = text.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme));
    let rest = begin.and_then(|_| text.get(scheme.len()..)).ok_or(UrlError::Scheme)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or(UrlError::Host)?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(UrlError::Host)?,
        None => authority
            .split_at_checked(authority.find(':').unwrap_or(authority.len()))
            .ok_or(UrlError::Host)?,
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?,
        None if port.is_empty() => port_default,
        None => return Err(UrlError::Host),
    };
    let host = match host.parse() {
        Ok(address) => UrlHost::Address(address),
        // A name whose last label is a number would be an address in another spelling (RFC 1123 2.1).
        Err(_) if is_numeric(host) => return Err(UrlError::Host),
        Err(_) => UrlHost::Name(host.parse().map_err(|_| UrlError::Host)?),
    };
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let is_plain =
        target.bytes().all(|octet| matches!(octet, b'!'..=b'~') && !b"\"#<>\\^`{|}".contains(&octet));
    let path = target.split('?').next().unwrap_or_default();
    if !is_plain || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(UrlError::Target);
    }
    Ok((host, port, target))
}

fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.is_empty()
        || last.bytes().all(|octet| octet.is_ascii_digit())
        || last.starts_with("0x")
        || last.starts_with("0X")
}

impl HttpsUrl {
    /// Host and port as in a Host field: without the port that https has.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port, PORT)
    }
}

/// RFC 3986 3.2, without the port that the scheme has.
pub(crate) fn authority(host: &UrlHost, port: u16, port_default: u16) -> String {
    let host = match host {
        UrlHost::Address(IpAddr::V6(address)) => format!("[{address}]"),
        UrlHost::Address(IpAddr::V4(address)) => address.to_string(),
        UrlHost::Name(name) => name.to_string(),
    };
    if port == port_default { host } else { format!("{host}:{port}") }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}{}", self.authority(), self.target)
    }
}

pub(crate) const SCHEME: &str = "https://";
/// RFC 9110 4.2.2.
pub(crate) const PORT: u16 = 443;
/// RFC 9110 4.1 asks for 8000 at least; nothing that is fetched here needs a quarter of it.
const OCTETS_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_back() {
        for (text, host, port, target) in [
            ("https://example.org", "example.org", 443, "/"),
            ("HTTPS://example.org:8443/a/b?c=d", "example.org:8443", 8443, "/a/b?c=d"),
            ("https://[2001:db8::1]/x", "[2001:db8::1]", 443, "/x"),
            ("https://192.0.2.1:443?x", "192.0.2.1", 443, "/?x"),
        ] {
            let url: HttpsUrl = text.parse().unwrap();
            assert_eq!(
                (url.authority().as_str(), url.port, url.target.as_str()),
                (host, port, target),
                "{text}"
            );
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn what_misleads_is_refused() {
        for (text, want) in [
            ("http://example.org/", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https://user@example.org/", UrlError::Host),
            ("https://example.org\\@evil.example/", UrlError::Host),
            ("https://2130706433/", UrlError::Host),
            ("https://0x7f000001/", UrlError::Host),
            ("https://127.1/", UrlError::Host),
            ("https://[::1/", UrlError::Host),
            ("https://example.org:0/", UrlError::Port),
            ("https://example.org:99999/", UrlError::Port),
            ("https://example.org/a/../b", UrlError::Target),
            ("https://example.org/#x", UrlError::Target),
            ("https://example.org/ x", UrlError::Target),
            ("https://example.org/\r\nHost: x", UrlError::Target),
        ] {
            assert_eq!(text.parse::<HttpsUrl>(), Err(want), "{text:?}");
        }
    }
}
