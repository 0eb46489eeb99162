//! # Purpose
//! What cookies of OWA and the control panel must say, so that browsers send them by TLS only.
//!
//! # Standards
//! RFC 6265 5.2 (attributes), 5.2.5 (Secure). SSL Labs' best practices 4.4 ask for Secure. HttpOnly is not added: OWA's script reads its
//! canary. Nor is SameSite: a federated sign-in comes back as a POST from another site and needs the cookies of before.
//!
//! # Invariants
//! Octets that came go on as they came: Exchange's values are not to be encoded anew. What a cookie says of itself stands.

/// One Set-Cookie value with Secure where it lacks that; `None` where it has it.
pub fn hardened(value: &[u8]) -> Option<Vec<u8>> {
    let attributes = value.split(|octet| *octet == b';').skip(1);
    let mut names = attributes.map(|attribute| attribute.split(|octet| *octet == b'=').next());
    let is_secure =
        names.any(|name| name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"secure")));
    (!is_secure).then(|| [value, b"; Secure"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Option<String> {
        hardened(value.as_bytes()).map(|octets| String::from_utf8(octets).unwrap())
    }

    #[test]
    fn what_a_cookie_lacks_is_added_and_what_it_says_stands() {
        for (value, want) in [
            ("cadata=a+b/c==; HttpOnly; path=/", "cadata=a+b/c==; HttpOnly; path=/; Secure"),
            ("OpenIdConnect.nonce=x; SameSite=None", "OpenIdConnect.nonce=x; SameSite=None; Secure"),
            ("secure=samesite", "secure=samesite; Secure"),
            ("ClientId=AB;", "ClientId=AB;; Secure"),
            ("", "; Secure"),
        ] {
            assert_eq!(shown(value).as_deref(), Some(want), "{value}");
        }
        for value in ["X-OWA-CANARY=x; path=/; secure", "a=b;SECURE;samesite = none", "a=b; secure=x"] {
            assert_eq!(shown(value), None, "{value}");
        }
        assert_eq!(hardened(b"a=\xff").unwrap(), b"a=\xff; Secure");
    }

    #[test]
    fn a_second_time_changes_nothing() {
        for value in ["a=b", "a=b; path=/", "a", ";;"] {
            let once = hardened(value.as_bytes()).unwrap();
            assert_eq!(hardened(&once), None, "{value}");
        }
    }
}
