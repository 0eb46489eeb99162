use crate::{Behind, BehindFault, BehindNext, Protocol};

const NAME: &str = "edge.example.org";

/// What the server says, answer by answer; with it what it heard and what came of it.
fn talk(mut state: Behind, pieces: &[&[u8]]) -> (String, String) {
    let mut heard = Vec::new();
    for piece in pieces {
        let (next, out) = state.handle(piece);
        heard.extend(out);
        match next {
            BehindNext::Await(next) => state = next,
            BehindNext::Failed(fault) => return (text(&heard), fault.code().to_owned()),
            BehindNext::Ready { greeting, rest } => {
                return (text(&heard), format!("ready {}|{}", text(&greeting), text(&rest)));
            }
            BehindNext::StartTls => return (text(&heard), "starttls".to_owned()),
        }
    }
    (text(&heard), "await".to_owned())
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn each_protocol_is_brought_to_tls() {
    let imap = [&b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"[..], b"* CAPABILITY X\r\np OK go\r\n"];
    assert_eq!(
        talk(Behind::plain(Protocol::Imap, NAME), &imap),
        ("p STARTTLS\r\n".into(), "starttls".into())
    );
    let pop3 = [&b"+OK hi <1.2@x>\r\n"[..], b"+OK go\r\n"];
    assert_eq!(talk(Behind::plain(Protocol::Pop3, NAME), &pop3), ("STLS\r\n".into(), "starttls".into()));
    let smtp = [&b"220-x\r\n220 ESMTP\r\n"[..], b"250-x\r\n250-SIZE\r\n250 STARTTLS\r\n", b"220 go\r\n"];
    let heard = "EHLO edge.example.org\r\nSTARTTLS\r\n".to_owned();
    assert_eq!(talk(Behind::plain(Protocol::Submission, NAME), &smtp), (heard, "starttls".into()));
}

#[test]
fn octets_behind_the_consent_of_the_server_are_an_injection() {
    for (protocol, pieces) in [
        (Protocol::Imap, vec![&b"* OK hi\r\n"[..], b"p OK go\r\n* CAPABILITY IMAP4rev1\r\n"]),
        (Protocol::Pop3, vec![b"+OK hi\r\n", b"+OK go\r\n+OK logged in\r\n"]),
        (Protocol::Submission, vec![b"220 x\r\n", b"250 STARTTLS\r\n", b"220 go\r\n250 AUTH PLAIN\r\n"]),
        // Answers that were sent before they were asked for.
        (Protocol::Imap, vec![b"* OK hi\r\np OK go\r\n"]),
        (Protocol::Submission, vec![b"220 x\r\n250 STARTTLS\r\n"]),
    ] {
        assert_eq!(talk(Behind::plain(protocol, NAME), &pieces).1, BehindFault::Injection.code());
    }
}

#[test]
fn a_server_that_refuses_or_lacks_starttls_is_not_used_in_plain_text() {
    for (protocol, pieces, code) in [
        (Protocol::Imap, vec![&b"* OK hi\r\n"[..], b"p NO not today\r\n"], "greeting"),
        (Protocol::Imap, vec![b"* BYE busy\r\n"], "greeting"),
        (Protocol::Imap, vec![b"* PREAUTH hello\r\n"], "preauth"),
        (Protocol::Pop3, vec![b"+OK hi\r\n", b"-ERR no\r\n"], "greeting"),
        (Protocol::Submission, vec![b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"], "starttls_missing"),
        (Protocol::Submission, vec![b"421 busy\r\n"], "greeting"),
        (Protocol::Submission, vec![b"220 x\n"], "malformed"),
    ] {
        assert_eq!(talk(Behind::plain(protocol, NAME), &pieces).1, code);
    }
}

#[test]
fn a_greeting_inside_tls_is_handed_through_without_starttls() {
    let imap = b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n* NO x\r\n";
    let want = "ready * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n|* NO x\r\n";
    assert_eq!(talk(Behind::in_tls(Protocol::Imap, NAME), &[imap]).1, want);
    for octet_wise in [true, false] {
        let greeting = b"220-mail\r\n220 ESMTP\r\n";
        let pieces: Vec<&[u8]> = if octet_wise { greeting.chunks(1).collect() } else { vec![greeting] };
        let ended = talk(Behind::in_tls(Protocol::Submission, NAME), &pieces);
        assert_eq!(ended.1, "ready 220-mail\r\n220 ESMTP\r\n|");
    }
    let ended = talk(Behind::in_tls(Protocol::Imap, NAME), &[b"* PREAUTH in\r\n"]);
    assert_eq!(ended.1, "preauth", "every client would be in");
}
