//! # Purpose
//! What a request in HTTP/2 must be beyond what the library for it checks, so that it means the same once it goes on in HTTP/1.1;
//! and which requests and answers have no place in HTTP/2.
//!
//! # Trust
//! Requests are the client's; the library has refused connection-specific fields, upper-case names, doubled pseudo-fields and octets
//! that no value may have.
//!
//! # Standards
//! RFC 9113 8.1.1 (malformed requests), 8.2 (fields), 8.3.1 (pseudo-fields), 7 (HTTP_1_1_REQUIRED); MS-NTHT and MS-N2HT: NTLM and
//! Negotiate log in a connection, which in HTTP/2 is not theirs alone.
//!
//! # Invariants
//! A login that speaks for a connection never reaches a server from a stream.

use crate::fields::is_connection_bound;
use crate::framing::{Violation, content_length, is_target};
use crate::limits::{FIELDS_MAX, REQUEST_LINE_OCTETS_MAX};
use crate::policy::Directory;

/// The beginning of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:scheme`; the library keeps it only beside an authority.
    pub scheme: Option<&'a str>,
    /// `:path`.
    pub target: &'a str,
    /// In lower case, with their values.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// No body follows.
    pub is_whole: bool,
}

/// The same checks that [`crate::framing`] makes on the octets of HTTP/1.
///
/// # Errors
/// The first violation. The stream is answered and the connection ends.
pub fn check(head: &Head<'_>) -> Result<(), Violation> {
    if head.target.len() > REQUEST_LINE_OCTETS_MAX {
        return Err(Violation::RequestLineTooLong);
    }
    if !is_target(head.target.as_bytes()) || head.scheme.is_some_and(|scheme| scheme != "https") {
        return Err(Violation::RequestLine);
    }
    if head.fields.len() > FIELDS_MAX {
        return Err(Violation::HeaderTooLarge);
    }
    let mut length = None;
    for (name, value) in head.fields {
        // RFC 9113 8.2.1.
        if value.trim_ascii().len() != value.len() {
            return Err(Violation::Field);
        }
        if *name == "content-length" && length.replace(content_length(value)?).is_some() {
            return Err(Violation::ContentLength);
        }
    }
    if matches!(head.method, "GET" | "HEAD") && (!head.is_whole || length.is_some_and(|octets| octets > 0)) {
        return Err(Violation::BodyOfGet);
    }
    Ok(())
}

/// Whether a client has to ask again in HTTP/1.1, with the reason for the log.
pub fn needs_http1<'a>(
    directory: Directory,
    authorization: impl IntoIterator<Item = &'a [u8]>,
) -> Option<&'static str> {
    match directory {
        // A channel of RPC is a connection of its own; a session of MAPI has its cookies and its place in an order; PowerShell
        // logs connections in.
        Directory::Rpc | Directory::Mapi | Directory::PowerShell => Some("http1_directory"),
        _ if authorization.into_iter().any(is_connection_bound) => Some("http1_login"),
        _ => None,
    }
}

/// What becomes of an answer's offers of logins, all WWW-Authenticate fields of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offers {
    /// None speaks for a connection.
    Unchanged,
    /// These stay, by place.
    Only(Vec<usize>),
    /// None is left that works in HTTP/2: the client has to ask again in HTTP/1.1.
    NeedHttp1,
}

