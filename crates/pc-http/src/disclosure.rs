//! # Purpose
//! What a response tells of the servers behind: version fields go, inner names in redirects and realms become ours, HSTS
//! is said once.
//!
//! # Standards
//! RFC 9110 10.2.2 (Location), 11.6.1 (WWW-Authenticate), RFC 6797 (HSTS). Exchange tells its build in bodies as
//! well (the login page, SOAP, Autodiscover): no gateway hides that, and nothing here claims it.

use crate::host::ServedNames;

/// Response fields that tell of the servers behind, and what.
pub const DISCLOSING: [(&str, &str); 21] = [
    ("alt-svc", "another way to a server, past this one"),
    ("server", "product and version"),
    ("via", "name of a server"),
    ("x-powered-by", "framework"),
    ("x-aspnet-version", "framework and version"),
    ("x-aspnetmvc-version", "framework and version"),
    ("x-owa-version", "build of Exchange"),
    ("x-owa-owsversion", "build of Exchange"),
    ("x-owa-minimumsupportedowsversion", "build of Exchange"),
    ("x-feserver", "name of a server"),
    ("x-beserver", "name of a server"),
    ("x-diaginfo", "name of a server"),
    ("x-calculatedbetarget", "name of a server"),
    ("x-calculatedfetarget", "name of a server"),
    ("x-targetserver", "name of a server"),
    ("x-backendhttpstatus", "inner workings"),
    ("x-backend-begin", "inner workings"),
    ("x-backend-end", "inner workings"),
    ("x-owa-diagnosticsinfo", "inner workings"),
    ("x-iids", "inner workings"),
    ("x-beservererrorcode", "inner workings"),
];

/// Whether a response field, its name in lower case, is dropped. `kept` are those that the operator lets through.
pub fn is_dropped(name: &str, kept: &[String]) -> bool {
    DISCLOSING.iter().any(|(one, _)| *one == name) && !kept.iter().any(|one| one == name)
}

/// What becomes of a field value that may name a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// The field is left out.
    Drop,
    /// As it came.
    Keep,
    /// This instead.
    Replace(String),
}

/// Location and Content-Location: a host that is not served becomes the one the client asked for.
pub fn location(value: &str, asked_for: &str, served: &ServedNames) -> Rewritten {
    // RFC 3986 4.2: `//host/path` names a host as well.
    let (scheme, rest) = match value.split_once("//") {
        Some((scheme @ ("" | "http:" | "https:"), rest)) => (scheme, rest),
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http:") || scheme.eq_ignore_ascii_case("https:") =>
        {
            (scheme, rest)
        }
        _ if value.starts_with('/') || !value.contains(':') => return Rewritten::Keep,
        // Some other scheme: nothing that Exchange sends.
        _ => return Rewritten::Drop,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let is_ours = served.site(&name).is_some() && host == authority;
    if is_ours && !scheme.eq_ignore_ascii_case("http:") {
        return Rewritten::Keep;
    }
    let name = if is_ours { name } else { asked_for.to_owned() };
    Rewritten::Replace(format!("https://{name}{path}"))
}

/// One WWW-Authenticate value: a realm that is an address or an inner name becomes the name the client asked for.
pub fn realm(value: &str, asked_for: &str, served: &ServedNames) -> Rewritten {
    let Some((before, rest)) = split_once_ignoring_case(value, "realm=\"") else { return Rewritten::Keep };
    let Some((realm, after)) = rest.split_once('"') else { return Rewritten::Drop };
    let looks_like_host = !realm.is_empty()
        && realm.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".:-[]".contains(&octet));
    if !looks_like_host || served.site(&realm.to_ascii_lowercase()).is_some() {
        return Rewritten::Keep;
    }
    Rewritten::Replace(format!("{before}realm=\"{asked_for}\"{after}"))
}

