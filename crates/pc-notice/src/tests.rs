use super::*;
use pc_types::{Domain, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn aside(id: &str, reason: &str) -> Notice {
    Notice::MessageAside {
        id: id.into(),
        target: "exchange".into(),
        reverse_path: "a@example.net".into(),
        reason: reason.into(),
        at: at("2026-11-23T10:00:00Z"),
    }
}

fn waiting(number: i64, since: &str) -> Waiting {
    Waiting { number, at: at(since), addressee: Addressee::Operator, notice: aside("t1", "it failed") }
}

#[test]
fn what_happens_together_is_told_together_and_not_too_often() {
    let two = [waiting(1, "2026-11-23T10:00:00Z"), waiting(2, "2026-11-23T10:00:30Z")];
    let look = |last: Option<&str>, now: &str| match due(&two, last.map(at), 15, at(now)) {
        Due::Nothing => "nothing".to_owned(),
        Due::Now(all) => format!("{} now", all.len()),
        Due::Later(moment) => moment.to_string(),
    };
    assert_eq!(due(&[], None, 15, at("2026-11-23T10:00:00Z")), Due::Nothing);
    assert_eq!(look(None, "2026-11-23T10:00:59Z"), "2026-11-23T10:01:00Z");
    assert_eq!(look(None, "2026-11-23T10:01:00Z"), "2 now");
    assert_eq!(look(Some("2026-11-23T09:50:00Z"), "2026-11-23T10:02:00Z"), "2026-11-23T10:05:00Z");
    assert_eq!(look(Some("2026-11-23T09:50:00Z"), "2026-11-23T10:05:00Z"), "2 now");
    assert_eq!(look(Some("2027-01-01T00:00:00Z"), "2026-11-23T10:01:00Z"), "2 now", "a date from the future");
    assert_eq!(look(None, "2026-11-23T09:00:00Z"), "2 now", "a clock that was set back");
}

#[test]
fn a_mail_says_that_a_machine_wrote_it_and_is_the_same_each_time() {
    let node: Domain = "edge.example.org".parse().unwrap();
    let to = ["postmaster@example.org".to_owned()];
    let mail = Mail {
        id: "notice-1",
        now: at("2026-11-23T10:00:00Z"),
        node_name: &node,
        from: "postmaster@edge.example.org",
        to: &to,
        subject: "edge.example.org: 1 message waits for you",
        text: "one\ntwo\n",
        html: None,
        language: Language::En,
        reply_to: None,
    };
    let octets = mail.compose().unwrap();
    assert_eq!(octets, mail.compose().unwrap());
    let text = String::from_utf8(octets).unwrap();
    for line in [
        "From: Portcullis <postmaster@edge.example.org>\r\n",
        "To: postmaster@example.org\r\n",
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n",
        "Message-ID: <notice-1@edge.example.org>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "X-Auto-Response-Suppress: All\r\n",
        "\r\n\r\none\r\ntwo\r\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "no line end but CRLF");
    let bad = ["two words".to_owned()];
    assert!(matches!(Mail { to: &bad, ..mail }.compose(), Err(MailError::Address(_))));
}

#[test]
fn a_digest_names_each_message_the_reason_and_what_to_do() {
    let node: Domain = "edge.example.org".parse().unwrap();
    let hostile = aside("t2", "550 5.7.1 no\r\nBcc: everybody\u{1b}[2J");
    let one = aside("t1", "handling it failed 2 times");
    let (subject, text) = digest(&node, &[&one, &hostile]);
    assert_eq!(subject, "edge.example.org: 2 messages wait for you");
    assert!(
        text.contains("t1   for exchange, set aside 2026-11-23T10:00:00Z\n    from <a@example.net>\n"),
        "{text}"
    );
    assert!(text.contains("portcullis spool retry ID"), "{text}");
    assert!(!text.contains("\r") && !text.contains("\u{1b}") && !text.contains("\nBcc"), "{text}");
    let many = vec![&one; limits::DIGEST_MESSAGES_MAX + 3];
    let (_, text) = digest(&node, &many);
    assert_eq!(text.matches("t1   for").count(), limits::DIGEST_MESSAGES_MAX);
    assert!(text.contains("... and 3 more"), "{text}");
}

#[test]
fn what_the_outbox_keeps_is_read_back() {
    let notice = aside("t1", "why");
    let json = notice.to_json();
    assert!(json.starts_with("{\"kind\":\"message_aside\""), "{json}");
    assert_eq!(Notice::from_json(&json), Some(notice));
    assert_eq!(Notice::from_json("{\"kind\":\"of a later version\"}"), None);
    assert_eq!("operator".parse(), Ok(Addressee::Operator));
    assert!("nobody".parse::<Addressee>().is_err());
}