/// Judges the offers of an answer.
pub fn offers<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Offers {
    let values: Vec<&[u8]> = values.into_iter().collect();
    let stays = |value: &&[u8]| !value.split(|octet| *octet == b',').any(is_connection_bound);
    let kept: Vec<usize> =
        values.iter().enumerate().filter(|(_, value)| stays(value)).map(|(place, _)| place).collect();
    match kept.len() {
        count if count == values.len() => Offers::Unchanged,
        0 => Offers::NeedHttp1,
        _ => Offers::Only(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(target: &'a str, fields: &'a [(&'a str, &'a [u8])]) -> Head<'a> {
        Head { method: "GET", scheme: Some("https"), target, fields, is_whole: true }
    }

    #[test]
    fn what_http_1_refuses_is_refused() {
        let fields: [(&str, &[u8]); 2] = [("accept", b"*/*"), ("content-length", b"0")];
        assert_eq!(check(&get("/owa/", &fields)), Ok(()));
        assert_eq!(check(&Head { scheme: None, ..get("/owa/", &[]) }), Ok(()));
        for target in ["/owa/<x>", "/owa\\x", "/owa/#x", "/ow\u{e4}", ""] {
            assert_eq!(check(&get(target, &[])), Err(Violation::RequestLine), "{target}");
        }
        let long = format!("/{}", "a".repeat(REQUEST_LINE_OCTETS_MAX));
        assert_eq!(check(&get(&long, &[])), Err(Violation::RequestLineTooLong));
        assert_eq!(check(&Head { scheme: Some("http"), ..get("/owa/", &[]) }), Err(Violation::RequestLine));
        let many = vec![("x", &b"y"[..]); FIELDS_MAX + 1];
        assert_eq!(check(&get("/owa/", &many)), Err(Violation::HeaderTooLarge));
        for value in [&b" y"[..], b"y\t"] {
            assert_eq!(check(&get("/owa/", &[("x", value)])), Err(Violation::Field));
        }
    }

    #[test]
    fn a_length_is_one_plain_number_and_get_has_no_body() {
        let post = |fields| Head { method: "POST", is_whole: false, ..get("/ews/x", fields) };
        assert_eq!(check(&post(&[("content-length", b"12")])), Ok(()));
        for fields in [
            &[("content-length", &b"012"[..])][..],
            &[("content-length", b"+1")],
            &[("content-length", b"1"), ("content-length", b"1")],
        ] {
            assert_eq!(check(&post(fields)), Err(Violation::ContentLength), "{fields:?}");
        }
        for head in [
            get("/owa/", &[("content-length", b"1")]),
            Head { is_whole: false, ..get("/owa/", &[]) },
            Head { method: "HEAD", is_whole: false, ..get("/owa/", &[]) },
        ] {
            assert_eq!(check(&head), Err(Violation::BodyOfGet), "{head:?}");
        }
    }

    #[test]
    fn logins_of_a_connection_and_protocols_of_one_go_to_http_1() {
        let login = |value: &'static str| needs_http1(Directory::Ews, [value.as_bytes()]);
        for value in ["NTLM TlRMTVNTUAAB", "negotiate YII=", "  NTLM x"] {
            assert_eq!(login(value), Some("http1_login"), "{value}");
        }
        for value in ["Basic QQ==", "Bearer x", ""] {
            assert_eq!(login(value), None, "{value}");
        }
        assert_eq!(needs_http1(Directory::Owa, [&b"Basic x"[..], b"NTLM y"]), Some("http1_login"));
        for directory in [Directory::Rpc, Directory::Mapi, Directory::PowerShell] {
            assert_eq!(needs_http1(directory, []), Some("http1_directory"));
        }
        assert_eq!(needs_http1(Directory::Owa, []), None);
    }

    #[test]
    fn offers_that_cannot_work_are_left_out_and_without_another_http_1_is_needed() {
        let judge = |values: &[&'static str]| offers(values.iter().map(|value| value.as_bytes()));
        assert_eq!(judge(&[]), Offers::Unchanged);
        assert_eq!(judge(&["Basic realm=\"x\"", "Bearer"]), Offers::Unchanged);
        assert_eq!(judge(&["Negotiate", "NTLM", "Basic realm=\"x\""]), Offers::Only(vec![2]));
        assert_eq!(judge(&["Negotiate", "NTLM"]), Offers::NeedHttp1);
        assert_eq!(judge(&["Basic realm=\"x\", NTLM"]), Offers::NeedHttp1, "one field with both");
    }
}
