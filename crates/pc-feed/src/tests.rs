use std::sync::LazyLock;

use pc_exchange::{Catalogue, CatalogueChange, Form, Verdict};
use pc_types::{Date, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::set::{BUILDS, CVES};

const JUNE_XML: &[u8] = include_bytes!("../fixtures/msrc-2026-Jun.xml");
const JUNE_JSON: &[u8] = include_bytes!("../fixtures/msrc-2026-Jun.json");
const OCTOBER_XML: &[u8] = include_bytes!("../fixtures/msrc-2025-Oct.xml");
const KEV: &[u8] = include_bytes!("../fixtures/kev-2026-08-07.json");
const SWAPPED: &[u8] = include_bytes!("../fixtures/CVE-2024-26198.json");
const REVISED: &[u8] = include_bytes!("../fixtures/CVE-2026-45583-revised.json");

static EMBEDDED: LazyLock<FileSet> = LazyLock::new(FileSet::embedded);

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn advisory(octets: &[u8]) -> Advisory {
    match read(octets).unwrap() {
        Feed::Vulnerabilities(advisory) => advisory,
        other => panic!("{other:?}"),
    }
}

fn exploited(octets: &[u8]) -> Exploited {
    match read(octets).unwrap() {
        Feed::Exploited(exploited) => exploited,
        other => panic!("{other:?}"),
    }
}

fn value(octets: &[u8]) -> Value {
    serde_json::from_slice(octets).unwrap()
}

fn changed(octets: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = value(octets);
    change(&mut value);
    value.to_string().into_bytes()
}

fn merged(files: &FileSet, octets: &[u8]) -> Merged {
    merge(files, &read(octets).unwrap(), now()).unwrap()
}

fn refused(files: &FileSet, octets: &[u8]) -> Refusal {
    merge(files, &read(octets).unwrap(), now()).unwrap_err()
}

/// The catalogue with what was said of CVE-2026-45583 in June 2026: fixed by that month's update.
fn june_2026() -> FileSet {
    let mut cves = value(EMBEDDED.get(CVES));
    for cve in cves["cves"].as_array_mut().unwrap() {
        if cve["id"] == "CVE-2026-45583" {
            for fix in cve["fixes"].as_array_mut().unwrap() {
                let first = fix["earliest_fix"].clone();
                fix["build"] = first["build"].clone();
                fix["update"] = first["update"].clone();
                fix["release_date"] = first["release_date"].clone();
                fix.as_object_mut().unwrap().remove("earliest_fix");
            }
        }
    }
    EMBEDDED.with([(BUILDS, EMBEDDED.get(BUILDS).to_vec()), (CVES, cves.to_string().into_bytes())])
}

fn verdict(catalogue: &Catalogue, build: &str, date: &str) -> (Verdict, Vec<String>) {
    let judged = catalogue.judge_build(build.parse().unwrap(), Form::Exact, date.parse().unwrap());
    let cves = judged.assessment.map(|assessment| assessment.cves()).unwrap_or_default();
    (judged.verdict, cves.into_iter().map(|cve| cve.id).collect())
}

/// A CVE record of a new update.
fn record(id: &str, published: &str, builds: &[&str]) -> Vec<u8> {
    let affected: Vec<Value> = builds
        .iter()
        .map(|build| {
            json!({
                "vendor": "Microsoft", "product": "Microsoft Exchange Server Subscription Edition RTM",
                "versions": [{ "status": "affected", "version": "15.02.0", "lessThan": build }],
            })
        })
        .collect();
    json!({
        "cveMetadata": { "cveId": id, "state": "PUBLISHED", "dateUpdated": published },
        "containers": { "cna": {
            "title": "Microsoft Exchange Server Spoofing Vulnerability", "datePublic": published, "affected": affected,
            "providerMetadata": { "dateUpdated": published },
        }},
    })
    .to_string()
    .into_bytes()
}

#[test]
fn a_document_of_msrc_says_the_same_as_xml_and_as_json() {
    let xml = advisory(JUNE_XML);
    assert_eq!(xml, advisory(JUNE_JSON));
    assert_eq!((xml.document.as_str(), xml.revised.as_str()), ("msrc 2026-Jun", "2026-07-05T14:46:17"));
    assert_eq!(xml.vulnerabilities.len(), 7);
    let known = xml.vulnerabilities.iter().find(|known| known.id == "CVE-2026-45583").unwrap();
    let builds: Vec<String> = known.fixes.iter().map(|fix| fix.build.to_string()).collect();
    assert_eq!(builds, ["15.1.2507.69", "15.2.1544.41", "15.2.1748.46", "15.2.2562.43"]);
    assert_eq!(known.fixes[0].kb.as_deref(), Some("KB5094144"));
    assert_eq!((known.score, known.severity.as_deref()), (Some(7.5), Some("Important")));
}

#[test]
fn what_the_catalogue_was_made_from_changes_nothing_in_it() {
    for octets in [JUNE_XML, JUNE_JSON, OCTOBER_XML, KEV] {
        let merged = merged(&EMBEDDED, octets);
        assert_eq!(merged.changes, [], "{:?}", merged.left_out);
    }
}

#[test]
fn builds_find_their_level_by_their_numbers_and_not_by_the_name_beside_them() {
    // The record names CU14 with the build of CU13, and CU13 with that of CU14.
    let merged = merged(&EMBEDDED, SWAPPED);
    assert_eq!((merged.changes, merged.left_out), (vec![], vec![]));
}

#[test]
fn a_fix_that_moves_makes_a_server_vulnerable_that_was_not() {
    let june = june_2026();
    let before = june.load().unwrap();
    let (_, open) = verdict(&before, "15.2.2562.43", "2026-10-20");
    assert!(!open.contains(&"CVE-2026-45583".to_owned()));
    let merged = merged(&june, REVISED);
    let moved = merged.changes.iter().filter(|change| {
        matches!(change, CatalogueChange::FixMoved { cve, revision: pc_exchange::Revision::Newer, .. } if cve == "CVE-2026-45583")
    });
    assert_eq!((moved.count(), merged.changes.len()), (4, 4));
    let (_, open) = verdict(&merged.catalogue, "15.2.2562.43", "2026-10-20");
    assert!(open.contains(&"CVE-2026-45583".to_owned()), "{open:?}");
    let (_, open) = verdict(&merged.catalogue, "15.2.2562.45", "2026-10-20");
    assert!(!open.contains(&"CVE-2026-45583".to_owned()));
    // The document of July, which still says June, does not move it back.
    let back = merge(&merged.files, &read(JUNE_XML).unwrap(), now()).unwrap();
    assert_eq!(back.changes, []);
    assert_eq!(back.left_out.len(), 4, "{:?}", back.left_out);
    assert!(matches!(back.left_out[0], LeftOut::Backwards { .. }));
}

#[test]
fn the_shipped_catalogue_takes_the_revision_as_well() {
    let merged = merged(&EMBEDDED, REVISED);
    assert_eq!(merged.changes.len(), 4, "{:?}", merged.changes);
}

#[test]
fn a_newer_revision_may_take_a_fix_back() {
    let moved = merged(&june_2026(), REVISED).files;
    let again = changed(REVISED, |record| {
        record["containers"]["cna"]["providerMetadata"]["dateUpdated"] = "2026-10-01T00:00:00Z".into();
        record["containers"]["cna"]["affected"][3]["versions"][0]["lessThan"] = "15.02.2562.043".into();
    });
    let merged = merged(&moved, &again);
    assert!(matches!(&merged.changes[..], [CatalogueChange::FixMoved { .. }]), "{:?}", merged.changes);
    assert_eq!(merged.left_out, []);
}

#[test]
fn a_new_update_becomes_a_release_that_servers_lack() {
    let octets = record("CVE-2026-80001", "2026-11-10T18:22:00Z", &["15.02.2562.060", "15.02.1748.058"]);
    let merged = merged(&EMBEDDED, &octets);
    // The extended updates of 2019 ended in October 2026.
    assert_eq!(merged.left_out.len(), 1);
    assert!(matches!(merged.left_out[0], LeftOut::Ended { .. }));
    assert_eq!(merged.catalogue.as_of().to_string(), "2026-11-10");
    let release = merged.catalogue.release("15.2.2562.60".parse().unwrap()).unwrap();
    assert_eq!((release.update_level.as_str(), release.security), ("RTM Nov26SU", true));
    let (state, open) = verdict(&merged.catalogue, "15.2.2562.56", "2026-11-20");
    assert_eq!((state, open), (Verdict::Vulnerable, vec!["CVE-2026-80001".to_owned()]));
    assert_eq!(verdict(&merged.catalogue, "15.2.2562.60", "2026-11-20").0, Verdict::Current);
    let again = record("CVE-2026-80002", "2026-11-20T18:22:00Z", &["15.02.2562.062"]);
    let second = merge(&merged.files, &read(&again).unwrap(), now()).unwrap();
    let release = second.catalogue.release("15.2.2562.62".parse().unwrap()).unwrap();
    assert_eq!(release.update_level, "RTM Nov26SUv2");
}

#[test]
fn a_document_cannot_make_up_builds_or_levels() {
    for (build, want) in [
        ("15.2.2562.65535", "cannot be the next one"),
        ("15.2.2562.44", "cannot be the next one"),
        ("15.2.3000.4", "knows no cumulative update"),
        ("15.2.792.19", "gets no updates any more"),
    ] {
        let merged = merged(&EMBEDDED, &record("CVE-2026-80001", "2026-11-10T18:22:00Z", &[build]));
        assert_eq!(merged.changes, [], "{build}");
        assert!(merged.left_out[0].to_string().contains(want), "{}", merged.left_out[0]);
    }
    let early = merged(&EMBEDDED, &record("CVE-2026-80001", "2026-10-01T18:22:00Z", &["15.2.2562.60"]));
    assert!(matches!(early.left_out[..], [LeftOut::Date { .. }]), "before the update that it follows");
    let ahead = refused(&EMBEDDED, &record("CVE-2026-80001", "2027-01-01T00:00:00Z", &["15.2.2562.60"]));
    assert_eq!(ahead.code(), "ahead");
    // No build at all means that nothing is known, and so that nothing is taken.
    let unknown =
        merged(&EMBEDDED, &record("CVE-2026-80001", "2026-11-10T18:22:00Z", &["-", "https://aka.ms/x"]));
    assert_eq!((unknown.changes, unknown.left_out), (vec![], vec![]));
}

#[test]
fn an_earlier_revision_of_a_document_is_refused_and_the_same_one_changes_nothing() {
    let first = merged(&june_2026(), JUNE_XML);
    let again = merge(&first.files, &read(JUNE_XML).unwrap(), now()).unwrap();
    assert_eq!(again.changes, []);
    let text = String::from_utf8(JUNE_XML.to_vec()).unwrap();
    let earlier = text.replace("2026-07-05T14:46:17", "2026-06-09T07:00:00");
    assert_eq!(refused(&first.files, earlier.as_bytes()).code(), "older");
}

#[test]
fn the_list_of_exploited_ones_marks_and_never_unmarks() {
    let later = changed(KEV, |list| {
        list["dateReleased"] = "2026-11-20T10:00:00Z".into();
        let entries = list["vulnerabilities"].as_array_mut().unwrap();
        entries.retain(|entry| entry["cveID"] != "CVE-2021-26855");
        let mut added = entries[0].clone();
        added["cveID"] = "CVE-2026-70571".into();
        added["dateAdded"] = "2026-11-18".into();
        entries.push(added);
    });
    let merged = merged(&EMBEDDED, &later);
    let marked =
        CatalogueChange::ExploitedChanged { cve: "CVE-2026-70571".into(), from: None, to: Some(true) };
    assert!(merged.changes.contains(&marked), "{:?}", merged.changes);
    assert!(
        merged
            .changes
            .iter()
            .all(|change| matches!(change, CatalogueChange::ExploitedChanged { from: None, .. }))
    );
    assert_eq!(merged.left_out, [LeftOut::Unlisted { cve: "CVE-2021-26855".into() }]);
    assert_eq!(merge(&merged.files, &read(KEV).unwrap(), now()).unwrap_err().code(), "older");
}

#[test]
fn half_a_list_is_refused() {
    let cut = changed(KEV, |list| {
        list["vulnerabilities"].as_array_mut().unwrap().truncate(15);
    });
    assert_eq!(read(&cut), Err(FeedError::Count { said: 20, found: 15 }));
    let consistent = changed(&cut, |list| list["count"] = 15.into());
    assert_eq!(refused(&EMBEDDED, &consistent).code(), "shrinks");
    assert_eq!(exploited(KEV).entries.len(), 20);
}

#[test]
fn document_types_and_entities_are_refused_and_nothing_is_expanded() {
    let with = |head: &str, body: &str| format!("{head}<cvrf:cvrfdoc xmlns:cvrf=\"x\">{body}</cvrf:cvrfdoc>");
    let bomb = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]>";
    let external = "<!DOCTYPE x [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]>";
    for text in [
        with(bomb, "<cvrf:DocumentTitle>&lol2;</cvrf:DocumentTitle>"),
        with(external, "<cvrf:DocumentTitle>&xxe;</cvrf:DocumentTitle>"),
        with("", "<cvrf:DocumentTitle>&lol;</cvrf:DocumentTitle>"),
        with("", "<cvrf:DocumentTitle a=\"&lol;\"/>"),
    ] {
        assert_eq!(read(text.as_bytes()), Err(FeedError::Entities), "{text}");
    }
}

