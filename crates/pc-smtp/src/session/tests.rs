use super::*;
use crate::client::{UpstreamReply, final_reply};

/// What a scripted run shows: replies, the message, the number of messages, rejections.
#[derive(Debug, Default)]
struct Transcript {
    wire: String,
    messages: Vec<Vec<u8>>,
    envelopes: Vec<Envelope>,
    rejections: Vec<Rejection>,
    abandoned: usize,
    starts_tls: bool,
    closed: bool,
    body: Vec<u8>,
}

fn offer(tls_policy: TlsPolicy) -> Offer {
    Offer {
        node_name: "edge.example.org".parse().unwrap(),
        message_octets_max: 1_000,
        recipients_max: 100,
        tls_policy,
    }
}

/// A session whose shell takes every sender, every recipient but `unknown@`, and every message but
/// one from `defer@`.
struct Shell {
    session: Option<Session>,
    transcript: Transcript,
}

impl Shell {
    fn open(tls_policy: TlsPolicy) -> Self {
        let (session, effects) = Session::open(offer(tls_policy));
        let mut shell = Self { session: Some(session), transcript: Transcript::default() };
        shell.run(effects);
        shell
    }

    fn greeted() -> Self {
        let mut shell = Self::open(TlsPolicy::Offered);
        shell.send(b"EHLO mail.example.net\r\n");
        shell.transcript.wire.clear();
        shell
    }

    fn send(&mut self, octets: &[u8]) -> &mut Self {
        self.input(Input::Bytes(octets))
    }

    fn input(&mut self, input: Input<'_>) -> &mut Self {
        let (session, effects) = self.session.take().unwrap().handle(input);
        self.session = Some(session);
        self.run(effects);
        self
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Abandon => {
                    self.transcript.abandoned += 1;
                    self.transcript.body.clear();
                }
                Effect::Body(octets) => self.transcript.body.extend(octets),
                Effect::CheckMail(..) => {
                    self.input(Input::Answer(Reply::new(250, EnhancedCode(2, 1, 0), "OK")));
                }
                Effect::CheckRecipient(recipient) => {
                    let unknown = recipient.forward_path.to_string().starts_with("unknown@");
                    let reply = if unknown {
                        Reply::new(550, EnhancedCode(5, 1, 1), "unknown")
                    } else {
                        Reply::new(250, EnhancedCode(2, 1, 5), "OK")
                    };
                    self.input(Input::Answer(reply));
                }
                Effect::Close => self.transcript.closed = true,
                Effect::EndOfMessage(envelope) => {
                    let message = std::mem::take(&mut self.transcript.body);
                    let defer = envelope.reverse_path.to_string().starts_with("defer@");
                    self.transcript.messages.push(message);
                    self.transcript.envelopes.push(envelope);
                    let upstream =
                        UpstreamReply { code: if defer { 451 } else { 250 }, lines: vec!["x".into()] };
                    let answer = match final_reply(&upstream) {
                        Ok(accepted) => {
                            EndAnswer::Taken { custody: Custody::Accepted(accepted), text: "taken".into() }
                        }
                        Err(reply) => EndAnswer::Refused(reply),
                    };
                    self.input(Input::End(answer));
                }
                Effect::Rejected(rejection) => self.transcript.rejections.push(rejection),
                Effect::Reply(reply) => {
                    self.transcript.wire.push_str(std::str::from_utf8(&reply.to_bytes()).unwrap());
                }
                Effect::StartTls => self.transcript.starts_tls = true,
            }
        }
    }

    fn codes(&self) -> Vec<&str> {
        let last_lines = self.transcript.wire.lines().filter(|line| line.as_bytes().get(3) == Some(&b' '));
        last_lines.map(|line| &line[..3]).collect()
    }
}

const ENVELOPE: &[u8] = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n";

#[test]
fn a_whole_session_in_one_piece_and_octet_by_octet_is_the_same() {
    let wire = [b"EHLO mail.example.net\r\n", ENVELOPE, b"DATA\r\n"].concat();
    let rest = b"Subject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nBDAT 3\r\na\r\nBDAT 5 LAST\r\n\r\nb\r\nQUIT\r\n";
    let mut transcripts = Vec::new();
    for piece in [1, 2, 3, 1_000] {
        let mut shell = Shell::open(TlsPolicy::Offered);
        for chunk in wire.chunks(piece) {
            shell.send(chunk);
        }
        for chunk in rest.chunks(piece) {
            shell.send(chunk);
        }
        assert_eq!(shell.transcript.messages.len(), 2, "{}", shell.transcript.wire);
        assert_eq!(shell.transcript.messages[0], b"Subject: x\r\n\r\n.dot\r\n");
        assert_eq!(shell.transcript.messages[1], b"a\r\n\r\nb\r\n");
        transcripts.push(shell.transcript.wire);
    }
    transcripts.dedup();
    assert_eq!(transcripts.len(), 1, "{transcripts:#?}");
}

