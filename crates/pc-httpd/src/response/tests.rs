use super::*;

fn hsts() -> Hsts {
    Hsts::new(&StrictTransportSecurity { max_age_seconds: 300, include_subdomains: false, preload: false })
}

fn fitted(fields: &[(&'static str, &str)], directory: Directory) -> Parts {
    let (mut parts, ()) = hyper::Response::new(()).into_parts();
    for (name, value) in fields {
        parts.headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let served = ServedNames::new([("mail.example.org".to_owned(), 0)]);
    let fitting = Fitting {
        asked_for: "mail.example.org",
        served: &served,
        directory,
        fields_kept: &[],
        changes: &[],
        hsts: &hsts(),
    };
    fit(&mut parts, &fitting);
    parts
}

fn values<'a>(parts: &'a Parts, name: &str) -> Vec<&'a str> {
    parts.headers.get_all(name).into_iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn hop_by_hop_fields_and_those_that_connection_names_end_here() {
    let parts = fitted(
        &[("connection", "close, x-inner"), ("x-inner", "1"), ("keep-alive", "timeout=5"), ("x-kept", "2")],
        Directory::Ews,
    );
    for name in ["connection", "x-inner", "keep-alive"] {
        assert_eq!(values(&parts, name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(values(&parts, "x-kept"), ["2"]);
}

#[test]
fn hsts_of_the_server_gives_way_to_ours() {
    let parts = fitted(
        &[("strict-transport-security", "max-age=1"), ("strict-transport-security", "max-age=0")],
        Directory::Owa,
    );
    assert_eq!(values(&parts, "strict-transport-security"), ["max-age=300"]);
}

#[test]
fn a_policy_of_owa_itself_is_kept() {
    let parts = fitted(&[("content-security-policy", "default-src 'self'")], Directory::Owa);
    assert_eq!(values(&parts, "content-security-policy"), ["default-src 'self'"]);
}

#[test]
fn cookies_of_owa_and_the_control_panel_are_for_tls() {
    let cookies =
        [("set-cookie", "cadata=x; HttpOnly"), ("set-cookie", "ClientId=AB; Secure; SameSite=None")];
    for directory in [Directory::Owa, Directory::Ecp] {
        let parts = fitted(&cookies, directory);
        let want = ["cadata=x; HttpOnly; Secure", "ClientId=AB; Secure; SameSite=None"];
        assert_eq!(values(&parts, "set-cookie"), want, "{directory:?}");
    }
    let parts = fitted(&cookies, Directory::Mapi);
    assert_eq!(values(&parts, "set-cookie"), ["cadata=x; HttpOnly", "ClientId=AB; Secure; SameSite=None"]);
}

#[test]
fn the_end_of_the_connection_behind_is_seen() {
    let ends = |version, fields: &[(&'static str, &str)]| {
        let (mut parts, ()) = hyper::Response::new(()).into_parts();
        parts.version = version;
        for (name, value) in fields {
            parts.headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        ends_connection(&parts)
    };
    assert!(!ends(Version::HTTP_11, &[]));
    assert!(ends(Version::HTTP_11, &[("connection", "x, Close")]));
    assert!(ends(Version::HTTP_10, &[]));
    assert!(!ends(Version::HTTP_10, &[("connection", "Keep-Alive")]));
}
