use super::*;
use crate::evidence_of_message;

#[test]
fn the_json_has_exactly_the_agreed_names() {
    let line = smtp_line("client", "ex1.example.org", "15.2.2562.17");
    let evidence = evidence_of_message(&[&line, "from a by b (Postfix) with ESMTP id 1; d"], &[]);
    let judgement = catalogue().judge(&evidence, date("2026-05-01"));
    let json = serde_json::to_value(&judgement).unwrap();
    let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "verdict",
        "product",
        "build",
        "update",
        "support",
        "support_phase",
        "missing",
        "cves",
        "install",
        "evidence",
        "ignored",
        "not_visible",
        "not_settled_by_build",
        "reasons",
    ];
    assert_eq!(names, expected);
    assert_eq!(json["verdict"], "vulnerable");
    assert_eq!(json["product"], "SE");
    assert_eq!(json["build"], "15.2.2562.17");
    assert_eq!(json["update"], "RTM");
    assert_eq!(json["evidence"]["hop"], 0);
    assert_eq!(json["evidence"]["header"], line);
    assert_eq!(json["ignored"][0]["reason"]["code"], "not_exchange");
    let cve: Vec<_> = json["cves"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(cve, ["id", "class", "cvss", "kev"]);
}

#[test]
fn a_bare_build_has_no_evidence_and_no_ignored_lines() {
    let judgement = catalogue().judge_build(build("15.01.2507.039"), Form::Exact, date("2026-11-23"));
    let json = serde_json::to_value(&judgement).unwrap();
    assert_eq!(json["build"], "15.1.2507.39");
    assert!(json["evidence"].is_null());
    assert_eq!(json["ignored"], serde_json::json!([]));
}

#[test]
fn the_text_opens_with_the_verdict_and_names_updates_and_exploited_vulnerabilities() {
    let line = smtp_line("client", "ex1.example.org", "15.1.2176.9");
    let evidence = evidence_of_message(&[&line], &[]);
    let text = catalogue().judge(&evidence, date("2021-06-01")).text();
    assert!(text.starts_with("VULNERABLE  Exchange Server 2016 CU19 Mar21SU (15.1.2176.9)\n"), "{text}");
    for part in [
        "Install   Exchange Server 2016 CU19 May21SU (15.1.2176.14, KB5003435)",
        "2021-05-11",
        "KEV",
        "hop 0",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn control_characters_of_a_line_do_not_reach_the_terminal() {
    let line = smtp_line("\u{1b}[2J", "ex1.example.org", "15.1.2507.39");
    let text = catalogue().judge(&evidence_of_message(&[&line], &[]), date("2026-11-23")).text();
    assert!(!text.contains('\u{1b}') && text.contains("\\x1b[2J"), "{text}");
}

#[test]
fn vulnerabilities_that_need_a_further_step_have_their_own_section() {
    let text = catalogue().judge_build(build("15.2.2562.56"), Form::Exact, date("2026-10-20")).text();
    assert!(text.contains("no build shows (2)\n  CVE-2025-53786    needs April 2025 hotfix"), "{text}");
    assert!(!text.contains("not_settled_by_build"), "{text}");
}

#[test]
fn the_lists_of_the_json_carry_what_an_operator_looks_up() {
    let judgement = catalogue().judge_build(build("15.2.1748.39"), Form::Smtp, date("2026-10-20"));
    let json = serde_json::to_value(&judgement).unwrap();
    assert_eq!((&json["verdict"], &json["support_phase"]), (&"unsupported".into(), &"ended".into()));
    let first = &json["missing"][0];
    assert_eq!((&first["update"], &first["kb"]), (&"CU15 Dec25SU".into(), &"KB5071875".into()));
    assert_eq!((&first["released"], &first["esu_only"]), (&"2025-12-09".into(), &true.into()));
    let newest = json["cves"].as_array().unwrap().iter().find(|cve| cve["id"] == "CVE-2026-70571").unwrap();
    assert!(newest["kev"].is_null(), "newer than the list of exploited vulnerabilities");
    assert!(json["not_settled_by_build"].as_array().unwrap().iter().any(|cve| cve["id"] == "CVE-2025-53786"));
}

#[test]
fn the_text_names_what_is_only_given_to_enrolled_organisations() {
    let text = catalogue().judge_build(build("15.1.2507.61"), Form::Smtp, date("2026-10-20")).text();
    assert!(
        text.contains("migrate to Exchange Server Subscription Edition RTM Oct26SU (15.2.2562.56)"),
        "{text}"
    );
    assert!(text.contains("until 2026-10-31 the only updates"), "{text}");
    assert!(text.contains("KB5071873  extended security updates only\n"), "{text}");
}

#[test]
fn a_message_without_a_build_has_a_text_and_a_json_as_well() {
    let line = "from a.example.org by b.example.org (Postfix) with ESMTP id 4X; d";
    let judgement = catalogue().judge(&evidence_of_message(&[line], &[]), date("2026-11-23"));
    let text = judgement.text();
    assert!(
        text.starts_with("NOT EXCHANGE\n") && text.contains("[not_exchange] from a.example.org"),
        "{text}"
    );
    let json = serde_json::to_value(&judgement).unwrap();
    assert!(
        json["support"].is_null() && json["install"].is_null() && json["missing"] == serde_json::json!([])
    );
}
