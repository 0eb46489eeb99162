use super::*;

fn served() -> ServedNames {
    ServedNames::new([
        ("mail.example.org".to_owned(), 0),
        ("autodiscover.example.org".to_owned(), 0),
        ("eu.example.net".to_owned(), 1),
    ])
}

fn decide_by(
    version: Version,
    fields: &[&str],
    authority: Option<&str>,
    server_name: Option<&str>,
) -> HostDecision {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    decide(&HostClaim { version, fields: &fields, authority, server_name, port: 8443 }, &served())
}

fn http11(fields: &[&str]) -> HostDecision {
    decide_by(Version::Http11, fields, None, Some("mail.example.org"))
}

#[test]
fn a_served_name_in_any_form_is_its_site() {
    let site = HostDecision::Site(0, "mail.example.org".to_owned());
    for host in [
        "mail.example.org",
        "MAIL.Example.ORG",
        "mail.example.org.",
        "mail.example.org:443",
        "mail.example.org:8443",
    ] {
        assert_eq!(http11(&[host]), site, "{host}");
    }
    assert_eq!(decide_by(Version::Http2, &[], Some("mail.example.org"), Some("mail.example.org")), site);
    assert_eq!(decide_by(Version::Http10, &["mail.example.org"], None, None), site, "without SNI");
    assert_eq!(
        decide_by(Version::Http11, &["mail.example.org"], Some("mail.example.org:443"), None),
        site,
        "absolute form"
    );
}

#[test]
fn a_host_that_is_not_served_is_cut_without_a_byte() {
    for host in [
        "",
        "192.0.2.1",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "other.example.org",
        "mail.example.org:80",
        "xmail.example.org",
        "localhost",
    ] {
        assert!(matches!(http11(&[host]), HostDecision::Abort(_)), "{host}: {:?}", http11(&[host]));
    }
    for version in [Version::Http10, Version::Http11, Version::Http2] {
        assert_eq!(decide_by(version, &[], None, None), HostDecision::Abort(HostFault::Missing));
    }
    assert_eq!(
        decide_by(Version::Http2, &["mail.example.org"], None, None),
        HostDecision::Abort(HostFault::Missing)
    );
    assert_eq!(
        decide_by(Version::Http11, &[], Some("mail.example.org"), None),
        HostDecision::Abort(HostFault::Missing)
    );
}

#[test]
fn a_malformed_or_doubled_host_is_answered_400() {
    for host in [
        "a@mail.example.org",
        "mail.example.org/owa",
        "mail.example.org,x",
        "mail.example.org x",
        "mail.example.org:",
        "mail.example.org:44a",
        ":443",
        "mail.example.org:443:443",
        "m\u{e4}il.example.org",
    ] {
        let want = if host == "mail.example.org:" {
            HostDecision::Abort(HostFault::Unknown)
        } else {
            HostDecision::BadRequest(HostFault::Malformed)
        };
        assert_eq!(http11(&[host]), want, "{host}");
    }
    let twice = ["mail.example.org", "mail.example.org"];
    assert_eq!(http11(&twice), HostDecision::BadRequest(HostFault::Repeated));
    assert_eq!(
        decide_by(Version::Http11, &["mail.example.org"], Some("eu.example.net"), None),
        HostDecision::BadRequest(HostFault::Ambiguous)
    );
}

#[test]
fn a_host_other_than_the_name_of_the_handshake_is_misdirected() {
    assert_eq!(http11(&["eu.example.net"]), HostDecision::Misdirected);
    // Also where both names are of one site: the browser may have joined connections.
    assert_eq!(http11(&["autodiscover.example.org"]), HostDecision::Misdirected);
}
