use crate::{AwaitCommand, Closing, PlainNext, Protocol};

/// What came of it: the words to the client behind the greeting, how it ended, how many logins.
fn talk(protocol: Protocol, pieces: &[&[u8]]) -> (String, String, usize) {
    let (mut state, greeting) = AwaitCommand::open(protocol, "edge.example.org");
    assert!(!greeting.is_empty());
    let (mut said, mut logins) = (Vec::new(), 0);
    for piece in pieces {
        let step = state.handle(piece);
        said.extend(step.reply);
        logins += step.plain_logins;
        match step.next {
            PlainNext::Await(next) => state = next,
            PlainNext::Close(why) => return (text(&said), why.code().to_owned(), logins),
            PlainNext::StartTls => return (text(&said), "starttls".to_owned(), logins),
        }
    }
    (text(&said), "await".to_owned(), logins)
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// The same in whole, in lines and in single octets.
fn talk_each_way(protocol: Protocol, octets: &[u8]) -> (String, String, usize) {
    let whole = talk(protocol, &[octets]);
    let single: Vec<&[u8]> = octets.chunks(1).collect();
    assert_eq!(talk(protocol, &single), whole);
    whole
}

#[test]
fn imap_before_tls_answers_what_leads_to_tls_and_refuses_logins() {
    let said = talk_each_way(
        Protocol::Imap,
        b"a CAPABILITY\r\nb NOOP\r\nc LOGIN u p\r\nd authenticate PLAIN AHUAcA==\r\ne SELECT x\r\n+ x\r\nf STARTTLS\r\n",
    );
    let want = "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na OK CAPABILITY completed\r\nb OK NOOP completed\r\n\
                c NO [PRIVACYREQUIRED] TLS is needed before a login: STARTTLS\r\n\
                d NO [PRIVACYREQUIRED] TLS is needed before a login: STARTTLS\r\n\
                e BAD not understood, or TLS is needed first: STARTTLS\r\n* BAD a command needs a tag\r\nf OK begin TLS\r\n";
    assert_eq!(said, (want.to_owned(), "starttls".to_owned(), 2));
}

#[test]
fn imap_logout_ends_it_and_a_literal_that_is_not_waited_for_too() {
    let (said, end, _) = talk_each_way(Protocol::Imap, b"a LOGOUT\r\n");
    assert_eq!((said.as_str(), end.as_str()), ("* BYE closing\r\na OK LOGOUT completed\r\n", "logout"));
    let (said, end, _) = talk(Protocol::Imap, &[b"a LOGIN {10+}\r\nb STARTTLS\r\n"]);
    assert_eq!(end, "literal");
    assert!(!said.contains("OK"), "{said}");
}

#[test]
fn pop3_before_tls_names_stls_alone_and_refuses_logins() {
    let said = talk_each_way(
        Protocol::Pop3,
        b"CAPA\r\nUSER u\r\nPASS p\r\nAPOP u x\r\nAUTH PLAIN\r\nSTAT\r\nSTLS\r\n",
    );
    let login = "-ERR [AUTH] TLS is needed before a login: STLS\r\n".repeat(4);
    let want = format!(
        "+OK capabilities follow\r\nSTLS\r\nRESP-CODES\r\n.\r\n{login}-ERR not understood, or TLS is needed first: STLS\r\n+OK \
         begin TLS\r\n"
    );
    assert_eq!(said, (want, "starttls".to_owned(), 4));
}

#[test]
fn submission_before_tls_offers_starttls_alone_and_refuses_logins_and_mail() {
    let said = talk_each_way(
        Protocol::Submission,
        b"EHLO c\r\nAUTH PLAIN AHUAcA==\r\nMAIL FROM:<a@example.org>\r\nSTARTTLS now\r\nNOOP\r\nSTARTTLS\r\n",
    );
    let want = "250-edge.example.org\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n\
                538 5.7.11 TLS is needed before a login: STARTTLS\r\n530 5.7.0 Must issue a STARTTLS command first\r\n\
                501 5.5.4 STARTTLS takes no parameters\r\n250 2.0.0 OK\r\n220 2.0.0 begin TLS\r\n";
    assert_eq!(said, (want.to_owned(), "starttls".to_owned(), 1));
}

#[test]
fn octets_behind_starttls_in_one_piece_end_the_connection_without_consent() {
    for (protocol, octets) in [
        (Protocol::Imap, &b"a STARTTLS\r\nb LOGIN u p\r\n"[..]),
        (Protocol::Imap, b"a STARTTLS\r\n\x16"),
        (Protocol::Pop3, b"STLS\r\nUSER u\r\n"),
        (Protocol::Submission, b"EHLO c\r\nSTARTTLS\r\nRSET\r\n"),
    ] {
        let (said, end, _) = talk(protocol, &[octets]);
        assert_eq!(end, Closing::StartTlsInjection.code());
        assert!(!said.contains("begin TLS"), "{said}");
    }
}

#[test]
fn bare_line_ends_long_lines_and_endless_commands_end_the_connection() {
    assert_eq!(talk_each_way(Protocol::Imap, b"a STARTTLS\n").1, "bare_line_end");
    assert_eq!(talk_each_way(Protocol::Pop3, b"CAPA\rSTLS\r\n").1, "bare_line_end");
    assert_eq!(talk_each_way(Protocol::Submission, &[b'x'; 600]).1, "line_too_long");
    assert_eq!(talk_each_way(Protocol::Submission, &b"NOOP\r\n".repeat(17)).1, "too_many_commands");
}

#[test]
fn a_tag_is_never_echoed_with_octets_that_are_not_printable() {
    let (said, _, _) = talk_each_way(Protocol::Imap, b"a\x1b[2J NOOP\r\n\xff NOOP\r\n");
    assert_eq!(said, "* BAD a command needs a tag\r\n".repeat(2));
}