#[test]
fn documents_over_a_bound_are_refused() {
    let nested = |depth: usize| format!("<cvrfdoc>{}{}</cvrfdoc>", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(read(nested(limits::XML_DEPTH_MAX).as_bytes()), Err(FeedError::Missing("the document's id")));
    assert_eq!(read(nested(limits::XML_DEPTH_MAX + 1).as_bytes()), Err(FeedError::TooMuch("elements")));
    let wide = format!("<cvrfdoc><a>{}</a></cvrfdoc>", "<b/>".repeat(limits::XML_ELEMENTS_MAX + 1));
    assert_eq!(read(wide.as_bytes()), Err(FeedError::TooMuch("elements")));
    let long = format!("<cvrfdoc><a>{}</a></cvrfdoc>", "x".repeat(limits::XML_TEXT_OCTETS_MAX + 1));
    assert_eq!(read(long.as_bytes()), Err(FeedError::TooMuch("octets of a text")));
    let deep = format!("{{\"cveMetadata\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(read(deep.as_bytes()), Err(FeedError::Malformed(_))));
    let many = format!("<cvrfdoc>{}</cvrfdoc>", "<Vulnerability/>".repeat(limits::VULNERABILITIES_MAX + 1));
    assert_eq!(read(many.as_bytes()), Err(FeedError::TooMuch("vulnerabilities")));
}

#[test]
fn what_is_no_feed_is_refused_in_words() {
    for text in [
        "",
        "  ",
        "not a feed",
        "[]",
        "{}",
        "{\"a\":1}",
        "<html></html>",
        "<a>",
        "<a></b>",
        "<a/>",
        "<a></a><b/>",
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text:?}");
    }
    let rejected = changed(REVISED, |record| record["cveMetadata"]["state"] = "REJECTED".into());
    assert_eq!(read(&rejected), Err(FeedError::NotPublished("REJECTED".into())));
}

/// Cut anywhere and with octets changed: refused or read, never a panic; and what is read merges or is refused.
#[test]
fn damaged_documents_are_refused_or_harmless() {
    let mut seed: u64 = 7;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let before = EMBEDDED.load().unwrap();
    for octets in [JUNE_XML, JUNE_JSON, KEV, SWAPPED, REVISED] {
        for _ in 0..150 {
            let cut = next(octets.len());
            assert!(read(&octets[..cut]).is_err(), "cut at {cut}");
        }
        for round in 0..150 {
            let mut damaged = octets.to_vec();
            for _ in 0..=next(4) {
                let place = next(damaged.len());
                damaged[place] = u8::try_from(next(256)).unwrap();
            }
            // Merging loads the catalogue twice, so that it is tried now and then.
            if let (Ok(feed), 0) = (read(&damaged), round % 10)
                && let Ok(merged) = merge(&EMBEDDED, &feed, now())
            {
                assert!(merged.catalogue.releases_len() >= before.releases_len(), "seed 7");
                assert!(merged.catalogue.cves_len() >= before.cves_len(), "seed 7");
                assert!(merged.catalogue.as_of() <= "2026-11-25".parse::<Date>().unwrap());
            }
        }
    }
}

mod signed {
    use super::*;

    const KEY: &str = include_str!("../fixtures/bundle-key.txt");
    const BUNDLE: &[u8] = include_bytes!("../fixtures/bundle-small.json");
    const SIGNATURE: &str = include_str!("../fixtures/bundle-small.json.minisig");
    const OTHER_SIGNATURE: &str = include_str!("../fixtures/bundle-small.other.minisig");

    fn bundle(files: FileSet, issued: &str) -> Bundle {
        Bundle { issued: issued.parse().unwrap(), files }
    }

    #[test]
    fn only_the_right_signature_opens_a_bundle() {
        assert!(is_bundle(BUNDLE));
        let opened = open_bundle(BUNDLE, SIGNATURE, KEY).unwrap();
        assert_eq!(opened.issued.to_string(), "2026-11-20T00:00:00Z");
        let mut changed = BUNDLE.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        for (octets, signature) in [
            (&changed[..], SIGNATURE),
            (BUNDLE, OTHER_SIGNATURE),
            (BUNDLE, ""),
            (BUNDLE, "untrusted comment: x\nAAAA\n"),
        ] {
            assert_eq!(open_bundle(octets, signature, KEY).unwrap_err().code(), "signature");
        }
        assert_eq!(open_bundle(BUNDLE, SIGNATURE, "no key").unwrap_err().code(), "signature");
    }

    #[test]
    fn a_bundle_that_is_older_or_smaller_or_takes_fixes_back_is_refused() {
        let in_use = EMBEDDED.load().unwrap();
        let code = |bundle: &Bundle, issued: Option<&str>| {
            let issued = issued.map(|issued| issued.parse().unwrap());
            check_bundle(bundle, &in_use, issued, now()).map(|_| ()).map_err(|refusal| refusal.code())
        };
        let same = bundle(EMBEDDED.clone(), "2026-11-20T00:00:00Z");
        assert_eq!(code(&same, None), Ok(()));
        assert_eq!(code(&same, Some("2026-11-21T00:00:00Z")), Err("older"));
        assert_eq!(code(&bundle(EMBEDDED.clone(), "2027-11-20T00:00:00Z"), None), Err("ahead"));
        let with = |change: &dyn Fn(&mut Value, &mut Value)| {
            let (mut builds, mut cves) = (value(EMBEDDED.get(BUILDS)), value(EMBEDDED.get(CVES)));
            change(&mut builds, &mut cves);
            let files = [(BUILDS, builds.to_string().into_bytes()), (CVES, cves.to_string().into_bytes())];
            bundle(EMBEDDED.with(files), "2026-11-20T00:00:00Z")
        };
        let older = with(&|builds, _| builds["as_of"] = "2026-08-01".into());
        assert_eq!(code(&older, None), Err("older"));
        let smaller = with(&|_, cves| {
            cves["cves"].as_array_mut().unwrap().pop();
        });
        assert_eq!(code(&smaller, None), Err("shrinks"));
        let back = with(&|_, cves| {
            let last = cves["cves"].as_array_mut().unwrap().last_mut().unwrap();
            last["fixes"][3]["build"] = "15.2.2562.53".into();
        });
        assert_eq!(code(&back, None), Err("backwards"));
        let damaged = with(&|builds, _| builds["builds"][3]["build_str"] = "nonsense".into());
        assert_eq!(code(&damaged, None), Err("catalogue"));
    }

    #[test]
    fn a_bundle_holds_the_catalogue_whole() {
        let text = write_bundle(&EMBEDDED, now());
        let raw: Value = serde_json::from_str(&text).unwrap();
        let files = raw["files"].as_object().unwrap().iter();
        let files = FileSet::new(
            files.map(|(name, text)| (name.clone(), text.as_str().unwrap().as_bytes().to_vec())),
        );
        assert_eq!(files, *EMBEDDED);
    }
}

/// The documents that were taken, whole, cut and with octets changed: what the fuzz target drives.
#[test]
fn what_holds_for_every_document_holds_for_those_we_know_and_for_damaged_ones() {
    for octets in [JUNE_XML, JUNE_JSON, OCTOBER_XML, KEV, SWAPPED, REVISED] {
        invariants::document(octets);
        for part in [5, 11] {
            invariants::document(&octets[..octets.len() * part / 16]);
            let mut changed = octets.to_vec();
            // Digits stay digits, so that the document still reads and says something else.
            for octet in changed.iter_mut().skip(part).step_by(211).filter(|octet| octet.is_ascii_digit()) {
                *octet = b'0' + (*octet - b'0' + 1) % 10;
            }
            invariants::document(&changed);
        }
    }
    let bundle = write_bundle(&EMBEDDED, now());
    invariants::document(bundle.as_bytes());
}
