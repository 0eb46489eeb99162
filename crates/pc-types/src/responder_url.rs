use std::fmt;
use std::str::FromStr;

use crate::https_url::{self, UrlError, UrlHost};

/// Where a certificate says that its OCSP responder is (RFC 5280 4.2.2.1): like [`crate::HttpsUrl`], and over plain http as
/// well, since what comes from there is signed (RFC 6960 A.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponderUrl {
    /// Whether TLS is spoken there.
    pub scheme: ResponderScheme,
    /// Whom to connect to.
    pub host: UrlHost,
    /// 80 or 443 unless named.
    pub port: u16,
    /// From the first slash on, with the query.
    pub target: String,
}

/// The schemes of a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponderScheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl ResponderScheme {
    fn parts(self) -> (&'static str, u16) {
        match self {
            Self::Http => (HTTP_SCHEME, HTTP_PORT),
            Self::Https => (https_url::SCHEME, https_url::PORT),
        }
    }
}

impl ResponderUrl {
    /// Host and port as in a Host field: without the port that the scheme has.
    pub fn authority(&self) -> String {
        https_url::authority(&self.host, self.port, self.scheme.parts().1)
    }
}

impl FromStr for ResponderUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let read = |scheme: ResponderScheme| {
            let (begin, port) = scheme.parts();
            let (host, port, target) = https_url::read(text, begin, port)?;
            Ok(Self { scheme, host, port, target })
        };
        match read(ResponderScheme::Http) {
            Err(UrlError::Scheme) => read(ResponderScheme::Https),
            other => other,
        }
    }
}

impl fmt::Display for ResponderUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}{}", self.scheme.parts().0, self.authority(), self.target)
    }
}

const HTTP_SCHEME: &str = "http://";
/// RFC 9110 4.2.1.
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_responder_is_read_with_the_port_of_its_scheme_and_written_back() {
        for (text, authority, port, scheme) in [
            ("http://ocsp.example.org", "ocsp.example.org", 80, ResponderScheme::Http),
            ("http://ocsp.example.org:443/a", "ocsp.example.org:443", 443, ResponderScheme::Http),
            ("HTTP://192.0.2.1:80/?x", "192.0.2.1", 80, ResponderScheme::Http),
            ("https://[2001:db8::1]/", "[2001:db8::1]", 443, ResponderScheme::Https),
        ] {
            let url: ResponderUrl = text.parse().unwrap();
            assert_eq!((url.authority().as_str(), url.port, url.scheme), (authority, port, scheme), "{text}");
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        for text in ["ldap://ocsp.example.org/", "http://user@example.org/", "http://a/ b", "http://1/", ""] {
            assert!(text.parse::<ResponderUrl>().is_err(), "{text}");
        }
    }
}
