use pc_smtp::{Command, Envelope};
use pc_types::Timestamp;

use crate::dsn::{self, Notification};
use crate::{
    Answer, Attempt, Entry, Gate, GateState, Next, Origin, Policy, Progress, Proof, RecipientState,
    ReportAction, after, due_at_latest, relayed, released,
};

const POLICY: Policy = Policy { expire_hours: 96, delay_report_hours: 4 };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn start() -> Timestamp {
    at("2026-11-02T10:00:00Z")
}

fn hours(hours: i64) -> Timestamp {
    Timestamp::from_second(start().as_second() + hours * 3_600).unwrap()
}

fn envelope(mail: &str, recipients: &[&str]) -> Envelope {
    let Ok(Command::Mail(reverse_path, parameters)) = Command::parse(mail.as_bytes()) else {
        panic!("{mail}")
    };
    let recipients = recipients
        .iter()
        .map(|line| match Command::parse(line.as_bytes()) {
            Ok(Command::Rcpt(recipient)) => recipient,
            other => panic!("{line}: {other:?}"),
        })
        .collect();
    Envelope { reverse_path, parameters, recipients }
}

fn two() -> Envelope {
    envelope("MAIL FROM:<a@example.net>", &["RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>"])
}

fn entry(envelope: &Envelope) -> Entry {
    let origin = Origin {
        id: "0123-4".to_owned(),
        target: "exchange".to_owned(),
        received_at: start(),
        address: "192.0.2.1".parse().unwrap(),
        greeting: "mail.example.net".to_owned(),
        connector: "default".to_owned(),
        proof: Proof::None,
        message_id: Some("<1@example.net>".to_owned()),
    };
    Entry::new(origin, envelope)
}

fn delivered() -> Answer {
    Answer::Delivered { dsn_offered: true }
}

#[test]
fn an_envelope_comes_back_from_its_entry_with_every_parameter() {
    let cases = [
        envelope("MAIL FROM:<>", &["RCPT TO:<Postmaster>"]),
        envelope(
            "MAIL FROM:<\"a b\"@example.net> SIZE=9 BODY=8BITMIME REQUIRETLS RET=HDRS ENVID=x+2By",
            &["RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org"],
        ),
        envelope(
            "MAIL FROM:<ä@example.net> SMTPUTF8 BODY=8BITMIME",
            &["RCPT TO:<ö@example.org> NOTIFY=NEVER"],
        ),
    ];
    for envelope in cases {
        let line = entry(&envelope).to_line().unwrap();
        assert!(!line.contains('\n'));
        let read = Entry::from_line(line.as_bytes()).unwrap();
        assert_eq!(read.envelope().unwrap(), envelope);
        assert_eq!(read, entry(&envelope));
    }
}

#[test]
fn an_entry_that_says_nothing_of_a_proof_proves_nothing() {
    let mut entry = entry(&two());
    entry.proof = Proof::Spf;
    let line = entry.to_line().unwrap();
    assert_eq!(Entry::from_line(line.as_bytes()).unwrap().proof, Proof::Spf);
    let without = line.replace(",\"proof\":\"spf\"", "");
    assert_ne!(without, line);
    assert_eq!(Entry::from_line(without.as_bytes()).unwrap().proof, Proof::None);
}

#[test]
fn a_torn_entry_is_an_error_and_never_half_a_message() {
    let line = entry(&two()).to_line().unwrap();
    for end in 0..line.len() {
        assert!(Entry::from_line(&line.as_bytes()[..end]).is_err(), "{end}");
    }
    let forged = line.replace("RCPT TO:<c@example.org>", "DATA");
    assert!(Entry::from_line(forged.as_bytes()).is_err());
}

#[test]
fn a_recipient_that_was_answered_for_is_never_offered_again() {
    let (envelope, now) = (two(), start());
    let entry = entry(&envelope);
    let first = after(
        &entry,
        &envelope,
        Progress::new(&entry),
        Attempt::Answered(vec![delivered(), Answer::Deferred("450 4.2.0 busy".to_owned())]),
        POLICY,
        now,
    );
    assert_eq!((first.next, first.progress.pending()), (Next::Wait, vec![1]));
    let waits = first.progress.next_attempt_at.as_second() - now.as_second();
    assert!((60..=72).contains(&waits), "{waits}");
    assert_eq!(first.progress.last_reply.as_deref(), Some("450 4.2.0 busy"));
    let second =
        after(&entry, &envelope, first.progress, Attempt::Answered(vec![delivered()]), POLICY, hours(1));
    assert_eq!((second.next, second.report), (Next::Finished, None));
    assert_eq!(second.progress.recipients, vec![RecipientState::Delivered; 2]);
}

