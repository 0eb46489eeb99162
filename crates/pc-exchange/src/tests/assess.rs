use super::*;
use crate::{Owed, Verdict};

#[test]
fn proxylogon_is_open_on_2016_cu19_in_april_2021() {
    let assessment = assess("15.1.2176.2", Form::Mapi, "2021-04-01");
    assert_eq!(assessment.state(), Verdict::Vulnerable);
    let cves = assessment.cves();
    let proxylogon = cves.iter().find(|cve| cve.id == "CVE-2021-26855").unwrap();
    assert_eq!(proxylogon.kev, Some(true));
    assert_eq!(proxylogon.cvss, Some(9.1));
    assert_eq!(cves[0].kev, Some(true), "exploited ones come first");
}

#[test]
fn updates_before_may_2021_are_not_held_against_an_smtp_id() {
    let assessment = assess("15.1.2176.2", Form::Smtp, "2021-04-01");
    assert!(assessment.cves().is_empty() && assessment.missing().is_empty(), "{assessment:?}");
    assert_eq!(assessment.state(), Verdict::Current);
    let hidden = assessment.not_visible();
    let mar21 = hidden.iter().find(|update| update.update == "CU19 Mar21SU").unwrap();
    assert!(mar21.cves.iter().any(|cve| cve == "CVE-2021-26855"));
    let later = assess("15.1.2176.2", Form::Smtp, "2021-06-01");
    assert_eq!(later.state(), Verdict::Vulnerable);
    assert_eq!(later.missing().len(), 1, "{:?}", later.missing());
    assert_eq!(later.missing()[0].update, "CU19 May21SU");
}

#[test]
fn se_at_release_is_vulnerable_in_may_2026() {
    let assessment = assess("15.2.2562.17", Form::Smtp, "2026-05-01");
    assert_eq!((assessment.state(), assessment.product()), (Verdict::Vulnerable, Some("SE")));
    assert!(assessment.not_visible().is_empty());
    assert!(assessment.missing().iter().all(|update| update.released <= date("2026-05-01")));
}

#[test]
fn se_with_the_october_2026_update_is_current() {
    let assessment = assess("15.2.2562.56", Form::Smtp, "2026-11-23");
    assert_eq!(assessment.state(), Verdict::Current);
    assert_eq!(assessment.install().as_deref(), Some("nothing"));
    assert_eq!(assessment.owed(0, date("2026-11-23")), Owed::Nothing);
    assert!(assessment.reasons().iter().any(|reason| reason.code == "catalogue_as_of"));
}

#[test]
fn the_last_public_build_of_2019_is_unsupported_in_november_2026() {
    let assessment = assess("15.2.1748.39", Form::Smtp, "2026-11-23");
    assert_eq!((assessment.state(), assessment.product()), (Verdict::Unsupported, Some("2019")));
    let (support, install) = (assessment.support().unwrap(), assessment.install().unwrap());
    assert!(support.contains("2025-10-14"), "{support}");
    assert!(install.contains("15.2.2562.56"), "{install}");
    let Owed::Update { reason, since, .. } = assessment.owed(30, date("2026-11-23")) else {
        panic!("nothing owed")
    };
    assert_eq!((reason.code, since), ("product_unsupported", date("2025-10-14")));
}

#[test]
fn the_day_support_ends_is_the_last_day_of_support() {
    assert_eq!(assess("15.2.1748.39", Form::Exact, "2025-10-14").state(), Verdict::Current);
    assert_eq!(assess("15.2.1748.39", Form::Exact, "2025-10-15").state(), Verdict::Unsupported);
}

#[test]
fn a_build_for_extended_updates_is_judged_like_a_supported_one_inside_the_periods() {
    for (id, day) in [("15.2.1748.55", "2026-10-20"), ("15.1.2507.77", "2026-10-31")] {
        let assessment = assess(id, Form::Smtp, day);
        assert_eq!(assessment.state(), Verdict::Current, "{id} {day}");
        assert_eq!(assessment.esu().map(|period| period.name.as_str()), Some("Period 2"));
        assert_eq!(assess(id, Form::Smtp, "2026-11-01").state(), Verdict::Unsupported);
    }
    let enrolled: Vec<_> = catalogue()
        .releases()
        .filter(|release| release.level == "CU15" && release.product == "2019")
        .filter(|release| release.released > date("2025-10-14"))
        .map(|release| release.build)
        .collect();
    let first = catalogue().assess(enrolled[0], Form::Exact, date("2026-04-20"));
    assert_ne!(first.state(), Verdict::Unsupported, "the days between the periods count as inside");
    assert!(first.esu().is_some());
    let behind = catalogue().assess(enrolled[0], Form::Exact, date("2026-10-20"));
    assert_eq!(behind.state(), Verdict::Vulnerable);
}