#[test]
fn ehlo_names_every_extension_and_hides_starttls_inside_tls() {
    let mut shell = Shell::open(TlsPolicy::Offered);
    shell.send(b"EHLO mail.example.net\r\n");
    for word in [
        "PIPELINING",
        "SIZE 1000",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "DSN",
        "STARTTLS",
    ] {
        assert!(shell.transcript.wire.contains(word), "{word}");
    }
    shell.send(b"STARTTLS\r\n").input(Input::TlsUp);
    shell.transcript.wire.clear();
    shell.send(b"EHLO mail.example.net\r\n");
    assert!(!shell.transcript.wire.contains("STARTTLS"));
    shell.transcript.wire.clear();
    shell.send(b"STARTTLS\r\n");
    assert_eq!(shell.codes(), ["503"]);
}

#[test]
fn requiretls_is_offered_and_taken_inside_tls_only() {
    let mut shell = Shell::open(TlsPolicy::Offered);
    shell.send(b"EHLO mail.example.net\r\n");
    assert!(!shell.transcript.wire.contains("REQUIRETLS"));
    shell.transcript.wire.clear();
    shell.send(b"MAIL FROM:<a@example.net> REQUIRETLS\r\nMAIL FROM:<a@example.net>\r\nRSET\r\n");
    assert!(
        shell.transcript.wire.starts_with("530 5.7.10 REQUIRETLS needs TLS"),
        "{}",
        shell.transcript.wire
    );
    assert_eq!(shell.codes(), ["530", "250", "250"]);
    shell.send(b"STARTTLS\r\n").input(Input::TlsUp);
    shell.transcript.wire.clear();
    shell.send(b"EHLO mail.example.net\r\n");
    assert!(shell.transcript.wire.contains("250 REQUIRETLS\r\n"));
    shell.send(b"MAIL FROM:<a@example.net> REQUIRETLS=yes\r\nMAIL FROM:<a@example.net> requiretls\r\n");
    shell.send(b"RCPT TO:<b@example.org>\r\nDATA\r\n").send(b"x\r\n.\r\n");
    assert_eq!(shell.codes(), ["250", "501", "250", "250", "354", "250"]);
    assert!(shell.transcript.envelopes[0].parameters.requiretls);
}

#[test]
fn plain_text_buffered_behind_starttls_dies() {
    let mut shell = Shell::open(TlsPolicy::Offered);
    shell.send(b"EHLO mail.example.net\r\nSTARTTLS\r\nMAIL FROM:<injected@example.net>\r\n");
    assert!(shell.transcript.starts_tls);
    assert_eq!(shell.transcript.rejections, [Rejection::PlaintextAfterStarttls]);
    shell.send(b"RCPT TO:<late@example.org>\r\n").input(Input::TlsUp);
    shell.transcript.wire.clear();
    shell.send(b"RCPT TO:<b@example.org>\r\n");
    assert_eq!(shell.codes(), ["503"], "neither the greeting nor the injected MAIL survived");
    shell.send(b"MAIL FROM:<a@example.net>\r\n");
    assert_eq!(shell.codes(), ["503", "503"]);
}

#[test]
fn demanded_tls_refuses_every_mail_command_in_plain_text() {
    let mut shell = Shell::open(TlsPolicy::Required);
    shell.send(b"EHLO mail.example.net\r\n");
    shell.transcript.wire.clear();
    shell.send(
        b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nBDAT 5 LAST\r\nNOOP\nNOOP\r\n",
    );
    assert!(shell.transcript.wire.starts_with("530 5.7.0 Must issue a STARTTLS command first\r\n"));
    assert_eq!(shell.codes(), ["530", "530", "530", "530", "250"]);
    shell.send(b"STARTTLS\r\n").input(Input::TlsUp);
    shell.send(b"EHLO mail.example.net\r\nMAIL FROM:<a@example.net>\r\n");
    assert!(shell.transcript.wire.ends_with("250 2.1.0 OK\r\n"));
}

