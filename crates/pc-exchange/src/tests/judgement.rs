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
        "missing",
        "cves",
        "install",
        "evidence",
        "ignored",
        "not_visible",
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
    assert!(text.contains("no build shows (2)\n  CVE-2025-53786\n  CVE-2026-42897\n"), "{text}");
    assert!(!text.contains("not_settled_by_build"), "{text}");
}