#[test]
fn delays_grow_to_an_hour_and_no_message_waits_past_its_end() {
    let envelope = two();
    let entry = entry(&envelope);
    let (mut progress, mut now, mut longest) = (Progress::new(&entry), start(), 0);
    loop {
        let busy = Answer::Deferred("450 4.2.0 busy".to_owned());
        let attempt = Attempt::Answered(vec![busy.clone(), busy]);
        let outcome = after(&entry, &envelope, progress, attempt, POLICY, now);
        if outcome.next == Next::Finished {
            assert!(now >= hours(96));
            let report = outcome.report.unwrap();
            assert!(report.recipients.iter().all(|one| one.action == ReportAction::Failed));
            assert!(report.recipients[0].reply.starts_with("4.4.7 not delivered in 96 hours: 450"));
            break;
        }
        let next = outcome.progress.next_attempt_at;
        longest = longest.max(next.as_second() - now.as_second());
        assert!(next > now && next <= hours(96));
        (progress, now) = (outcome.progress, next);
    }
    assert!((3_600..=4_320).contains(&longest), "{longest}");
}

#[test]
fn an_unreachable_server_costs_the_message_no_attempt() {
    let envelope = two();
    let entry = entry(&envelope);
    let before = Progress::new(&entry);
    let attempt = || Attempt::Unreachable("connect: refused".to_owned());
    let outcome = after(&entry, &envelope, before.clone(), attempt(), POLICY, hours(1));
    assert_eq!((outcome.next, outcome.progress.attempts), (Next::Wait, 0));
    assert_eq!(outcome.progress.next_attempt_at, before.next_attempt_at);
    let late = after(&entry, &envelope, outcome.progress, attempt(), POLICY, hours(96));
    assert_eq!(late.next, Next::Finished);
    assert_eq!(late.report.unwrap().recipients.len(), 2);
}

#[test]
fn the_second_fault_of_ours_sets_a_message_aside() {
    let envelope = two();
    let entry = entry(&envelope);
    let fault = || Attempt::Failed("panic".to_owned());
    let first = after(&entry, &envelope, Progress::new(&entry), fault(), POLICY, start());
    assert_eq!(first.next, Next::Wait);
    let second = after(&entry, &envelope, first.progress, fault(), POLICY, start());
    assert!(matches!(second.next, Next::Aside(_)));
    let back = released(second.progress, hours(1));
    assert_eq!((back.aside, back.failures, back.next_attempt_at), (None, 0, hours(1)));
}

#[test]
fn reports_follow_what_the_sender_asked_for() {
    let refused = || Answer::Refused("550 5.1.1 unknown".to_owned());
    let relayed = || Answer::Delivered { dsn_offered: false };
    for (notify, answer, want) in [
        ("", refused(), Some(ReportAction::Failed)),
        (" NOTIFY=NEVER", refused(), None),
        (" NOTIFY=SUCCESS", refused(), None),
        (" NOTIFY=FAILURE", refused(), Some(ReportAction::Failed)),
        ("", relayed(), None),
        (" NOTIFY=SUCCESS", relayed(), Some(ReportAction::Relayed)),
        (" NOTIFY=SUCCESS", delivered(), None),
    ] {
        let rcpt = format!("RCPT TO:<b@example.org>{notify}");
        let envelope = envelope("MAIL FROM:<a@example.net>", &[&rcpt]);
        let entry = entry(&envelope);
        let attempt = Attempt::Answered(vec![answer]);
        let outcome = after(&entry, &envelope, Progress::new(&entry), attempt, POLICY, start());
        assert_eq!(outcome.next, Next::Finished);
        assert_eq!(outcome.report.map(|report| report.recipients[0].action), want, "{notify}");
    }
}

