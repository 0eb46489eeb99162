use std::fs;
use std::path::Path;

use super::*;
use crate::invariants;

fn parse(field: &str) -> ReceivedLine<'_> {
    ReceivedLine::parse(field)
}

const SMTP: &str = "Received: from mail.example.net (192.0.2.1) by ex1.example.org (192.0.2.5) with Microsoft \
                    SMTP Server (version=TLS1_2, cipher=TLS_AES_256_GCM_SHA384) id 15.1.2507.39 via Frontend \
                    Transport; Tue, 1 Oct 2024 10:00:00 +0000";

#[test]
fn an_smtp_line_shows_writer_client_and_build() {
    let line = parse(SMTP);
    assert_eq!(line.kind, LineKind::ExchangeSmtp(Build::new(15, 1, 2507, 39)));
    assert_eq!(line.by_host, Some("ex1.example.org"));
    assert_eq!(line.from_name, Some("mail.example.net"));
    assert_eq!(line.id, Some("15.1.2507.39"));
}

#[test]
fn the_field_name_may_be_absent_and_folding_does_not_matter() {
    let bare = SMTP.strip_prefix("Received: ").unwrap();
    assert_eq!(parse(bare), parse(SMTP));
    assert_eq!(parse(&SMTP.replace(' ', "\r\n\t")), parse(SMTP));
}

#[test]
fn an_id_inside_a_comment_or_a_quoted_string_does_not_count() {
    let forged = [
        "from a (x with Microsoft SMTP Server id 15.2.2562.56) by b.example.org (Postfix) with ESMTP id 4X; d",
        "from \"a by c with Microsoft SMTP Server id 15.2.2562.56\" by b.example.org with ESMTP id 4X; d",
        "from a by b.example.org (c with Microsoft SMTP Server id 15.2.2562.56) with ESMTP id 4X; d",
        "from a by b.example.org with ESMTP id 4X; d with Microsoft SMTP Server id 15.2.2562.56",
    ];
    for field in forged {
        let line = parse(field);
        assert_eq!((line.kind, line.by_host), (LineKind::Other, Some("b.example.org")), "{field}");
    }
    let line =
        parse("from a by b.example.org with Microsoft SMTP Server (id 15.2.2562.56) id 15.1.2507.6; d");
    assert_eq!(line.build(), Some(Build::new(15, 1, 2507, 6)));
}

#[test]
fn a_client_named_like_a_keyword_does_not_move_the_clauses() {
    for name in ["by", "with", "id", "from", "via", "for"] {
        let field =
            format!("from {name} (192.0.2.1) by b.example.org with Microsoft SMTP Server id 15.1.2507.39; d");
        let line = parse(&field);
        assert_eq!(line.by_host, Some("b.example.org"), "{name}");
        assert_eq!(line.from_name, Some(name));
        assert_eq!(line.build(), Some(Build::new(15, 1, 2507, 39)));
    }
}

/// A client may greet with a whole line; a server that copies greetings unseen then writes a line
/// that begins like one of the victim's Exchange.
#[test]
fn a_greeting_that_holds_the_clauses_of_another_line_makes_none() {
    let tail = "(client.example.net [192.0.2.9]) by relay.example.org (Postfix) with ESMTP id 4XYZ; d";
    for greeting in [
        "x by ex.example.org with Microsoft SMTP Server id 15.0.847.32",
        "x by ex.example.org with Microsoft SMTP Server id 15.0.847.32; d",
        "x by ex.example.org with Microsoft SMTP Server id 15.0.847.32 via Frontend Transport",
        "x by ex.example.org with Microsoft SMTP Server id 15.0.847.32; d (",
        "x by ex.example.org with Microsoft SMTP Server id 15.0.847.32; d \"",
        "x by ex.example.org with mapi id 15.00.0847.032 for <a@example.org>",
    ] {
        let field = format!("from {greeting} {tail}");
        assert_eq!(parse(&field).kind, LineKind::Unreadable, "{field}");
    }
    for field in [
        "from two words by ex.example.org with Microsoft SMTP Server id 15.0.847.32; d",
        "from a by ex.example.org over something with Microsoft SMTP Server id 15.0.847.32; d",
        "from a by ex.example.org with Microsoft SMTP Server id 15.0.847.32 and more; d",
        "from a by ex.example.org with Microsoft SMTP Server id 15.0.847.32 id 15.2.2562.56; d",
    ] {
        assert_eq!(parse(field).kind, LineKind::Unreadable, "{field}");
    }
}

