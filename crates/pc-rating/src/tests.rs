use super::*;

/// Ours on HTTPS: P-256, both versions, six suites, HSTS for a year.
fn ours() -> Facts {
    let suite = |code: u16| *KNOWN_SUITES.iter().find(|suite| suite.code == code).expect("a known suite");
    Facts {
        versions: Version::ALL
            .iter()
            .map(|version| (*version, if *version >= Version::Tls12 { Seen::Yes } else { Seen::No }))
            .collect(),
        suites: vec![
            (Version::Tls13, suite(0x1302)),
            (Version::Tls13, suite(0x1301)),
            (Version::Tls12, suite(0xc02c)),
            (Version::Tls12, suite(0xc02b)),
        ],
        suites_complete: true,
        groups: vec!["x25519"],
        server_order: Seen::Yes,
        compression: Seen::No,
        fallback_protection: Seen::Yes,
        secure_renegotiation: Seen::Yes,
        resumption: Seen::Yes,
        ocsp_stapled: Seen::No,
        certificate: Some(Certificate {
            key: Key::Ec(256),
            trust: Trust::Trusted,
            has_weak_signature: false,
            summary: "edge.example.org".to_owned(),
            has_ocsp_address: false,
            issuer: None,
            is_self_signed: false,
        }),
        service: Service::Https { hsts_seconds: Some(31_536_000) },
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Rating {
    let mut facts = ours();
    change(&mut facts);
    rate(&facts)
}

fn shown(rating: &Rating) -> (String, String) {
    let score = rating.score.map_or("none".to_owned(), |score| score.to_string());
    (score, rating.grade.map_or("none".to_owned(), |grade| grade.to_string()))
}

fn set_version(facts: &mut Facts, version: Version, found: Seen) {
    for (known, seen) in &mut facts.versions {
        if *known == version {
            *seen = found;
        }
    }
}

fn set_key(facts: &mut Facts, key: Key) {
    if let Some(certificate) = &mut facts.certificate {
        certificate.key = key;
    }
}

fn set_trust(facts: &mut Facts, trust: Trust) {
    if let Some(certificate) = &mut facts.certificate {
        certificate.trust = trust;
    }
}

fn add_suite(facts: &mut Facts, version: Version, code: u16) {
    facts
        .suites
        .extend(KNOWN_SUITES.iter().filter(|suite| suite.code == code).map(|suite| (version, *suite)));
}

#[test]
fn the_arithmetic_is_that_of_the_rating_guide() {
    let table: Vec<(Rating, &str, &str)> = vec![
        (with(|_| {}), "30 + 30 + 36 = 96", "A+"),
        (with(|facts| set_key(facts, Key::Rsa(2048))), "30 + 27 + 36 = 93", "A+"),
        (with(|facts| set_key(facts, Key::Rsa(4096))), "30 + 30 + 36 = 96", "A+"),
        (with(|facts| set_key(facts, Key::Rsa(1024))), "30 + 24 + 36 = 90", "B"),
        (with(|facts| set_key(facts, Key::Rsa(768))), "30 + 12 + 36 = 78", "F"),
        (with(|facts| set_version(facts, Version::Tls10, Seen::Yes)), "28.5 + 30 + 36 = 94", "B"),
        (with(|facts| set_version(facts, Version::Tls11, Seen::Yes)), "29.25 + 30 + 36 = 95", "B"),
        (with(|facts| set_version(facts, Version::Ssl3, Seen::Yes)), "27 + 30 + 36 = 93", "B"),
        (with(|facts| add_suite(facts, Version::Tls12, 0x000a)), "30 + 30 + 24 = 84", "C"),
        (with(|facts| add_suite(facts, Version::Tls12, 0x0005)), "30 + 30 + 36 = 96", "C"),
        (with(|facts| add_suite(facts, Version::Tls12, 0x0003)), "30 + 30 + 24 = 84", "F"),
        (with(|facts| facts.compression = Seen::Yes), "30 + 30 + 36 = 96", "C"),
        (with(|facts| set_version(facts, Version::Tls13, Seen::No)), "30 + 30 + 36 = 96", "A-"),
        (with(|facts| facts.service = Service::Https { hsts_seconds: None }), "30 + 30 + 36 = 96", "A"),
        (with(|facts| facts.service = Service::Https { hsts_seconds: Some(60) }), "30 + 30 + 36 = 96", "A-"),
        (with(|facts| facts.service = Service::Mail), "30 + 30 + 36 = 96", "A"),
        (with(|facts| set_trust(facts, Trust::Untrusted("self-made".into()))), "30 + 30 + 36 = 96", "T"),
        (with(|facts| set_trust(facts, Trust::WrongName("other".into()))), "30 + 30 + 36 = 96", "M"),
        (with(|facts| facts.certificate = None), "none", "none"),
    ];
    for (rating, score, grade) in &table {
        assert_eq!(shown(rating), ((*score).to_owned(), (*grade).to_owned()), "{:?}", rating.reasons);
    }
}

#[test]
fn without_tls_1_2_and_1_3_it_is_a_c_at_best_and_poodle_too() {
    let rating = with(|facts| {
        set_version(facts, Version::Tls12, Seen::No);
        set_version(facts, Version::Tls13, Seen::No);
        set_version(facts, Version::Tls11, Seen::Yes);
    });
    assert_eq!(rating.grade, Some(Grade::C));
    let rating = with(|facts| {
        set_version(facts, Version::Ssl3, Seen::Yes);
        add_suite(facts, Version::Ssl3, 0x002f);
    });
    assert_eq!(rating.grade, Some(Grade::C), "{:?}", rating.reasons);
}

#[test]
fn what_was_not_seen_is_not_tested_and_does_not_meet_the_standard() {
    assert!(with(|_| {}).meets_standard());
    assert!(with(|facts| facts.service = Service::Mail).meets_standard(), "HSTS does not apply to mail");
    let unknown: [fn(&mut Facts); 7] = [
        |facts| facts.service = Service::Unknown,
        |facts| set_version(facts, Version::Tls10, Seen::Unknown),
        |facts| facts.suites_complete = false,
        |facts| facts.server_order = Seen::Unknown,
        |facts| facts.compression = Seen::Unknown,
        |facts| facts.fallback_protection = Seen::Unknown,
        |facts| facts.certificate = None,
    ];
    for change in unknown {
        let rating = with(change);
        assert!(!rating.meets_standard());
        assert!(rating.items.iter().any(|item| item.finding == Finding::NotTested));
        assert!(rating.items.iter().all(|item| item.finding != Finding::Fail), "{:?}", rating.items);
    }
}

#[test]
fn one_foreign_suite_fails_the_standard_and_is_named() {
    let rating = with(|facts| add_suite(facts, Version::Tls12, 0xcca9));
    assert!(!rating.meets_standard());
    let suites = rating.items.iter().find(|item| item.section == "2.3").expect("an item for suites");
    assert_eq!(suites.finding, Finding::Fail);
    assert!(suites.detail.contains("CHACHA20"), "{}", suites.detail);
}
