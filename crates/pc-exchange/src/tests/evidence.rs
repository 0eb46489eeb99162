use super::*;
use crate::limits::RECEIVED_LINES_MAX;
use crate::{Connection, Evidence, Standing, evidence, evidence_of_message};

fn greeted(received: &[&str], greeting: &str) -> Evidence {
    let greeting = domain(greeting);
    evidence(received, &Connection { greeting_name: Some(&greeting), configured_names: &[] })
}

fn unknown_code(evidence: &Evidence) -> &'static str {
    match &evidence.standing {
        Standing::Unknown(reason) => reason.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_topmost_line_counts_when_it_shares_the_registrable_domain_of_the_greeting() {
    let line = smtp_line("client", "INTERNALHOST.example.org", "15.1.2507.39");
    let judged = greeted(&[&line], "mail.example.org").judged.unwrap();
    assert_eq!((judged.hop, judged.build, judged.form), (0, build("15.1.2507.39"), Form::Smtp));
    assert_eq!(judged.reason.code, "topmost");
    let other = greeted(&[&line], "mail.example.net");
    assert_eq!((other.judged.is_none(), unknown_code(&other)), (true, "name_mismatch"));
    assert_eq!(other.ignored[0].reason.code, "name_mismatch");
}

#[test]
fn a_configured_name_counts_without_a_shared_domain() {
    let line = smtp_line("client", "ex1.corp.internal", "15.1.2507.39");
    let names = [domain("ex1.corp.internal")];
    let evidence = evidence(&[&line], &Connection { greeting_name: None, configured_names: &names });
    assert_eq!(evidence.judged.unwrap().reason.code, "configured_name");
}

#[test]
fn a_line_without_a_host_name_and_a_client_without_a_name_are_not_tied() {
    let single = smtp_line("client", "EX1", "15.1.2507.39");
    assert_eq!(unknown_code(&greeted(&[&single], "ex1")), "name_mismatch");
    let literal = smtp_line("client", "[192.0.2.5]", "15.1.2507.39");
    assert_eq!(unknown_code(&greeted(&[&literal], "mail.example.org")), "name_mismatch");
    let line = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let nameless = evidence(&[&line], &Connection { greeting_name: None, configured_names: &[] });
    assert_eq!(unknown_code(&nameless), "name_mismatch");
}

#[test]
fn a_mapi_line_of_the_same_host_raises_the_bound() {
    let top = smtp_line("client", "ex1.example.org", "15.1.2176.2");
    let below = mapi_line("EX1.example.org", "15.01.2176.012");
    let evidence = greeted(&[&top, &below], "mail.example.org");
    let judged = evidence.judged.unwrap();
    assert_eq!((judged.build, judged.form), (build("15.1.2176.12"), Form::Mapi));
    assert_eq!(judged.reason.code, "mapi_same_host");
    assert!(evidence.ignored.is_empty());
}

#[test]
fn a_lower_mapi_line_and_one_of_another_host_change_nothing() {
    let top = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    for below in
        [mapi_line("ex1.example.org", "15.01.2507.037"), mapi_line("ex2.example.org", "15.02.1748.010")]
    {
        let evidence = greeted(&[&top, &below], "mail.example.org");
        assert_eq!(evidence.judged.unwrap().build, build("15.1.2507.39"));
        assert_eq!(evidence.ignored[0].reason.code, "mapi");
    }
}

#[test]
fn a_mapi_line_of_another_branch_on_the_same_host_is_a_conflict() {
    let top = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let below = mapi_line("ex1.example.org", "15.02.1748.010");
    let evidence = greeted(&[&top, &below], "mail.example.org");
    assert!(matches!(evidence.standing, Standing::Conflict(_)));
    assert_eq!(evidence.judged, None);
    assert_eq!(catalogue().judge(&evidence, date("2026-11-23")).verdict, crate::Verdict::Unknown);
}

#[test]
fn every_other_line_is_ignored_with_its_code() {
    let by = "by ex2.example.org with";
    let lines = [
        smtp_line("client", "ex1.example.org", "15.2.2562.56"),
        smtp_line("client", "ex2.example.org", "15.1.2507.39"),
        format!("Received: from Pickup {by} Microsoft SMTP Server id 15.1.2507.17; d"),
        format!("Received: from SmtpServer.Submit {by} Microsoft SMTP Server id 15.1.2507.17; d"),
        format!("Received: from a {by} ShadowRedundancy id 15.1.2507.17; d"),
        format!("Received: from a {by} MailboxResubmission id 15.1.2507.17; d"),
        smtp_line("client", "x.prod.outlook.com", "15.20.7000.1"),
        "Received: from a by b.example.org with Microsoft SMTPSVC(6.0.3790.4675); d".to_owned(),
        "Received: from a by b.example.org (Postfix) with ESMTP id 4XYZ; d".to_owned(),
        mapi_line("ex3.example.org", "15.01.2507.039"),
        "Received: from a (b".to_owned(),
    ];
    let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
    let evidence = greeted(&texts, "mail.example.org");
    assert_eq!(evidence.judged.as_ref().map(|judged| judged.hop), Some(0));
    let codes: Vec<_> = evidence.ignored.iter().map(|ignored| ignored.reason.code).collect();
    let expected = [
        "interior",
        "pickup",
        "submit_agent",
        "shadow_redundancy",
        "resubmission",
        "exchange_online",
        "smtp_service",
        "not_exchange",
        "mapi",
        "unreadable",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn the_internet_mail_service_is_judged_by_its_comment() {
    let line = "Received: by ex55.example.org with Internet Mail Service (5.5.2653.19) id <ABC>; d";
    assert_eq!(greeted(&[line], "ex55.example.org").judged.unwrap().build, build("5.5.2653.19"));
}

#[test]
fn the_count_of_lines_is_bounded() {
    let line = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let many = vec![line.as_str(); RECEIVED_LINES_MAX * 3];
    let evidence = greeted(&many, "mail.example.org");
    assert_eq!(evidence.ignored.len(), RECEIVED_LINES_MAX - 1);
    assert_eq!(evidence.beyond_limit, RECEIVED_LINES_MAX * 2);
    let judgement = catalogue().judge(&evidence, date("2026-11-23"));
    assert!(judgement.reasons.iter().any(|reason| reason.code == "beyond_limit"));
}

#[test]
fn own_hops_of_a_stored_message_are_skipped_and_name_the_client() {
    let inner = "Received: from mx.example.net by store.example.net (Postfix) with LMTP id 1; d";
    let outer = "Received: from mail.example.org (mail.example.org [192.0.2.1]) by mx.example.net (Postfix) with ESMTP id 2; d";
    let top = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let own = [domain("mx.example.net"), domain("store.example.net")];
    let evidence = evidence_of_message(&[inner, outer, &top], &own);
    assert_eq!(evidence.judged.unwrap().hop, 2);
    assert_eq!(evidence.ignored.len(), 2);
    let stranger = outer.replace("from mail.example.org", "from relay.example.com");
    assert_eq!(unknown_code(&evidence_of_message(&[inner, &stranger, &top], &own)), "name_mismatch");
    assert_eq!(unknown_code(&evidence_of_message(&[&top], &own)), "name_mismatch");
}

#[test]
fn a_stored_message_without_own_hops_is_judged_as_it_stands_or_the_option_is_named() {
    let top = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let judged = evidence_of_message(&[&top], &[]).judged.unwrap();
    assert_eq!(judged.reason.code, "topmost_as_it_stands");
    let postfix = "Received: from mail.example.org by mx.example.net (Postfix) with ESMTP id 2; d";
    let Standing::NotExchange(reason) = evidence_of_message(&[postfix, &top], &[]).standing else { panic!() };
    assert!(reason.text.contains("--received-by NAME"), "{reason}");
    let Standing::NotExchange(reason) = evidence_of_message(&[postfix], &[]).standing else { panic!() };
    assert!(!reason.text.contains("--received-by"), "no Exchange line stands below: {reason}");
}

#[test]
fn a_message_without_received_lines_or_with_an_unreadable_one_shows_nothing() {
    assert_eq!(unknown_code(&evidence_of_message(&[], &[])), "no_received");
    assert_eq!(unknown_code(&greeted(&[], "mail.example.org")), "no_received");
    assert_eq!(unknown_code(&greeted(&["from a (b"], "mail.example.org")), "unreadable");
}

#[test]
fn names_that_any_network_uses_count_only_when_configured() {
    for host in ["ex1.corp.local", "ex1.example.internal", "ex1.lan", "ex1"] {
        let line = smtp_line("client", host, "15.1.2507.39");
        assert_eq!(unknown_code(&greeted(&[&line], host)), "name_mismatch", "{host}");
        let names = [domain(host)];
        let configured = evidence(&[&line], &Connection { greeting_name: None, configured_names: &names });
        assert!(configured.judged.is_some(), "{host}");
    }
}

#[test]
fn the_pair_of_ids_of_2010_is_one_branch() {
    let top = smtp_line("client", "ex1.example.org", "14.3.498.0");
    let below = mapi_line("ex1.example.org", "14.03.0509.000");
    let judged = greeted(&[&top, &below], "mail.example.org").judged.unwrap();
    assert_eq!((judged.build, judged.form), (build("14.3.509.0"), Form::Mapi));
    let other = mapi_line("ex1.example.org", "14.02.0390.003");
    assert!(matches!(greeted(&[&top, &other], "mail.example.org").standing, Standing::Conflict(_)));
}

#[test]
fn a_mapi_line_at_the_same_level_shows_that_nothing_is_hidden() {
    let top = smtp_line("client", "ex1.example.org", "15.1.2176.2");
    let below = mapi_line("ex1.example.org", "15.01.2176.002");
    let judge = |lines: &[&str]| catalogue().judge(&greeted(lines, "mail.example.org"), date("2021-04-01"));
    assert_eq!(judge(&[&top]).verdict, crate::Verdict::Current);
    assert_eq!(judge(&[&top, &below]).verdict, crate::Verdict::Vulnerable);
}

#[test]
fn what_is_kept_of_a_line_is_escaped_and_bounded() {
    let odd = "from a by b.example.org (\u{1b}[2J\u{fc}) with ESMTP id 4X; d";
    let kept = &greeted(&[odd], "mail.example.org").ignored[0].header;
    assert_eq!(kept, "from a by b.example.org (\\x1b[2J\\xc3\\xbc) with ESMTP id 4X; d");
    let long = format!("from a by b.example.org ({}) with ESMTP id 4X; d", "x".repeat(3000));
    assert!(greeted(&[&long], "mail.example.org").ignored[0].header.len() < 1100);
    let mismatch = smtp_line("client", "\u{1b}]0;x\u{7}", "15.1.2507.39");
    assert!(!format!("{:?}", greeted(&[&mismatch], "mail.example.org")).contains('\u{1b}'));
}

#[test]
fn own_hops_are_told_from_other_lines() {
    let own = "Received: from mail.example.org by mx.example.net (Postfix) with ESMTP id 2; d";
    let top = smtp_line("client", "ex1.example.org", "15.1.2507.39");
    let evidence = evidence_of_message(&[own, &top], &[domain("mx.example.net")]);
    assert_eq!(evidence.ignored[0].reason.code, "own_hop");
    assert_eq!(evidence.judged.unwrap().reason.code, "topmost");
}