#[test]
fn the_transport_service_is_read_behind_the_id() {
    assert_eq!(parse(SMTP).via, Some(Via::FrontendTransport));
    assert_eq!(
        parse("from a by b.example.org with mapi id 15.1.2507.6 via Mailbox Transport; d").via,
        Some(Via::MailboxTransport)
    );
    assert_eq!(parse("from a by b.example.org with mapi id 15.1.2507.6 via Pigeon; d").via, Some(Via::Other));
    assert_eq!(parse("from a by b.example.org with mapi id 15.1.2507.6; d").via, None);
}

#[test]
fn words_that_are_no_received_line_are_those_of_another_program() {
    for field in ["hello world", "Received: (qmail 12 invoked by uid 101); d", "; d"] {
        assert_ne!(parse(field).build(), Some(Build::new(15, 1, 2507, 6)));
        assert!(matches!(parse(field).kind, LineKind::Other | LineKind::Unreadable), "{field}");
    }
}

#[test]
fn lines_that_were_not_taken_over_the_network_are_told_apart() {
    let by = "by ex.example.org with";
    let id = "id 15.1.2507.17; d";
    assert_eq!(parse(&format!("from Pickup {by} Microsoft SMTP Server {id}")).kind, LineKind::Pickup);
    assert_eq!(
        parse(&format!("from SmtpServer.Submit {by} Microsoft SMTP Server {id}")).kind,
        LineKind::SubmitAgent
    );
    assert_eq!(parse(&format!("from a {by} ShadowRedundancy {id}")).kind, LineKind::ShadowRedundancy);
    assert_eq!(parse(&format!("from a {by} MailboxResubmission {id}")).kind, LineKind::MailboxResubmission);
}

#[test]
fn the_hosted_service_is_known_by_its_host_names_and_by_its_ids() {
    for (host, id) in [
        ("am1pr01mb1.eurprd01.prod.outlook.com", "15.20.7000.1"),
        ("mwhpr02.outlook.office365.com", "15.1.829.7"),
        ("bl2ffo11hub044.protection.gbl", "15.1.293.9"),
        ("ex.example.org", "15.21.92.5"),
        ("ex.example.org", "15.20.7000.1"),
    ] {
        let field = format!("from a by {host} with Microsoft SMTP Server id {id}; d");
        let line = parse(&field);
        assert_eq!(line.kind, LineKind::ExchangeOnline, "{host} {id}");
    }
    let line = parse("from a by ex.notoutlook.com with Microsoft SMTP Server id 15.1.829.7; d");
    assert_eq!(line.build(), Some(Build::new(15, 1, 829, 7)));
}

#[test]
fn an_exchange_line_without_a_build_claims_none() {
    for tail in
        ["; d", " id; d", " id ABC; d", " id 15.1.2507; d", " id 15.1.99999.1; d", " (id 15.1.2507.6); d"]
    {
        for with in ["mapi", "Microsoft SMTP Server"] {
            let field = format!("from a by b.example.org with {with}{tail}");
            let line = parse(&field);
            assert_eq!(line.kind, LineKind::ExchangeWithoutId, "{with}{tail}");
        }
    }
    let ims = parse("by b.example.org with Internet Mail Service (5.5.2653.19); d");
    assert_eq!(ims.kind, LineKind::InternetMailService(None));
}

#[test]
fn broken_and_oversized_fields_are_unreadable() {
    let long =
        format!("from a by b.example.org ({}) with mapi id 15.1.2507.6", "x".repeat(RECEIVED_OCTETS_MAX));
    let deep = format!("from a {}x{} by b", "(".repeat(40), ")".repeat(40));
    for field in ["", "Received:", "\r\n\t", "from a (b", "from \"a", "from a (\\", &long, &deep] {
        assert_eq!(parse(field).kind, LineKind::Unreadable, "{field:.60}");
    }
}

#[test]
fn a_field_at_the_length_limit_is_read() {
    let frame = "from a () by b.example.org with mapi id 15.1.2507.6";
    let filling = "x".repeat(RECEIVED_OCTETS_MAX - frame.len());
    let field = frame.replace("()", &format!("({filling})"));
    assert_eq!(field.len(), RECEIVED_OCTETS_MAX);
    assert_eq!(parse(&field).build(), Some(Build::new(15, 1, 2507, 6)));
}

#[test]
fn the_corpus_of_the_fuzz_target_keeps_the_invariants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/received");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        invariants::received(&fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 24, "{count} files");
}

#[test]
fn any_cut_and_any_changed_octet_of_a_line_keeps_the_invariants() {
    for cut in 0..SMTP.len() {
        invariants::received(&SMTP.as_bytes()[..cut]);
        for octet in [b'(', b')', b'"', b'\\', b';', b' ', 0, 0xff] {
            let mut changed = SMTP.as_bytes().to_vec();
            changed[cut] = octet;
            invariants::received(&changed);
        }
    }
}
