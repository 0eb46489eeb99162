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
    let webhook = Addressee::Webhook("ops".into());
    assert_eq!(webhook.to_string().parse(), Ok(webhook));
    assert!("webhook ".parse::<Addressee>().is_err());
    assert!("nobody".parse::<Addressee>().is_err());
}

#[test]
fn one_mail_is_about_one_server_and_a_day_brings_at_most_five() {
    let tenant = Addressee::Tenant("example".into());
    let now = at("2026-11-23T10:01:00Z");
    let about = |number: i64, id: &str| {
        let server = ServerFacts {
            id: id.into(),
            address: "192.0.2.1".parse().unwrap(),
            greeting_name: None,
            tenant: None,
            product: None,
            build: None,
            update: None,
            header: None,
            shown_at: None,
            lack: None,
            floor: None,
            acts: Acts::Report,
            stages: 8,
            stage: None,
            ahead: Vec::new(),
            paused_until: None,
            exempt_until: None,
        };
        let notice = Notice::StageBegun { server: Box::new(server) };
        Waiting { number, at: at("2026-11-23T10:00:00Z"), addressee: tenant.clone(), notice }
    };
    let look = |waiting: &[Waiting], mails: &[&str], now: Timestamp| {
        let mails: Vec<Timestamp> = mails.iter().map(|mail| at(mail)).collect();
        let (parcels, later) = parcels(waiting, &tenant, &mails, now);
        let shown: Vec<String> = parcels
            .iter()
            .map(|parcel| match parcel {
                Parcel::Server(all) => format!("server {}", all.len()),
                Parcel::Servers(all) => format!("servers {}", all.len()),
            })
            .collect();
        (shown.join(", "), later.map(|later| later.to_string()).unwrap_or_default())
    };
    let two = [about(1, "a"), about(2, "b"), about(3, "a")];
    assert_eq!(look(&two, &[], at("2026-11-23T10:00:59Z")), (String::new(), "2026-11-23T10:01:00Z".into()));
    assert_eq!(look(&two, &[], now), ("server 2, server 1".into(), String::new()));
    let six: Vec<Waiting> = (1..=6).map(|number| about(number, &number.to_string())).collect();
    assert_eq!(look(&six, &[], now), ("servers 6".into(), String::new()));
    let four =
        ["2026-11-22T10:02:00Z", "2026-11-22T12:00:00Z", "2026-11-23T01:00:00Z", "2026-11-23T02:00:00Z"];
    assert_eq!(
        look(&two, &four, now),
        ("servers 3".into(), String::new()),
        "the last one of the day is for all"
    );
    let five = [four.as_slice(), &["2026-11-23T03:00:00Z"]].concat();
    assert_eq!(look(&two, &five, now), (String::new(), "2026-11-23T10:02:00Z".into()));
    let old = ["2026-11-22T10:00:00Z", "2027-01-01T00:00:00Z"];
    assert_eq!(
        look(&two, &[four.as_slice(), &old].concat(), now).0,
        "servers 3",
        "neither past nor future counts"
    );
    assert_eq!(look(&[waiting(1, "2026-11-23T10:00:00Z")], &[], now).0, "", "it is the operator's");
}

#[test]
fn addressees_are_read_back() {
    for addressee in [
        Addressee::Operator,
        Addressee::Connector("of a partner".into()),
        Addressee::Tenant("with space".into()),
        Addressee::Postmaster("example.net".parse().unwrap()),
    ] {
        assert_eq!(addressee.to_string().parse(), Ok(addressee));
    }
    for text in ["tenant ", "tenant", "connector ", "postmaster@", "postmaster@-", "webhook ", "pager x"] {
        assert!(text.parse::<Addressee>().is_err(), "{text}");
    }
}

#[test]
fn the_operator_is_told_what_is_amiss_with_the_catalogue_and_what_to_do() {
    let refused = Notice::CatalogueRefused {
        source: "https://feeds.example.org/kev.json".into(),
        code: "status".into(),
        error: "the server answered 500\r\n".into(),
        at: at("2026-11-23T10:00:00Z"),
    };
    let as_of = "2026-10-13".parse().unwrap();
    let stale = Notice::CatalogueStale { as_of, days: 46, at: at("2026-11-28T10:00:00Z") };
    for notice in [&refused, &stale] {
        assert_eq!(Notice::from_json(&notice.to_json()).as_ref(), Some(notice));
        assert!(notice.server().is_none());
    }
    let (subject, text) = catalogue_digest(&"edge.example.org".parse().unwrap(), &[&refused, &stale]);
    assert_eq!(subject, "edge.example.org: the catalogue is not up to date");
    assert!(
        text.contains("https://feeds.example.org/kev.json\n    the server answered 500\\x0d\\x0a\n"),
        "{text}"
    );
    assert!(text.contains("the newest fact is of 2026-10-13, 46 days old"), "{text}");
    assert!(text.contains("portcullis catalog update"), "{text}");
}