#[test]
fn a_cumulative_update_out_of_its_window_is_unsupported() {
    let assessment = assess("15.1.2308.27", Form::Smtp, "2022-06-01");
    assert_eq!(assessment.state(), Verdict::Unsupported);
    assert_eq!(assessment.reasons()[0].code, "level_unsupported");
    assert_eq!(
        assessment.install().as_deref(),
        Some("Exchange Server 2016 CU23, then CU23 May22SU (15.1.2507.9, KB5014261)")
    );
    assert_eq!(assess("15.1.2308.27", Form::Smtp, "2022-04-20").state(), Verdict::Current);
}

#[test]
fn previews_were_never_supported() {
    let preview = catalogue();
    let preview = preview.releases().find(|release| release.level == "Preview").unwrap();
    let assessment = catalogue().assess(preview.build, Form::Exact, date("2026-01-01"));
    assert_eq!(assessment.state(), Verdict::Unsupported);
}

#[test]
fn the_earliest_build_counted_as_fixed_is_honoured() {
    let first = assess("15.2.1258.23", Form::Exact, "2023-08-20");
    assert!(!first.cves().iter().any(|cve| cve.id == "CVE-2023-38182"));
    let open: Vec<_> = first.cves().into_iter().map(|cve| cve.id).collect();
    assert_eq!(open, ["CVE-2023-21709"], "the only one that is not counted as fixed by the first build");
    assert_eq!(first.missing()[0].update, "CU13 Aug23SUv2");
}

#[test]
fn a_vulnerability_with_a_further_step_is_named_but_not_held_against_the_build() {
    let assessment = assess("15.2.1544.9", Form::Exact, "2024-03-20");
    assert!(assessment.not_settled_by_build().iter().any(|cve| cve.id == "CVE-2024-21410"));
    assert!(!assessment.cves().iter().any(|cve| cve.id == "CVE-2024-21410"));
    let download_domains = assess("15.2.792.3", Form::Exact, "2021-01-10");
    assert!(download_domains.not_settled_by_build().iter().any(|cve| cve.id == "CVE-2021-1730"));
}

#[test]
fn a_level_without_an_entry_is_open_when_older_than_the_fix_and_closed_when_newer() {
    let id = "CVE-2021-26412";
    let old = assess("15.1.1415.10", Form::Exact, "2021-04-01");
    assert!(old.cves().iter().any(|cve| cve.id == id), "the special update of March 2021 does not fix it");
    let newer = assess("15.1.2242.4", Form::Exact, "2021-04-01");
    assert!(!newer.cves().iter().any(|cve| cve.id == id));
}

#[test]
fn what_comes_out_later_does_not_count() {
    let before = assess("15.1.2176.2", Form::Exact, "2021-02-20");
    assert!(!before.cves().iter().any(|cve| cve.id == "CVE-2021-26855"));
    let day = date("2021-02-20");
    assert!(before.missing().iter().all(|update| update.released <= day), "{:?}", before.missing());
}

#[test]
fn the_october_2022_id_of_2013_stands_for_november_as_well() {
    let smtp = assess("15.0.1497.42", Form::Smtp, "2022-12-01");
    assert_eq!(smtp.state(), Verdict::Current, "{:?}", smtp.missing());
    assert_eq!(smtp.not_visible().len(), 1);
    let mapi = assess("15.0.1497.42", Form::Mapi, "2022-12-01");
    assert_eq!(mapi.state(), Verdict::Vulnerable);
}

#[test]
fn a_build_above_the_newest_known_is_read_as_that_one_and_said_so() {
    let assessment = assess("15.2.2562.99", Form::Smtp, "2026-11-23");
    assert_eq!(assessment.state(), Verdict::Current);
    assert!(assessment.reasons().iter().any(|reason| reason.code == "newer_than_catalogue"));
}

#[test]
fn an_unknown_branch_is_unknown_and_owes_nothing_provable() {
    let assessment = assess("15.2.9999.1", Form::Smtp, "2026-11-23");
    assert_eq!((assessment.state(), assessment.product()), (Verdict::Unknown, None));
    assert!(
        matches!(assessment.owed(0, date("2026-11-23")), Owed::Unknown(reason) if reason.code == "unknown_build")
    );
}

