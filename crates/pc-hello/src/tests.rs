use super::page::{FITS, Negotiated, Other, Page, wants_json};
use super::product::guess;
use super::*;

fn old(suites: &[u16]) -> Offer {
    Offer { record_version: 0x0301, hello_version: 0x0301, suites: suites.to_vec(), ..Offer::default() }
}

fn windows_2012_r2() -> Offer {
    Offer {
        record_version: 0x0303,
        hello_version: 0x0303,
        suites: vec![
            0xc028, 0xc027, 0xc014, 0xc013, 0x009f, 0x009e, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f,
            0xc02c, 0xc02b, 0xc024, 0xc023, 0xc00a, 0xc009, 0x0040, 0x0038, 0x0032, 0x000a,
        ],
        groups: vec![0x0017, 0x0018],
        signature_algorithms: vec![0x0401, 0x0403, 0x0201, 0x0203],
        extensions: vec![0, 5, 10, 11, 13, 35, 23, 65281],
        server_name: Some("mail.example.org".to_owned()),
        ..Offer::default()
    }
}

#[test]
fn orders_of_suites_tell_products_apart() {
    for (code, offer) in [
        (
            "schannel_xp",
            old(&[0x0004, 0x0005, 0x000a, 0x0009, 0x0064, 0x0062, 0x0003, 0x0006, 0x0013, 0x0012, 0x0063]),
        ),
        (
            "schannel_7_tls10",
            old(&[
                0x002f, 0x0035, 0x0005, 0x000a, 0xc013, 0xc014, 0xc009, 0xc00a, 0x0032, 0x0038, 0x0013,
                0x0004,
            ]),
        ),
        (
            "schannel_7_tls10",
            old(&[
                0x002f, 0x0035, 0x0005, 0x000a, 0xc009, 0xc00a, 0xc013, 0xc014, 0x0032, 0x0038, 0x0013,
                0x0004,
            ]),
        ),
        (
            "schannel_7_8_tls10",
            old(&[0xc014, 0xc013, 0x0035, 0x002f, 0xc00a, 0xc009, 0x0038, 0x0032, 0x000a, 0x0013]),
        ),
        ("schannel_81_tls12", windows_2012_r2()),
        (
            "java_7",
            old(&[0xc009, 0xc013, 0x002f, 0xc004, 0xc00e, 0x0033, 0x0032, 0xc007, 0xc011, 0x0005, 0x00ff]),
        ),
        (
            "java_6_android_2",
            old(&[0x0004, 0x0005, 0x002f, 0x0033, 0x0032, 0x000a, 0x0016, 0x0013, 0x0009, 0x00ff]),
        ),
        (
            "openssl_098",
            old(&[0x0039, 0x0038, 0x0035, 0x0016, 0x0013, 0x000a, 0x0033, 0x0032, 0x002f, 0x00ff]),
        ),
        ("openssl_101_tls10", old(&[0xc014, 0xc00a, 0xc022, 0xc021, 0x0039, 0x0038, 0x00ff])),
    ] {
        assert_eq!(guess(&offer).map(|product| product.code), Some(code), "{:04x?}", offer.suites);
    }
    assert_eq!(guess(&old(&[0x0005])), None, "too little to tell");
}

#[test]
fn server_2012_r2_hears_that_its_suites_are_for_ecdsa_certificates_only() {
    let verdict = verdict(Some(&windows_2012_r2()), Some("no_common_suite"));
    assert_eq!(verdict.fit, Fit::Refused);
    assert!(verdict.reasons[0].contains("only for ECDSA certificates"), "{:?}", verdict.reasons);
    assert!(verdict.remedy.contains("Windows Server 2016"), "{}", verdict.remedy);
}

#[test]
fn each_refusal_has_a_reason_and_a_remedy() {
    let codes = [
        "old_version",
        "no_common_suite",
        "fallback_scsv",
        "ssl_v2",
        "malformed",
        "not_tls",
        "handshake",
        "timeout",
        "too_large",
    ];
    for code in codes {
        for offer in [None, Some(&windows_2012_r2()), Some(&old(&[0x0005]))] {
            let verdict = verdict(offer, Some(code));
            assert!(matches!(verdict.fit, Fit::Refused | Fit::Unknown), "{code}");
            assert!(!verdict.reasons.is_empty() && !verdict.remedy.is_empty(), "{code}");
        }
    }
}