#[test]
fn a_delay_is_reported_once_and_only_where_it_may_be() {
    for (notify, want) in [("", 1), (" NOTIFY=FAILURE", 0), (" NOTIFY=DELAY", 1), (" NOTIFY=NEVER", 0)] {
        let rcpt = format!("RCPT TO:<b@example.org>{notify}");
        let envelope = envelope("MAIL FROM:<a@example.net>", &[&rcpt]);
        let entry = entry(&envelope);
        let (mut progress, mut reports) = (Progress::new(&entry), 0);
        for hour in 0..24 {
            let attempt = Attempt::Unreachable("down".to_owned());
            let outcome = after(&entry, &envelope, progress, attempt, POLICY, hours(hour));
            assert!(hour >= 4 || outcome.report.is_none());
            reports += usize::from(outcome.report.is_some());
            progress = outcome.progress;
        }
        assert_eq!(reports, want, "{notify}");
    }
}

#[test]
fn nothing_is_reported_to_a_null_reverse_path() {
    let envelope = envelope("MAIL FROM:<>", &["RCPT TO:<b@example.org>"]);
    let entry = entry(&envelope);
    let attempt = Attempt::Answered(vec![Answer::Refused("550 5.1.1 unknown".to_owned())]);
    let outcome = after(&entry, &envelope, Progress::new(&entry), attempt, POLICY, start());
    assert_eq!((outcome.next, outcome.report), (Next::Finished, None));
    assert!(dsn::envelope(&envelope).is_none());
}