#[test]
fn a_bare_line_end_is_refused_after_the_true_end_and_closes() {
    for smuggled in ["x\n.\r\nMAIL FROM:<evil@example.net>\r\n", "x\r.\r\nRSET\r\n", "x\r\n.\nQUIT\r\n"] {
        let mut shell = Shell::greeted();
        shell.send(ENVELOPE).send(b"DATA\r\n").send(smuggled.as_bytes());
        assert!(!shell.transcript.closed);
        shell.send(b"more\r\n.\r\nNOOP\r\n");
        assert_eq!(shell.codes(), ["250", "250", "354", "550"]);
        assert!(shell.transcript.wire.contains("550 5.5.2 "));
        assert!(shell.transcript.closed && shell.transcript.messages.is_empty());
    }
}

#[test]
fn a_bare_line_end_in_a_chunk_is_refused_and_closes() {
    let mut shell = Shell::greeted();
    shell.send(ENVELOPE).send(b"BDAT 4 LAST\r\na\nb\nNOOP\r\n");
    assert_eq!(shell.codes(), ["250", "250", "550"]);
    assert!(shell.transcript.closed && shell.transcript.messages.is_empty());
}

#[test]
fn bare_line_ends_in_commands_close_the_session() {
    for line in [&b"NOOP\nNOOP\r\n"[..], b"MAIL FROM:<a@example.net>\rRSET\r\n"] {
        let mut shell = Shell::greeted();
        shell.send(line);
        assert!(shell.transcript.closed);
        assert_eq!(shell.transcript.rejections, [Rejection::BareLineEnd]);
    }
}

#[test]
fn data_sent_before_354_closes_the_session() {
    let mut shell = Shell::greeted();
    shell.send(&[ENVELOPE, b"DATA\r\nSubject: x\r\n\r\n.\r\n"].concat());
    assert_eq!(shell.codes(), ["250", "250", "503"]);
    assert!(shell.transcript.closed);
}

#[test]
fn nothing_of_a_transaction_survives_any_way_out_of_it() {
    let data =
        |tail: &str| [ENVELOPE, b"DATA\r\n"].concat().into_iter().chain(tail.bytes()).collect::<Vec<u8>>();
    let ways_out: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("RSET", vec![[ENVELOPE, b"RSET\r\n"].concat()]),
        ("EHLO", vec![[ENVELOPE, b"EHLO again.example.net\r\n"].concat()]),
        ("chunk and RSET", vec![[ENVELOPE, b"BDAT 1\r\naRSET\r\n"].concat()]),
        ("chunk too large", vec![[ENVELOPE, b"BDAT 2000 LAST\r\n", "x".repeat(2000).as_bytes()].concat()]),
        ("end of data", vec![data(""), b"Subject: x\r\n\r\n.\r\n".to_vec()]),
        ("data too large", vec![data(""), [&b"x".repeat(2_000)[..], b"\r\n.\r\n"].concat()]),
    ];
    for (name, writes) in ways_out {
        let mut shell = Shell::greeted();
        for write in writes {
            shell.send(&write);
        }
        shell.transcript.wire.clear();
        shell.send(b"RCPT TO:<c@example.org>\r\nDATA\r\nBDAT 1 LAST\r\nx");
        assert_eq!(shell.codes(), ["503", "503", "503"], "{name}");
        assert!(shell.transcript.messages.len() <= 1);
        shell.send(&[ENVELOPE, b"BDAT 2 LAST\r\n\r\n"].concat());
        let envelope = shell.transcript.envelopes.last().unwrap();
        assert_eq!(envelope.recipients.len(), 1, "{name}");
        assert_eq!(shell.transcript.messages.last().unwrap(), b"\r\n", "{name}");
    }
}

#[test]
fn a_refused_end_of_data_leaves_no_envelope() {
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<defer@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n").send(b"x\r\n.\r\n");
    assert_eq!(shell.codes().last(), Some(&"451"));
    shell.send(b"DATA\r\n");
    assert_eq!(shell.codes().last(), Some(&"503"));
}

#[test]
fn out_of_order_chunks_are_swallowed_and_not_read_as_commands() {
    let mut shell = Shell::greeted();
    shell.send(b"BDAT 27\r\nMAIL FROM:<a@example.net>\r\nNOOP\r\n");
    assert_eq!(shell.codes(), ["503", "250"]);
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<a@example.net>\r\nBDAT 6 LAST\r\nDATA\r\nNOOP\r\n");
    assert_eq!(shell.codes(), ["250", "503", "250"], "no recipient was given");
}

