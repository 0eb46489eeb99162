//! The twelve ways in which headers show a wrong build or none.

use super::*;
use crate::{Connection, Evidence, Standing, Verdict, evidence};

fn greeted(received: &[&str], greeting: &str) -> Evidence {
    let greeting = domain(greeting);
    evidence(received, &Connection { greeting_name: Some(&greeting), configured_names: &[] })
}

#[test]
fn f1_pickup_agent_shadow_and_resubmission_lines_are_never_judged() {
    let by = "by ex1.example.org with";
    for line in [
        format!("from Pickup {by} Microsoft SMTP Server id 15.1.2507.17; d"),
        format!("from SmtpServer.Submit {by} Microsoft SMTP Server id 15.1.2507.17; d"),
        format!("from ex2.example.org (192.0.2.1) {by} ShadowRedundancy id 15.2.792.3; d"),
        format!("from ex2.example.org (192.0.2.1) {by} MailboxResubmission id 15.2.792.3; d"),
    ] {
        let evidence = greeted(&[&line], "mail.example.org");
        assert_eq!(evidence.judged, None, "{line}");
        assert_eq!(catalogue().judge(&evidence, date("2024-06-01")).verdict, Verdict::Unknown, "{line}");
    }
}

#[test]
fn f2_a_member_that_stamps_an_old_build_on_pickup_mail_is_not_held_to_it() {
    let pickup = "from Pickup by ex1.example.org with Microsoft SMTP Server id 15.1.2507.17; d";
    let top = smtp_line("ex1.example.org", "ex2.example.org", "15.1.2507.39");
    let judged = greeted(&[&top, pickup], "mail.example.org").judged.unwrap();
    assert_eq!(judged.build, build("15.1.2507.39"));
}

#[test]
fn f3_an_id_one_below_the_release_is_read_as_the_release() {
    let assessment = assess("15.0.1497.32", Form::Smtp, "2022-04-01");
    assert_eq!(assessment.update(), Some("CU23 Mar22SU"));
    assert_eq!(assessment.state(), Verdict::Current);
    assert_eq!(assess("15.0.1497.38", Form::Smtp, "2022-09-01").update(), Some("CU23 Aug22SU"));
    assert_eq!(assess("15.1.2375.34", Form::Smtp, "2022-12-01").update(), Some("CU22 Nov22SU"));
}

#[test]
fn f4_before_may_2021_the_smtp_id_stays_at_the_cumulative_update() {
    let alone = assess("15.2.858.5", Form::Smtp, "2021-05-01");
    assert_eq!(alone.state(), Verdict::Current, "{:?}", alone.missing());
    assert!(alone.not_visible().iter().any(|update| update.update == "CU9 Apr21SU"));
    let top = smtp_line("client", "ex1.example.org", "15.2.858.5");
    let below = mapi_line("ex1.example.org", "15.02.0858.010");
    let judged = greeted(&[&top, &below], "mail.example.org").judged.unwrap();
    assert_eq!(judged.build, build("15.2.858.10"));
}

#[test]
fn f5_ids_of_2007_and_2010_that_are_no_release_still_name_their_product() {
    for (id, product) in
        [("8.1.358.0", "2007"), ("8.3.298.1", "2007"), ("14.3.439.0", "2010"), ("14.3.498.0", "2010")]
    {
        let assessment = assess(id, Form::Smtp, "2026-11-23");
        assert_eq!((assessment.state(), assessment.product()), (Verdict::Unsupported, Some(product)));
    }
}

#[test]
fn f6_the_mapi_line_of_another_host_neither_raises_nor_lowers() {
    let top = smtp_line("client", "ex1.example.org", "15.0.1210.3");
    let below = mapi_line("ex2.example.org", "15.00.1178.000");
    let judged = greeted(&[&top, &below], "mail.example.org").judged.unwrap();
    assert_eq!((judged.build, judged.form), (build("15.0.1210.3"), Form::Smtp));
}