#[test]
fn a_gate_shuts_longer_with_each_failure_and_opens_with_the_first_success() {
    let mut gate = Gate::default();
    let mut now = start();
    assert_eq!(gate.state(now), GateState::Open);
    let mut last = 0;
    for _ in 0..12 {
        gate = gate.failed("exchange", now);
        let GateState::Shut(until) = gate.state(now) else { panic!("{gate:?}") };
        assert_eq!(gate.clone().failed("exchange", now), gate, "attempts under way count once");
        let wait = until.as_second() - now.as_second();
        assert!(wait >= last.min(300) && wait <= 360, "{wait}");
        last = wait;
        now = until;
        assert_eq!(gate.state(now), GateState::Probe);
    }
    assert!(last >= 300);
    assert_eq!(gate.clone().succeeded().state(now), GateState::Open);
    let held = gate.held("maintenance");
    assert_eq!(held.clone().succeeded().state(now), GateState::Held);
    assert_eq!(held.released().state(now), GateState::Open);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_mail_waiting_for_the_time_it_ran_ahead() {
    let ahead = hours(24 * 365);
    let mut gate = Gate::default();
    for _ in 0..12 {
        gate = gate.failed("exchange", ahead);
        let GateState::Shut(until) = gate.state(ahead) else { panic!("{gate:?}") };
        assert_eq!(gate.state(start()), GateState::Probe, "{until}");
    }
    let GateState::Shut(_) = gate.clone().failed("exchange", start()).state(start()) else {
        panic!("a failure at the time that it is counts from there")
    };
    // Whatever the last attempt was, its message is not put off longer than attempts lie apart.
    let envelope = two();
    let entry = entry(&envelope);
    let mut progress = Progress::new(&entry);
    for _ in 0..20 {
        let answers = vec![Answer::Deferred("451 4.3.0 later".to_owned()); 2];
        let attempt = Attempt::Answered(answers);
        progress = after(&entry, &envelope, progress, attempt, POLICY, start()).progress;
        assert_eq!(due_at_latest(progress.next_attempt_at, start()), progress.next_attempt_at);
    }
    assert_eq!(due_at_latest(ahead, start()), start());
}

fn notification(envelope: &Envelope, answers: Vec<Answer>, original: &[u8]) -> String {
    let entry = entry(envelope);
    let outcome =
        after(&entry, envelope, Progress::new(&entry), Attempt::Answered(answers), POLICY, hours(1));
    let node_name = "edge.example.org".parse().unwrap();
    let notification = Notification {
        node_name: &node_name,
        id: "0123-4-r1",
        now: hours(1),
        entry: &entry,
        envelope,
        report: &outcome.report.unwrap(),
        original,
        original_octets: original.len() as u64,
    };
    String::from_utf8(notification.compose()).unwrap()
}

const ORIGINAL: &[u8] =
    b"Received: by edge.example.org\r\nSubject: hello\r\n\tagain\r\n\r\n--=_0123-4-r1--\r\nsecret body\r\n";

#[test]
fn a_notification_says_what_happened_to_whom_in_words_and_in_fields() {
    let envelope = envelope(
        "MAIL FROM:<a@example.net> ENVID=id+2B1",
        &["RCPT TO:<b@example.org> ORCPT=rfc822;old+2Bb@example.org", "RCPT TO:<c@example.org>"],
    );
    let answers = vec![Answer::Refused("550 5.1.1 no such user".to_owned()), delivered()];
    let text = notification(&envelope, answers, ORIGINAL);
    for want in [
        "From: Mail Delivery System <postmaster@edge.example.org>\r\nTo: <a@example.net>\r\nSubject: Failed: ",
        "Date: Mon, 02 Nov 2026 11:00:00 +0000\r\nMessage-ID: <0123-4-r1@edge.example.org>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_0123-4-r1\"",
        "<b@example.org>: not delivered, and it will not be tried again\r\n    550 5.1.1 no such user\r\n",
        "Reporting-MTA: dns; edge.example.org\r\nOriginal-Envelope-Id: id+1\r\nArrival-Date: Mon, 02 Nov 2026",
        "\r\n\r\nOriginal-Recipient: rfc822; old+b@example.org\r\nFinal-Recipient: rfc822; b@example.org\r\nAction: \
         failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "Content-Type: text/rfc822-headers\r\n",
        "Subject: hello\r\n\tagain\r\n\r\n--=_0123-4-r1--\r\n",
    ] {
        assert!(text.contains(want), "{want}\n---\n{text}");
    }
    assert!(!text.contains("c@example.org") && !text.contains("secret"));
    assert_eq!(text.matches("\r\n--=_0123-4-r1").count(), 4);
}

#[test]
fn the_whole_message_comes_back_to_who_asked_for_it() {
    let envelope = envelope("MAIL FROM:<a@example.net> RET=FULL", &["RCPT TO:<b@example.org>"]);
    let text = notification(&envelope, vec![Answer::Refused("550 5.1.1 no such user".to_owned())], ORIGINAL);
    assert!(text.contains("Content-Type: message/rfc822\r\n") && text.contains("secret body\r\n"));
}

#[test]
fn of_a_message_that_requires_tls_only_the_header_comes_back_and_requires_it_too() {
    let envelope = envelope("MAIL FROM:<a@example.net> REQUIRETLS RET=FULL", &["RCPT TO:<b@example.org>"]);
    let text = notification(&envelope, vec![Answer::Refused("550 5.7.30 no".to_owned())], ORIGINAL);
    assert!(text.contains("Content-Type: text/rfc822-headers\r\n") && !text.contains("secret body"));
    assert!(text.contains("Status: 5.7.30\r\n"), "{text}");
    assert!(dsn::envelope(&envelope).unwrap().parameters.requiretls);
}

#[test]
fn relaying_is_reported_for_the_recipients_that_asked() {
    let to = [
        "RCPT TO:<b@example.org>",
        "RCPT TO:<c@example.org> NOTIFY=SUCCESS",
        "RCPT TO:<d@example.org> NOTIFY=NEVER",
    ];
    let report = relayed(&envelope("MAIL FROM:<a@example.net>", &to)).unwrap();
    let told: Vec<_> = report.recipients.iter().map(|one| (one.index, one.action)).collect();
    assert_eq!(told, [(1, ReportAction::Relayed)]);
    assert_eq!(relayed(&envelope("MAIL FROM:<>", &to)), None);
    assert_eq!(relayed(&two()), None);
}

#[test]
fn no_reply_adds_a_line_to_a_notification() {
    let reply = format!("550 5.1.1 no\r\nBcc: x@example.net\r\n\r\n--=_0123-4-r1--{}", "x".repeat(2_000));
    let text = notification(&two(), vec![Answer::Refused(reply), delivered()], ORIGINAL);
    assert!(!text.contains("\r\nBcc"));
    assert_eq!(text.matches("\r\n--=_0123-4-r1").count(), 4);
    assert!(text.split("\r\n").all(|line| line.len() <= 998));
}

#[test]
fn addresses_beyond_ascii_are_reported_in_their_own_form() {
    let envelope = envelope("MAIL FROM:<ä@example.net> SMTPUTF8", &["RCPT TO:<ö@example.org>"]);
    let text = notification(&envelope, vec![Answer::Refused("550 weird".to_owned())], ORIGINAL);
    assert!(text.contains("Content-Type: message/global-delivery-status\r\n"));
    assert!(text.contains("Final-Recipient: utf-8; ö@example.org\r\nAction: failed\r\nStatus: 5.0.0\r\n"));
    assert!(dsn::envelope(&envelope).unwrap().parameters.smtputf8);
}
