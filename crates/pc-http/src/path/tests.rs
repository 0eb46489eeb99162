use super::*;

fn normal(path: &str) -> Result<String, PathFault> {
    NormalPath::new(path, None).map(|path| path.as_str().to_owned())
}

#[test]
fn every_spelling_comes_to_one_form() {
    for (path, form) in [
        ("/", "/"),
        ("/owa", "/owa"),
        ("/OWA/", "/owa/"),
        ("/%6fwa/auth", "/owa/auth"),
        ("/%256fwa/auth", "/owa/auth"),
        ("/owa//auth///logon.aspx", "/owa/auth/logon.aspx"),
        ("/owa\\auth", "/owa/auth"),
        ("/owa%5cauth", "/owa/auth"),
        ("/x/../owa/./auth/.", "/owa/auth"),
        ("/x/%2e%2e/owa", "/owa"),
        ("/x/..%2fowa", "/owa"),
        ("/owa;a=b/auth;c", "/owa/auth"),
        ("/owa/100%25", "/owa/100%"),
        ("/oab/\u{c4}", "/oab/\u{e4}"),
    ] {
        assert_eq!(normal(path).as_deref(), Ok(form), "{path}");
    }
}

#[test]
fn what_has_no_form_is_refused() {
    for (path, fault) in [
        ("owa", PathFault::NotAbsolute),
        ("*", PathFault::NotAbsolute),
        ("/owa%", PathFault::BrokenEscape),
        ("/owa%zz", PathFault::BrokenEscape),
        ("/%25256fwa", PathFault::EncodedTooOften),
        ("/..", PathFault::LeadsOut),
        ("/owa/../../ecp", PathFault::LeadsOut),
        ("/owa%00.js", PathFault::ControlOctet),
        ("/owa%0d%0ax", PathFault::ControlOctet),
        ("/owa%c0%afecp", PathFault::NotUtf8),
        ("/owa%ff", PathFault::NotUtf8),
    ] {
        assert_eq!(normal(path), Err(fault), "{path}");
    }
}

#[test]
fn the_form_of_a_form_is_itself() {
    let mut state = 1_u64;
    let alphabet =
        ["/", "..", ".", "%2e", "%2f", "%25", "\\", ";", "a", "B", "%41", "owa", "%", "=", "\u{e4}"];
    let mut formed = 0;
    for _ in 0..20_000 {
        let mut path = "/".to_owned();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            path.push_str(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        let Ok(form) = normal(&path) else { continue };
        formed += 1;
        assert!(
            form.starts_with('/') && !form.contains("//") && !form.contains(['\\', ';']),
            "{path}: {form}"
        );
        assert!(!form.split('/').any(|segment| segment == ".." || segment == "."), "{path}: {form}");
        // A percent sign that was itself encoded stands for itself.
        if !form.contains('%') {
            assert_eq!(normal(&form).as_deref(), Ok(form.as_str()), "{path}");
        }
    }
    assert!(formed > 5_000, "{formed}");
}

#[test]
fn the_directory_is_the_first_segment() {
    assert_eq!(
        NormalPath::new("/Microsoft-Server-ActiveSync/default.eas", None).unwrap().directory(),
        "microsoft-server-activesync"
    );
    assert_eq!(NormalPath::new("/", None).unwrap().directory(), "");
    assert_eq!(raw_directory("/OWA/x"), "OWA");
}

#[test]
fn a_query_is_decoded_and_never_refused() {
    let path = NormalPath::new("/a", Some("Email=autodiscover%2FAutodiscover.json%253F%40x&b=%zz")).unwrap();
    assert_eq!(path.query(), "email=autodiscover%2fautodiscover.json%253f%40x&b=%zz");
    let path = NormalPath::new("/a", Some("Email=autodiscover%2FAutodiscover.json%253F")).unwrap();
    assert_eq!(path.query(), "email=autodiscover/autodiscover.json?");
}