#[test]
fn f7_exchange_behind_another_relay_is_not_judged() {
    let top = "from ex1.example.org by relay.example.org (Postfix) with ESMTPS id 4X; d";
    let below = smtp_line("client", "ex1.example.org", "15.1.2507.6");
    let evidence = greeted(&[top, &below], "relay.example.org");
    assert!(matches!(evidence.standing, Standing::NotExchange(_)));
    let codes: Vec<_> = evidence.ignored.iter().map(|ignored| ignored.reason.code).collect();
    assert_eq!(codes, ["not_exchange", "interior"]);
}

#[test]
fn f8_an_old_server_behind_a_newer_front_is_listed_but_not_judged() {
    let top = smtp_line("mbx.example.org", "front.example.org", "15.2.2562.17");
    let below = smtp_line("client", "mbx.example.org", "15.1.2507.39");
    let evidence = greeted(&[&top, &below], "mail.example.org");
    assert_eq!(evidence.judged.unwrap().build, build("15.2.2562.17"));
    assert_eq!(evidence.ignored[0].reason.code, "interior");
    assert_eq!(evidence.ignored[0].header, below);
    assert_eq!(evidence.ignored[0].interior, Some(build("15.1.2507.39")));
    let pickup = "from Pickup by mbx.example.org with Microsoft SMTP Server id 15.1.2507.17; d";
    assert_eq!(
        greeted(&[&top, pickup], "mail.example.org").ignored[0].interior,
        None,
        "it shows no program's version"
    );
}

#[test]
fn f9_the_version_of_the_windows_smtp_service_is_not_one_of_exchange() {
    for version in ["6.0.3790.4675", "7.5.7601.17514", "8.5.9600.16384", "10.0.17763.1"] {
        let line = format!("from a ([192.0.2.1]) by ex.example.org with Microsoft SMTPSVC({version}); d");
        let evidence = greeted(&[&line], "ex.example.org");
        assert!(matches!(evidence.standing, Standing::NotExchange(_)));
        assert_eq!(evidence.ignored[0].reason.code, "smtp_service");
    }
}

#[test]
fn f10_the_ids_of_the_hosted_service_are_no_installed_version() {
    for id in ["15.20.7000.1", "15.21.92.5"] {
        let line = smtp_line("client", "ex1.example.org", id);
        let judgement = catalogue().judge(&greeted(&[&line], "mail.example.org"), date("2026-11-23"));
        assert_eq!(judgement.verdict, Verdict::NotExchange);
        assert_eq!((judgement.product.as_deref(), judgement.build), (Some("exchange-online"), None));
        let bare = catalogue().judge_build(build(id), Form::Exact, date("2026-11-23"));
        assert_eq!((bare.verdict, bare.product.as_deref()), (Verdict::NotExchange, Some("exchange-online")));
    }
}

/// The stale version of a subscribed Edge server sits in the directory, and only lines written from
/// the directory show it; its SMTP line shows its programs.
#[test]
fn f11_an_edge_server_is_judged_by_its_smtp_line_only() {
    let stale = "from SmtpServer.Submit by edge.example.org with Microsoft SMTP Server id 15.1.1713.5; d";
    assert_eq!(greeted(&[stale], "edge.example.org").judged, None);
    let top = smtp_line("mbx.example.org", "edge.example.org", "15.2.2562.56");
    assert_eq!(greeted(&[&top, stale], "edge.example.org").judged.unwrap().build, build("15.2.2562.56"));
}

#[test]
fn f12_a_line_in_the_name_of_a_third_party_frames_nobody() {
    let framed = smtp_line("client", "ex1.victim.example", "15.0.847.32");
    let evidence = greeted(&[&framed], "sender.example.net");
    assert_eq!(evidence.judged, None);
    assert_eq!(evidence.ignored[0].reason.code, "name_mismatch");
    let hidden = "from a (by ex1.example.org with Microsoft SMTP Server id 15.0.847.32) by sender.example.net \
                  with ESMTP id 4X; d";
    assert_eq!(greeted(&[hidden], "ex1.example.org").judged, None);
}