#[test]
fn products_before_2013_are_unsupported_and_named() {
    for (id, product) in [
        ("14.3.498.0", "2010"),
        ("8.1.358.0", "2007"),
        ("6.5.7638.1", "2003"),
        ("6.0.6249.0", "2000"),
        ("5.5.2653.19", "5.5"),
        ("5.0.1457.3", "5.0"),
        ("4.0.837.0", "4.0"),
    ] {
        let assessment = assess(id, Form::Smtp, "2026-11-23");
        assert_eq!((assessment.state(), assessment.product()), (Verdict::Unsupported, Some(product)), "{id}");
    }
}

#[test]
fn an_old_service_pack_is_missing_the_later_ones() {
    let assessment = assess("14.1.438.0", Form::Exact, "2014-01-01");
    let missing: Vec<_> = assessment.missing().into_iter().map(|update| update.update).collect();
    assert!(missing.contains(&"SP2".to_owned()) && missing.contains(&"SP3".to_owned()), "{missing:?}");
}

#[test]
fn a_missing_security_update_is_owed_after_the_grace_days_and_not_before() {
    let day = date("2026-11-12");
    let assessment = assess("15.2.2562.53", Form::Smtp, "2026-11-12");
    assert_eq!(assessment.state(), Verdict::Vulnerable);
    assert_eq!(assessment.owed(30, day), Owed::Nothing, "30 days after 2026-10-13");
    let Owed::Update { reason, since, .. } = assessment.owed(29, day) else { panic!("nothing owed") };
    assert_eq!((reason.code, since), ("security_update_missing", date("2026-10-13")));
}

#[test]
fn the_words_for_verdicts_are_fixed() {
    let words = [
        (Verdict::Current, "current"),
        (Verdict::Behind, "behind"),
        (Verdict::Vulnerable, "vulnerable"),
        (Verdict::Unsupported, "unsupported"),
        (Verdict::Unknown, "unknown"),
        (Verdict::NotExchange, "not_exchange"),
    ];
    for (verdict, word) in words {
        assert_eq!(verdict.as_str(), word);
        assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{word}\""));
    }
}

#[test]
fn a_mapi_id_of_2013_with_revision_zero_hides_the_updates_of_its_level() {
    let assessment = assess("15.0.1347.0", Form::Mapi, "2018-03-15");
    assert_eq!(assessment.state(), Verdict::Current, "{:?}", assessment.missing());
    assert_eq!(assessment.not_visible().len(), 2);
    assert_eq!(assess("15.0.1347.2", Form::Mapi, "2018-03-15").state(), Verdict::Vulnerable);
}

#[test]
fn a_level_that_gets_no_updates_any_more_lacks_the_newest_one() {
    let missing: Vec<_> = assess("15.1.2308.27", Form::Smtp, "2022-06-01")
        .missing()
        .into_iter()
        .map(|update| update.update)
        .collect();
    assert_eq!(missing, ["CU23", "CU23 May22SU"]);
    assert!(assess("15.1.2308.27", Form::Smtp, "2022-04-20").missing().is_empty(), "still in its window");
}

#[test]
fn a_fix_that_came_with_a_cumulative_update_only_makes_that_one_missing() {
    let assessment = assess("15.2.221.17", Form::Mapi, "2019-06-15");
    assert!(assessment.cves().iter().any(|cve| cve.id == "CVE-2019-0817"));
    let missing: Vec<_> = assessment.missing().into_iter().map(|update| update.update).collect();
    assert_eq!(missing, ["CU1", "CU1 Jun19SU"]);
    assert!(matches!(assessment.owed(10, date("2019-06-15")), Owed::Update { .. }));
}

#[test]
fn an_update_that_was_released_again_is_missing_once_and_owed_from_its_first_day() {
    let assessment = assess("15.2.1544.11", Form::Smtp, "2024-12-20");
    let missing: Vec<_> = assessment.missing().into_iter().map(|update| update.update).collect();
    assert_eq!((missing, assessment.missing_len()), (vec!["CU14 Nov24SUv2".to_owned()], 1));
    let Owed::Update { since, .. } = assessment.owed(30, date("2024-12-20")) else { panic!("nothing owed") };
    assert_eq!(since, date("2024-11-12"));
    let earlier = assess("15.2.1544.11", Form::Smtp, "2024-11-20");
    assert_eq!(earlier.missing()[0].update, "CU14 Nov24SU");
    let first = assess("15.2.1544.13", Form::Smtp, "2024-12-20");
    assert_eq!(
        first.missing()[0].update,
        "CU14 Nov24SUv2",
        "the first release does not stand for the second"
    );
}