#[test]
fn a_chunk_of_unreadable_size_closes_so_that_its_octets_are_no_commands() {
    for line in ["BDAT 120 LAST X", "BDAT 99999999999999999999", "BDAT x"] {
        let mut shell = Shell::greeted();
        shell.send(ENVELOPE).send(format!("{line}\r\nMAIL FROM:<smuggled@example.net>\r\n").as_bytes());
        assert_eq!(shell.codes(), ["250", "250", "501"], "{line}");
        assert!(shell.transcript.closed);
    }
}

#[test]
fn an_endless_run_of_bare_line_ends_meets_the_discard_limit() {
    let mut shell = Shell::greeted();
    shell.send(ENVELOPE).send(b"DATA\r\n");
    let flood = vec![b'\n'; 1 << 20];
    let mut sent = 0;
    while !shell.transcript.closed {
        shell.send(&flood);
        sent += flood.len() as u64;
        assert!(sent <= limits::DISCARD_OCTETS_MAX + (2 << 20));
    }
}

#[test]
fn recipients_beyond_the_limit_are_not_an_endless_pastime() {
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<a@example.net>\r\n");
    for index in 0..1_000 {
        shell.send(format!("RCPT TO:<r{index}@example.org>\r\n").as_bytes());
    }
    assert!(shell.transcript.closed);
    assert_eq!(shell.codes().last(), Some(&"421"));
}

#[test]
fn unknown_recipients_leave_the_others_in_place() {
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<unknown@example.org>\r\nDATA\r\n");
    assert_eq!(shell.codes(), ["250", "550", "503"]);
    shell.send(b"RCPT TO:<b@example.org>\r\nDATA\r\n").send(b".\r\n");
    assert_eq!(shell.transcript.envelopes[0].recipients.len(), 1);
}

#[test]
fn declared_sizes_over_the_limit_are_refused_at_once() {
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<a@example.net> SIZE=1001\r\n");
    assert!(shell.transcript.wire.starts_with("552 5.3.4 "));
    shell.send(b"BDAT 99999999999 LAST\r\n");
    assert!(shell.transcript.closed);
}

#[test]
fn too_many_errors_or_idle_commands_close_with_421() {
    let mut shell = Shell::greeted();
    for _ in 0..20 {
        shell.send(b"WHAT\r\n");
    }
    assert_eq!(shell.codes().len(), 11);
    assert!(shell.transcript.wire.ends_with("421 4.7.0 too many errors\r\n"));
    let mut shell = Shell::greeted();
    for _ in 0..200 {
        shell.send(b"NOOP\r\n");
    }
    assert!(shell.transcript.closed);
    assert_eq!(shell.codes().last(), Some(&"421"));
}

#[test]
fn endless_lines_and_other_protocols_close_the_session() {
    let mut shell = Shell::greeted();
    shell.send(&b"A".repeat(3_000));
    assert!(shell.transcript.wire.starts_with("500 5.5.2 line too long"));
    assert!(shell.transcript.closed);
    let mut shell = Shell::open(TlsPolicy::Offered);
    shell.send(b"GET / HTTP/1.1\r\nHost: edge.example.org\r\n\r\n");
    assert!(shell.transcript.closed);
    assert_eq!(shell.codes(), ["220", "500"]);
}

#[test]
fn shutdown_waits_for_the_transaction_and_timeout_does_not() {
    let mut shell = Shell::greeted();
    shell.send(ENVELOPE).input(Input::Shutdown);
    assert!(!shell.transcript.closed);
    shell.send(b"BDAT 2 LAST\r\n\r\n").input(Input::Shutdown);
    assert!(shell.transcript.closed);
    assert_eq!(shell.codes(), ["250", "250", "250", "421"]);
    let mut shell = Shell::greeted();
    shell.input(Input::Timeout);
    assert!(shell.transcript.closed);
}

#[test]
fn a_hundred_and_first_recipient_is_deferred() {
    let mut shell = Shell::greeted();
    shell.send(b"MAIL FROM:<a@example.net>\r\n");
    for index in 0..101 {
        shell.send(format!("RCPT TO:<r{index}@example.org>\r\n").as_bytes());
    }
    assert!(shell.transcript.wire.ends_with("452 4.5.3 too many recipients, send the rest apart\r\n"));
}
