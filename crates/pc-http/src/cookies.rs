//! # Purpose
//! What cookies of OWA and the control panel must say, so that browsers send them by TLS only and not with what other sites ask for.
//!
//! # Standards
//! RFC 6265 5.2 (attributes), 5.2.5 (Secure); draft-ietf-httpbis-rfc6265bis 5.6.7 (SameSite). SSL Labs' best practices 4.4 ask for
//! Secure. HttpOnly is not added: OWA's script reads its canary.
//!
//! # Invariants
//! Octets that came go on as they came: Exchange's values are not to be encoded anew. What a cookie says of itself stands.

/// Chromium takes a cookie that says nothing for Lax; Firefox and Safari send it along with whatever another site asks for.
const LAX: &[u8] = b"; SameSite=Lax";
const SECURE: &[u8] = b"; Secure";

/// One Set-Cookie value with Secure and SameSite where it lacks them; `None` where it has both.
pub fn hardened(value: &[u8]) -> Option<Vec<u8>> {
    let has = |wanted: &[u8]| {
        let attributes = value.split(|octet| *octet == b';').skip(1);
        let mut names = attributes.map(|attribute| attribute.split(|octet| *octet == b'=').next());
        names.any(|name| name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(wanted)))
    };
    let missing: Vec<&[u8]> = [(&b"secure"[..], SECURE), (b"samesite", LAX)]
        .iter()
        .filter(|(name, _)| !has(name))
        .map(|(_, text)| *text)
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some([value, &missing.concat()].concat())
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
            ("cadata=a+b/c==; HttpOnly; path=/", "cadata=a+b/c==; HttpOnly; path=/; Secure; SameSite=Lax"),
            ("X-OWA-CANARY=x; path=/; secure", "X-OWA-CANARY=x; path=/; secure; SameSite=Lax"),
            ("OpenIdConnect.nonce=x; SameSite=None", "OpenIdConnect.nonce=x; SameSite=None; Secure"),
            ("secure=samesite", "secure=samesite; Secure; SameSite=Lax"),
            ("ClientId=AB;", "ClientId=AB;; Secure; SameSite=Lax"),
            ("", "; Secure; SameSite=Lax"),
        ] {
            assert_eq!(shown(value).as_deref(), Some(want), "{value}");
        }
        for value in ["a=b; Secure; SameSite=Strict", "a=b;SECURE;samesite = none", "a=b; secure=x; SameSite"]
        {
            assert_eq!(shown(value), None, "{value}");
        }
        assert_eq!(hardened(b"a=\xff").unwrap(), b"a=\xff; Secure; SameSite=Lax");
    }

    #[test]
    fn a_second_time_changes_nothing() {
        for value in ["a=b", "a=b; path=/; secure", "a", ";;"] {
            let once = hardened(value.as_bytes()).unwrap();
            assert_eq!(hardened(&once), None, "{value}");
        }
    }
}
