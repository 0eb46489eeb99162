use super::*;

fn parse(line: &str) -> Result<Command, SyntaxError> {
    Command::parse(line.as_bytes())
}

#[test]
fn commands_are_read_without_regard_to_case() {
    assert_eq!(parse("data"), Ok(Command::Data));
    assert_eq!(parse("Rset"), Ok(Command::Rset));
    assert_eq!(parse("QUIT "), Ok(Command::Quit));
    assert_eq!(parse("NOOP anything"), Ok(Command::Noop));
    assert_eq!(parse("starttls"), Ok(Command::Starttls));
    assert_eq!(parse("DATA now"), Err(SyntaxError::Argument));
}

#[test]
fn greeting_names_keep_their_text_and_become_domains_where_they_can() {
    let Ok(Command::Ehlo(name)) = parse("EHLO Mail.Example.ORG") else { panic!() };
    assert_eq!(name.text, "Mail.Example.ORG");
    assert_eq!(name.domain.unwrap().as_str(), "mail.example.org");
    let Ok(Command::Ehlo(literal)) = parse("EHLO [192.0.2.1]") else { panic!() };
    assert_eq!(literal.domain, None);
    for line in ["EHLO", "EHLO two words", "EHLO bell\x07", "HELO "] {
        assert_eq!(parse(line), Err(SyntaxError::Argument), "{line}");
    }
}

#[test]
fn mail_takes_the_parameters_of_every_offered_extension() {
    let line = "MAIL FROM:<user@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb";
    let Ok(Command::Mail(path, parameters)) = parse(line) else { panic!() };
    assert_eq!(path.to_string(), "user@example.org");
    assert_eq!(parameters.size_octets, Some(1000));
    assert_eq!(parameters.body, Some(BodyType::EightBitMime));
    assert!(parameters.smtputf8);
    assert_eq!(parameters.ret, Some(Ret::Headers));
    assert_eq!(parameters.envid.as_deref(), Some("a+2Bb"));
    assert!(matches!(parse("MAIL FROM:<>"), Ok(Command::Mail(ReversePath::Null, _))));
    // Sendmail and others put a space after the colon; RFC 5321 forbids it, refusing it loses mail.
    assert!(parse("mail from: <user@example.org>").is_ok());
}

#[test]
fn bad_parameters_are_told_from_unknown_ones() {
    let value = Err(SyntaxError::ParameterValue);
    let unknown = Err(SyntaxError::UnknownParameter);
    for (line, want) in [
        ("MAIL FROM:<a@example.org> SIZE=x", &value),
        ("MAIL FROM:<a@example.org> SIZE", &value),
        ("MAIL FROM:<a@example.org> SIZE=1 SIZE=2", &value),
        ("MAIL FROM:<a@example.org> SIZE=99999999999999999999", &value),
        ("MAIL FROM:<a@example.org> BODY=BINARYMIME", &value),
        ("MAIL FROM:<a@example.org> RET=SOME", &value),
        ("MAIL FROM:<a@example.org> ENVID=a+2b", &value),
        ("MAIL FROM:<a@example.org> AUTH=<>", &unknown),
        ("MAIL FROM:<a@example.org> A B C D E F G H I", &unknown),
        ("RCPT TO:<a@example.org> NOTIFY=NEVER,DELAY", &value),
        ("RCPT TO:<a@example.org> NOTIFY=DELAY,DELAY", &value),
        ("RCPT TO:<a@example.org> ORCPT=rfc822", &value),
        ("RCPT TO:<a@example.org> SIZE=1", &unknown),
    ] {
        assert_eq!(&parse(line), want, "{line}");
    }
}

#[test]
fn utf8_addresses_need_smtputf8() {
    let plain = parse("MAIL FROM:<bücher@example.org>");
    assert_eq!(plain, Err(SyntaxError::Path(PathError::NotAscii)));
    assert!(parse("MAIL FROM:<bücher@example.org> SMTPUTF8").is_ok());
    let not_utf8 = Command::parse(b"MAIL FROM:<b\xfcr@example.org> SMTPUTF8");
    assert_eq!(not_utf8, Err(SyntaxError::Path(PathError::NotAscii)));
}

#[test]
fn rcpt_takes_postmaster_without_domain_and_dsn_parameters() {
    let Ok(Command::Rcpt(recipient)) = parse("RCPT TO:<Postmaster>") else { panic!() };
    assert_eq!(recipient.forward_path, ForwardPath::Postmaster);
    let line = "RCPT TO:<a@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@example.org";
    let Ok(Command::Rcpt(recipient)) = parse(line) else { panic!() };
    assert_eq!(recipient.notify, Some(Notify::On { delay: true, failure: true, success: false }));
    assert_eq!(recipient.orcpt.as_deref(), Some("rfc822;a+2Bb@example.org"));
}

#[test]
fn bdat_sizes_are_decimal_and_bounded() {
    assert_eq!(parse("BDAT 0 LAST"), Ok(Command::Bdat { octets: 0, last: true }));
    assert_eq!(parse("BDAT 86"), Ok(Command::Bdat { octets: 86, last: false }));
    for line in ["BDAT", "BDAT -1", "BDAT 0x10", "BDAT 1 FIRST", "BDAT 99999999999999999999", "BDAT +1"] {
        assert_eq!(parse(line), Err(SyntaxError::ChunkSize), "{line}");
    }
}

#[test]
fn other_protocols_and_unknown_words_are_told_apart() {
    assert_eq!(parse("GET / HTTP/1.1"), Err(SyntaxError::OtherProtocol));
    assert_eq!(parse("AUTH PLAIN AGEAYg=="), Ok(Command::Unimplemented));
    assert_eq!(parse("HELLO"), Err(SyntaxError::UnknownCommand));
    assert_eq!(parse(""), Err(SyntaxError::UnknownCommand));
}