#[test]
fn the_reason_says_how_many_updates_are_missing_and_since_when() {
    let behind = assess("15.2.1748.24", Form::Smtp, "2025-06-10");
    assert_eq!(behind.state(), Verdict::Behind);
    let text = &behind.reasons()[0].text;
    assert!(text.ends_with("1 update is missing, the oldest since 2025-05-29, 12 days ago"), "{text}");
    assert_eq!(behind.owed(0, date("2025-06-10")), Owed::Nothing, "no security update is missing");
    let vulnerable = assess("15.1.2176.2", Form::Mapi, "2021-04-01");
    let text = &vulnerable.reasons()[0].text;
    assert!(text.contains("known to be exploited; 2 updates are missing"), "{text}");
}

#[test]
fn the_last_public_build_shows_no_enrolment_and_is_told_of_it() {
    for (id, day) in
        [("15.2.1748.39", "2025-11-15"), ("15.2.1544.36", "2026-06-20"), ("15.1.2507.61", "2026-10-31")]
    {
        let assessment = assess(id, Form::Smtp, day);
        assert_eq!(
            (assessment.state(), assessment.support_ended()),
            (Verdict::Unsupported, Some(date("2025-10-14"))),
            "{id}"
        );
        assert!(
            assessment.support().unwrap().ends_with("run until 2026-10-31, this build shows no enrolment")
        );
        assert!(assessment.esu().is_none());
    }
    let level = assess("15.2.1258.39", Form::Smtp, "2026-06-20");
    assert!(!level.install().unwrap().contains("extended"), "CU13 gets none: {:?}", level.install());
    let after = assess("15.1.2507.77", Form::Smtp, "2026-11-01");
    assert_eq!(after.support_ended(), Some(date("2026-10-31")), "enrolled until the last period ended");
    assert!(!after.install().unwrap().contains("extended"), "{:?}", after.install());
}

#[test]
fn support_phases_follow_the_dates_of_the_product() {
    use crate::SupportPhase;
    let phase = |id: &str, day: &str| assess(id, Form::Exact, day).support_phase();
    assert_eq!(phase("15.2.1544.11", "2024-05-01"), SupportPhase::Extended);
    assert_eq!(phase("15.2.1258.12", "2023-06-01"), SupportPhase::Mainstream);
    assert_eq!(phase("15.2.1118.7", "2024-02-14"), SupportPhase::LevelEnded);
    assert_eq!(phase("15.2.1118.7", "2025-10-15"), SupportPhase::ProductEnded);
    assert_eq!(phase("15.2.1748.42", "2026-01-10"), SupportPhase::ExtendedSecurityUpdates);
    assert_eq!(phase("15.2.2562.17", "2030-01-01"), SupportPhase::Mainstream);
    assert_eq!(phase("4.0.837.0", "2026-01-01"), SupportPhase::ProductEnded);
}

#[test]
fn a_product_without_dates_is_unknown_while_the_oldest_known_end_has_not_passed() {
    let early = assess("5.0.1457.0", Form::Exact, "2005-01-01");
    assert_eq!(early.state(), Verdict::Unknown);
    assert!(
        matches!(early.owed(0, date("2005-01-01")), Owed::Unknown(reason) if reason.code == "no_support_dates")
    );
    let late = assess("5.0.1457.0", Form::Exact, "2006-01-11");
    assert_eq!((late.state(), late.support_ended()), (Verdict::Unsupported, Some(date("2006-01-10"))));
}

#[test]
fn a_build_judged_before_its_release_says_so() {
    let assessment = assess("15.2.2562.56", Form::Exact, "2026-01-01");
    assert!(assessment.reasons().iter().any(|reason| reason.code == "released_later"));
}

#[test]
fn builds_above_and_between_the_known_versions_are_told_apart() {
    let above = assess("15.2.9999.1", Form::Smtp, "2026-11-23").reasons();
    assert!(above[0].text.contains("above every version"), "{:?}", above[0]);
    let hole = assess("15.1.523.12", Form::Smtp, "2026-11-23").reasons();
    assert!(hole[0].text.contains("no release of Exchange Server has the version 15.1.523"), "{:?}", hole[0]);
    assert_eq!((above[0].code, hole[0].code), ("unknown_build", "unknown_build"));
}

#[test]
fn an_advisory_older_than_the_catalogue_keeps_its_three_states_of_exploitation() {
    let cves = assess("15.2.2562.17", Form::Exact, "2026-11-23").cves();
    let kev = |id: &str| cves.iter().find(|cve| cve.id == id).unwrap().kev;
    assert_eq!(kev("CVE-2026-42897"), Some(true));
    assert_eq!(kev("CVE-2026-70571"), None);
    assert!(cves.iter().any(|cve| cve.kev == Some(false)));
}