#[test]
fn tls_1_3_is_good_and_tls_1_2_alone_is_dated() {
    let mut offer = windows_2012_r2();
    assert_eq!(verdict(Some(&offer), None).fit, Fit::Dated);
    offer.versions = vec![0x0304, 0x0303];
    let good = verdict(Some(&offer), None);
    assert_eq!((good.fit, good.remedy.as_str()), (Fit::Good, ""));
}

#[test]
fn grease_is_neither_version_nor_suite() {
    let offer =
        Offer { versions: vec![0x7a7a, 0x0303, 0x0304], suites: vec![0x1a1a, 0x1301], ..Offer::default() };
    assert_eq!(offer.newest_version(), 0x0304);
    assert_eq!(offer.offered_versions(), [0x0304, 0x0303]);
    assert!(offer.has_grease());
    assert_eq!(offer.standard_suites(), [0x1301]);
}

#[test]
fn an_offer_is_cut_to_its_limits() {
    let offer =
        Offer { suites: (0..5000).collect(), protocols: vec!["x".to_owned(); 900], ..Offer::default() }
            .bounded();
    assert_eq!((offer.suites.len(), offer.protocols.len()), (limits::LIST_VALUES_MAX, limits::PROTOCOLS_MAX));
    assert!(protocol_text(&[b'a'; 500]).len() < 80);
    assert_eq!(protocol_text(b"h\r\n"), "h\\x0d\\x0a");
}

fn page_of<'a>(offer: &'a Offer, others: &'a [Other]) -> Page<'a> {
    Page {
        now: "2026-11-25T12:00:00Z".parse().unwrap(),
        address: "192.0.2.7".to_owned(),
        offer,
        negotiated: Negotiated { version: "TLSv1.2".to_owned(), ..Negotiated::default() },
        others,
        test_ports: ("mail.example.org", &[8443]),
    }
}

#[test]
fn the_page_escapes_what_a_client_says() {
    let mut offer = windows_2012_r2();
    offer.protocols = vec!["<script>alert(1)</script>".to_owned()];
    offer.server_name = Some("\"><b>".to_owned());
    let others = [Other {
        seen_at: "2026-11-25T11:30:00Z".parse().unwrap(),
        count: 2,
        refusal: "old_version".into(),
        offer: Some(offer.clone()),
    }];
    let html = page_of(&offer, &others).html();
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&lt;script&gt;") && html.contains("2026-11-25 11:30, 2 times"), "{html}");
}

#[test]
fn the_page_tells_the_same_as_data() {
    let offer = windows_2012_r2();
    let others = [Other {
        seen_at: "2026-11-25T11:30:00Z".parse().unwrap(),
        count: 1,
        refusal: FITS.into(),
        offer: None,
    }];
    let value = page_of(&offer, &others).json();
    assert_eq!(value["offered"]["suites"][0]["name"], "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384");
    assert_eq!(value["offered"]["suites"][0]["class"], "cbc");
    assert_eq!(value["verdict"]["fit"], "dated");
    assert_eq!(value["verdict"]["guess"]["code"], "schannel_81_tls12");
    assert_eq!(value["others_at_this_address"][0]["refusal"], serde_json::Value::Null);
}

#[test]
fn accept_decides_between_html_and_json() {
    for (accept, json) in [
        (&["application/json"][..], true),
        (&["*/*"], false),
        (&[], false),
        (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], false),
        (&["text/html;q=0.5, application/json;q=0.9"], true),
        (&["text/html;q=0.5", "Application/JSON; q=0.501"], true),
        (&["application/json;q=0"], false),
        (&["application/json;q=x"], false),
    ] {
        assert_eq!(wants_json(accept.iter().copied()), json, "{accept:?}");
    }
}