fn split_once_ignoring_case<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_lowercase().find(mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// RFC 6797 6.1: how long browsers shall come by TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictTransportSecurity {
    /// 0 ends it.
    pub max_age_seconds: u64,
    /// All names below as well.
    pub include_subdomains: bool,
    /// Asks browsers to ship the name in their lists.
    pub preload: bool,
}

impl StrictTransportSecurity {
    /// The field's value.
    pub fn value(&self) -> String {
        let mut value = format!("max-age={}", self.max_age_seconds);
        if self.include_subdomains {
            value.push_str("; includeSubDomains");
        }
        if self.preload {
            value.push_str("; preload");
        }
        value
    }
}

/// Fields that OWA's pages bear without harm. Its Content-Security-Policy says nothing of scripts: OWA needs inline script and eval, and
/// its sign-in page, OWA Light and the print view of the calendar have handlers in attributes. Where those are to be forbidden is a
/// matter of the virtual patch for it.
pub const OWA_FIELDS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("content-security-policy", "frame-ancestors 'self'"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> ServedNames {
        ServedNames::new([("mail.example.org".to_owned(), 0)])
    }

    #[test]
    fn inner_names_in_redirects_become_the_name_that_was_asked_for() {
        for (value, want) in [
            ("https://10.0.0.5/owa/", Some("https://mail.example.org/owa/")),
            ("http://ex01.corp.example.org/owa/?a=b", Some("https://mail.example.org/owa/?a=b")),
            ("https://[2001:db8::1]:444/owa", Some("https://mail.example.org/owa")),
            ("//ex01/owa", Some("https://mail.example.org/owa")),
            ("HTTPS://ex01/owa", Some("https://mail.example.org/owa")),
            ("https://mail.example.org@ex01/owa", Some("https://mail.example.org/owa")),
            ("http://mail.example.org/owa", Some("https://mail.example.org/owa")),
            ("https://mail.example.org/owa/auth/logon.aspx?url=https%3a%2f%2fmail.example.org", None),
            ("/owa/", None),
            ("logon.aspx", None),
        ] {
            let want = want.map_or(Rewritten::Keep, |text| Rewritten::Replace(text.to_owned()));
            assert_eq!(location(value, "mail.example.org", &served()), want, "{value}");
        }
        assert_eq!(location("javascript:x", "mail.example.org", &served()), Rewritten::Drop);
    }

    #[test]
    fn a_realm_names_no_inner_server() {
        let rewritten = |value| realm(value, "mail.example.org", &served());
        assert_eq!(
            rewritten("Basic realm=\"10.0.0.5\""),
            Rewritten::Replace("Basic realm=\"mail.example.org\"".into())
        );
        assert_eq!(
            rewritten("Basic Realm=\"ex01.corp\", charset=\"UTF-8\""),
            Rewritten::Replace("Basic realm=\"mail.example.org\", charset=\"UTF-8\"".into())
        );
        assert_eq!(rewritten("Basic realm=\"mail.example.org\""), Rewritten::Keep);
        assert_eq!(rewritten("Basic realm=\"Company Mail\""), Rewritten::Keep);
        assert_eq!(rewritten("Negotiate"), Rewritten::Keep);
        assert_eq!(rewritten("Basic realm=\"ex01"), Rewritten::Drop);
    }

    #[test]
    fn version_fields_go_unless_the_operator_keeps_them() {
        assert!(is_dropped("server", &[]) && is_dropped("x-feserver", &[]));
        assert!(!is_dropped("x-owa-version", &["x-owa-version".to_owned()]));
        assert!(!is_dropped("x-serverapplication", &[]), "MAPI clients read it");
    }

    #[test]
    fn hsts_is_written_as_rfc_6797_has_it() {
        let hsts =
            StrictTransportSecurity { max_age_seconds: 31_536_000, include_subdomains: true, preload: false };
        assert_eq!(hsts.value(), "max-age=31536000; includeSubDomains");
    }
}
