use pc_types::Escaped;

use super::*;
use crate::limits::{
    BODY_CHUNK_OCTETS_MAX, FIELD_LINE_OCTETS_MAX, MODIFICATIONS_MAX, RECEIVED_OCTETS_MAX, SENT_OCTETS_MAX,
};

/// A message with two recipients, two fields and a body.
fn transaction() -> Transaction {
    let address = "192.0.2.1".parse().unwrap();
    let name = |text: &str| text.to_owned();
    let mut transaction =
        Transaction::new(name("edge.example.org"), name("id-1"), address, name("mail.example.net"));
    transaction.tls = Some((name("TLSv1.3"), name("AES")));
    transaction.reverse_path = name("a@example.net");
    transaction.forward_paths = vec![name("b@example.org"), name("c@example.org")];
    transaction.field(b"Subject", b" one\r\n\ttwo").unwrap();
    transaction.field(b"To", b"b@example.org").unwrap();
    transaction
}

fn packet(letter: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(payload.len() + 1).unwrap().to_be_bytes().to_vec();
    out.push(letter);
    out.extend_from_slice(payload);
    out
}

fn offer(version: u32, actions: u32, steps: u32) -> Vec<u8> {
    packet(b'O', &[version, actions, steps].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>())
}

/// A conversation that is driven with a script: one entry per reply that is awaited.
struct Driven {
    /// What was sent, one line a packet.
    sent: Vec<String>,
    progress: usize,
    end: Option<Result<Verdict, Fault>>,
}

/// Whether a script's entry comes as one piece.
#[derive(Clone, Copy, PartialEq)]
enum Pieces {
    Octets,
    Whole,
}

fn drive(script: &[Vec<u8>], body: &[u8], pieces: Pieces) -> Driven {
    let mut driven = Driven { sent: Vec::new(), progress: 0, end: None };
    let (mut conversation, mut effects) = Conversation::open(transaction());
    let mut chunks = BodyChunk::divide(body);
    let mut entries = script.iter();
    let mut octets = Vec::new().into_iter();
    loop {
        let mut wants_body = false;
        for effect in effects {
            match effect {
                Effect::End(end) => driven.end = Some(end),
                Effect::Progress => driven.progress += 1,
                Effect::Send(octets) => driven.sent.extend(shown(&octets)),
                Effect::WantBody => wants_body = true,
            }
        }
        if driven.end.is_some() {
            return driven;
        }
        let mut entry = Vec::new();
        let input = if wants_body {
            chunks.next().map_or(Input::EndOfBody, Input::Body)
        } else {
            if octets.len() == 0 {
                let Some(next) = entries.next() else { return driven };
                octets = next.clone().into_iter();
            }
            entry.extend(octets.by_ref().take(if pieces == Pieces::Octets { 1 } else { usize::MAX }));
            Input::Octets(&entry)
        };
        (conversation, effects) = conversation.handle(input);
    }
}

/// Packets as lines: letter, what follows.
fn shown(mut octets: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some((length, rest)) = octets.split_first_chunk::<4>() {
        let (packet, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let payload = Escaped::with_octets_max(&packet[1..], 120).to_string().replace("\\x00", "|");
        lines.push(format!("{} {payload}", char::from(packet[0])));
        octets = rest;
    }
    assert!(octets.is_empty());
    lines
}

fn continues(count: usize) -> Vec<Vec<u8>> {
    vec![packet(b'c', b""); count]
}

/// Everything is told, each step answered, and `end` is what follows the end of the body.
fn end_with(end: Vec<u8>) -> Result<Verdict, Fault> {
    let mut ends = Vec::new();
    for pieces in [Pieces::Whole, Pieces::Octets] {
        let script = [vec![offer(6, 0x31, 0)], continues(10), vec![end.clone()]].concat();
        ends.push(drive(&script, b"body\r\n", pieces).end.unwrap());
    }
    assert_eq!(ends[0], ends[1], "chunking changes nothing");
    ends.remove(0)
}

fn passed(end: Vec<u8>) -> Modifications {
    match end_with(end) {
        Ok(Verdict::Pass(modifications)) => modifications,
        other => panic!("{other:?}"),
    }
}

fn texts(modifications: &Modifications) -> Vec<String> {
    let text = |field: &FieldText| String::from_utf8(field.octets().to_vec()).unwrap();
    modifications.added.iter().map(text).collect()
}

#[test]
fn a_milter_that_wants_everything_is_told_everything_and_waited_for() {
    let script = [vec![offer(6, 0x31, 0)], continues(10)].concat();
    let driven = drive(&script, b"body\r\n", Pieces::Whole);
    let want = [
        "O |||\\x06|||1|\\x1f\\xf7\\xff",
        "D Cj|edge.example.org|{daemon_name}|portcullis|{client_addr}|192.0.2.1|_|[192.0.2.1]|",
        "C [192.0.2.1]|4||192.0.2.1|",
        "D H{tls_version}|TLSv1.3|{cipher}|AES|",
        "H mail.example.net|",
        "D Mi|id-1|{mail_addr}|a@example.net|",
        "M <a@example.net>|",
        "D R{rcpt_addr}|b@example.org|",
        "R <b@example.org>|",
        "D R{rcpt_addr}|c@example.org|",
        "R <c@example.org>|",
        "D Ti|id-1|",
        "T ",
        "L Subject|one\\x0a\\x09two|",
        "L To|b@example.org|",
        "N ",
        "B body\\x0d\\x0a",
        "D Ei|id-1|",
        "E ",
    ];
    assert_eq!(driven.sent, want);
    assert_eq!(driven.end, None, "nothing passes before the last reply");
    let script = [script, continues(1)].concat();
    let driven = drive(&script, b"body\r\n", Pieces::Octets);
    assert_eq!(driven.sent.len(), want.len() + 1);
    assert_eq!(driven.sent.last().unwrap(), "Q ");
    assert_eq!(driven.end, Some(Ok(Verdict::Pass(Modifications::default()))));
}

#[test]
fn steps_that_are_not_wanted_are_left_out() {
    // All of SMFIP_NO*: the end of the body is all that is left.
    let driven = drive(&[offer(6, 0, 0x27f), packet(b'a', b"")], b"body", Pieces::Whole);
    assert_eq!(driven.sent[1..], ["D Ei|id-1|", "E ", "Q "]);
    assert!(matches!(driven.end, Some(Ok(Verdict::Pass(_)))));
    let letters = |steps| -> String {
        let script = [vec![offer(6, 0, steps)], continues(11)].concat();
        let sent = drive(&script, b"body", Pieces::Whole).sent;
        sent.iter().filter(|line| !line.starts_with('D')).map(|line| &line[..1]).collect()
    };
    assert_eq!(letters(0), "OCHMRRTLLNBEQ");
    for (steps, want) in [
        (0x01, "OHMRRTLLNBEQ"),
        (0x02, "OCMRRTLLNBEQ"),
        (0x04, "OCHRRTLLNBEQ"),
        (0x08, "OCHMTLLNBEQ"),
        (0x10, "OCHMRRTLLNEQ"),
        (0x20, "OCHMRRTNBEQ"),
        (0x40, "OCHMRRTLLBEQ"),
        (0x200, "OCHMRRLLNBEQ"),
    ] {
        assert_eq!(letters(steps), want, "{steps:#x}");
    }
}

#[test]
fn replies_that_are_not_given_are_not_awaited() {
    let driven = drive(&[offer(6, 0, 0xff_f080), packet(b'r', b"")], b"", Pieces::Whole);
    assert_eq!(driven.end, Some(Err(Fault::Negotiation)), "unknown bits are nothing we can honour");
    let driven = drive(&[offer(6, 0, 0xd_f080), packet(b'r', b"")], b"body", Pieces::Whole);
    assert_eq!(driven.end, Some(Ok(Verdict::Refuse(None))), "the first reply is the last");
    assert_eq!(driven.sent.len(), 20);
}

#[test]
fn a_reply_to_a_step_that_has_none_is_no_verdict() {
    // The body is not answered, but the milter says "continue" to it all the same. Taken for the
    // answer to the end of the body, that would let the message through.
    let (conversation, _) = Conversation::open(transaction());
    let (conversation, effects) = conversation.handle(Input::Octets(&offer(6, 0, 0xd_f080)));
    assert_eq!(effects.last(), Some(&Effect::WantBody));
    let chunk = BodyChunk::divide(b"body").next().unwrap();
    let (conversation, effects) = conversation.handle(Input::Body(chunk));
    assert_eq!(effects.last(), Some(&Effect::WantBody));
    let (_, effects) = conversation.handle(Input::Octets(&packet(b'c', b"")));
    assert_eq!(effects, [Effect::End(Err(Fault::Unasked))]);
    for early in [[offer(6, 0, 0xd_f080), packet(b'c', b"")], [packet(b'c', b""), packet(b'c', b"")]] {
        let script = [vec![offer(6, 0, 0)], vec![early.concat()]].concat();
        let driven = drive(if early[0].len() > 5 { &script[1..] } else { &script }, b"", Pieces::Whole);
        assert_eq!(driven.end, Some(Err(Fault::Unasked)));
    }
}

#[test]
fn a_milter_may_skip_the_rest_of_the_body() {
    let body = vec![b'x'; BODY_CHUNK_OCTETS_MAX * 2 + 1];
    let bodies = |driven: &Driven| driven.sent.iter().filter(|line| line.starts_with('B')).count();
    let script = [vec![offer(6, 0, 0x400)], continues(9), vec![packet(b's', b"")], continues(1)].concat();
    let driven = drive(&script, &body, Pieces::Whole);
    assert_eq!((bodies(&driven), driven.end), (1, Some(Ok(Verdict::Pass(Modifications::default())))));
    let script = [vec![offer(6, 0, 0)], continues(13)].concat();
    let driven = drive(&script, &body, Pieces::Whole);
    assert_eq!(bodies(&driven), 3, "65535 octets each");
    assert!(driven.end.is_some());
    let script = [vec![offer(6, 0, 0)], continues(9), vec![packet(b's', b"")]].concat();
    assert_eq!(drive(&script, &body, Pieces::Whole).end, Some(Err(Fault::Malformed)), "not negotiated");
    let script = [vec![offer(6, 0, 0x400)], vec![packet(b's', b"")]].concat();
    assert_eq!(drive(&script, &body, Pieces::Whole).end, Some(Err(Fault::Malformed)), "not the body");
}

#[test]
fn an_old_milter_is_spoken_to_in_its_version() {
    let script = [vec![offer(2, 0x01, 0)], continues(10)].concat();
    let driven = drive(&script, b"body", Pieces::Whole);
    assert!(driven.sent.iter().all(|line| !line.starts_with('T')), "DATA came with version 4");
    assert!(matches!(driven.end, Some(Ok(Verdict::Pass(_)))));
    for (version, steps) in [(0, 0), (1, 0), (7, 0), (2, 0x80), (3, 0x200), (4, 0x400), (6, 0x800)] {
        let end = drive(&[offer(version, 0, steps)], b"", Pieces::Whole).end;
        assert_eq!(end, Some(Err(Fault::Negotiation)), "{version} {steps:#x}");
    }
}

#[test]
fn a_refusal_at_any_step_refuses_the_message() {
    let answers: [(Vec<u8>, Result<Verdict, Fault>); 5] = [
        (packet(b'r', b""), Ok(Verdict::Refuse(None))),
        (packet(b't', b""), Ok(Verdict::Defer(None))),
        (packet(b'd', b""), Ok(Verdict::Discard)),
        (packet(b'f', b""), Err(Fault::GaveUp)),
        (packet(b'4', b""), Err(Fault::GaveUp)),
    ];
    for (answer, want) in answers {
        for before in 0..=10 {
            let script = [vec![offer(6, 0x31, 0)], continues(before), vec![answer.clone()]].concat();
            for pieces in [Pieces::Whole, Pieces::Octets] {
                let end = drive(&script, b"body", pieces).end;
                assert_eq!(end.as_ref(), Some(&want), "{before}");
            }
        }
    }
}

#[test]
fn no_refusal_is_a_positive_reply_and_none_is_silent() {
    let refusals = [
        (Verdict::Defer(None), 451),
        (Verdict::Discard, 550),
        (Verdict::quarantine(b"bad"), 550),
        (Verdict::Refuse(None), 550),
    ];
    for (verdict, code) in refusals {
        let reply = verdict.into_modifications().unwrap_err();
        assert_eq!((reply.code, reply.enhanced.map(|code| (code.1, code.2))), (code, Some((7, 1))));
    }
}

#[test]
fn a_reply_in_the_milters_words_is_passed_on() {
    let word = |text: &str| match end_with(packet(b'y', &[text.as_bytes(), b"\0"].concat())) {
        Ok(verdict) => Ok(String::from_utf8(verdict.into_modifications().unwrap_err().to_bytes()).unwrap()),
        Err(fault) => Err(fault),
    };
    assert_eq!(word("554 5.7.1 Gtube pattern").unwrap(), "554 5.7.1 Gtube pattern\r\n");
    assert_eq!(word("451 4.7.1 Greylisted").unwrap(), "451 4.7.1 Greylisted\r\n");
    assert_eq!(word("550 no").unwrap(), "550 5.0.0 no\r\n");
    assert_eq!(word("550-5.7.1 a\r\n550 5.7.1 b").unwrap(), "550-5.7.1 a\r\n550 5.7.1 b\r\n");
    assert_eq!(word("421 4.3.2 closing").unwrap(), "451 4.3.2 closing\r\n", "our connection stays");
    assert_eq!(word("550 5.7.1 a\rb").unwrap(), "550 5.7.1 a?b\r\n");
    for bad in [
        "250 2.0.0 OK",
        "354 go",
        "200 x",
        "999 x",
        "5",
        "",
        "abc def",
        "550 a\r\n250 OK",
        "550 a\r\n\r\n",
        "550 a\n550 b",
        "550-a",
    ] {
        assert_eq!(word(bad), Err(Fault::Reply), "{bad:?}");
    }
    assert_eq!(word(&format!("550 {}", "x".repeat(5_000))), Err(Fault::Reply));
    assert_eq!(end_with(packet(b'y', b"550 no end")), Err(Fault::Malformed));
    assert_eq!(end_with(packet(b'y', b"550 two\x00550 texts\0")), Err(Fault::Malformed));
}

#[test]
fn fields_are_added_in_the_order_that_was_asked_for() {
    let end = [
        packet(b'h', b"X-A\0one\0"),
        packet(b'h', b"X-B\0two\n\tfolded\0"),
        packet(b'i', b"\0\0\0\0X-C\0three\r\n folded\0"),
        packet(b'i', b"\0\0\0\x09X-D\0\0"),
        packet(b'c', b""),
    ];
    let want = ["X-C: three\r\n folded\r\n", "X-A: one\r\n", "X-B: two\r\n\tfolded\r\n", "X-D: \r\n"];
    assert_eq!(texts(&passed(end.concat())), want);
    let end = [packet(b'h', b"X-A\0 one\0"), packet(b'a', b"")].concat();
    let script = [vec![offer(6, 1, 0x10_0000)], continues(10), vec![end]].concat();
    let driven = drive(&script, b"body", Pieces::Whole);
    assert_eq!(driven.sent[13], "L Subject| one\\x0a\\x09two|", "the space belongs to the value");
    let Some(Ok(Verdict::Pass(modifications))) = driven.end else { panic!() };
    assert_eq!(texts(&modifications), ["X-A: one\r\n"]);
}

#[test]
fn a_field_cannot_bring_another_one_with_it() {
    let long = [b"x".repeat(FIELD_LINE_OCTETS_MAX), b"\0".to_vec()].concat();
    for value in [&b"a\nb\0"[..], b"a\r\n\r\nb\0", b"a\rb\0", b"a\n\0", b"a\r\0", b"a\n \n b\0", &long] {
        let end = packet(b'h', &[b"X-A\0", value].concat());
        assert_eq!(end_with(end), Err(Fault::Field), "{}", Escaped::new(value));
    }
    for name in ["", "X A", "X:A", "X\r\nA", "X-Portcullis-Trace-Id", "x-portcullis-scan", "Ü"] {
        for (letter, index) in [(b'h', &b""[..]), (b'i', b"\0\0\0\0"), (b'm', b"\0\0\0\x01")] {
            let end = packet(letter, &[index, name.as_bytes(), b"\0v\0"].concat());
            assert_eq!(end_with(end), Err(Fault::Field), "{name:?}");
        }
    }
}

#[test]
fn fields_of_the_message_are_changed_and_taken_out() {
    let end =
        [packet(b'm', b"\0\0\0\x02Subject\0new\0"), packet(b'm', b"\0\0\0\0X-Spam\0\0"), packet(b'a', b"")];
    let changed = passed(end.concat()).changed;
    assert_eq!((changed[0].name.as_str(), changed[0].index), ("Subject", 2));
    assert_eq!(changed[0].replacement.as_ref().unwrap().octets(), b"Subject: new\r\n");
    assert_eq!((changed[1].name.as_str(), changed[1].index), ("X-Spam", 1));
    assert_eq!(changed[1].replacement, None);
}

#[test]
fn a_quarantine_stands_whatever_is_said_after_it() {
    let reason = [b"virus\r\n".as_slice(), &[b'x'; 500]].concat();
    for last in [b'c', b'a'] {
        let end = [packet(b'q', &[&reason[..], b"\0"].concat()), packet(last, b"")].concat();
        let Ok(verdict) = end_with(end) else { panic!() };
        let reply = verdict.into_modifications().unwrap_err();
        assert!(reply.summary().contains("quarantine it: virus\\x0d\\x0axxx"), "{}", reply.summary());
        assert!(reply.to_bytes().len() < 300 && reply.to_bytes().ends_with(b"\r\n"));
    }
    let end = [packet(b'q', b"virus\0"), packet(b'r', b"")].concat();
    assert_eq!(end_with(end), Ok(Verdict::Refuse(None)));
}

#[test]
fn what_was_not_negotiated_is_refused() {
    let changes: [(&[u8], u8, u32); 4] = [
        (b"X-A\0v\0", b'h', 0x30),
        (b"\0\0\0\0X-A\0v\0", b'i', 0x30),
        (b"\0\0\0\x01X-A\0v\0", b'm', 0x21),
        (b"reason\0", b'q', 0x11),
    ];
    for (payload, letter, others) in changes {
        let end = [packet(letter, payload), packet(b'c', b"")].concat();
        assert!(end_with(end.clone()).is_ok());
        let script = [vec![offer(6, others, 0)], continues(10), vec![end.clone()]].concat();
        let driven = drive(&script, b"body", Pieces::Whole);
        assert_eq!(driven.end, Some(Err(Fault::NotNegotiated)), "{}", char::from(letter));
        let script = [vec![offer(6, 0x31, 0)], continues(3), vec![end]].concat();
        let driven = drive(&script, b"body", Pieces::Octets);
        assert_eq!(driven.end, Some(Err(Fault::NotNegotiated)), "before the end of the message");
    }
    for letter in [b'+', b'-', b'2', b'b', b'e'] {
        let script = [vec![offer(6, 0xff, 0)], continues(10), vec![packet(letter, b"x\0")]].concat();
        assert_eq!(drive(&script, b"body", Pieces::Whole).end, Some(Err(Fault::NotNegotiated)));
    }
}

#[test]
fn progress_is_told_and_changes_nothing() {
    let script = [
        vec![offer(6, 0, 0)],
        continues(10),
        vec![packet(b'p', b""), packet(b'p', b""), packet(b'p', b""), packet(b't', b"")],
    ];
    let driven = drive(&script.concat(), b"body", Pieces::Whole);
    assert_eq!((driven.progress, driven.end), (3, Some(Ok(Verdict::Defer(None)))));
}

#[test]
fn a_flood_of_changes_is_refused() {
    let one = packet(b'h', b"X-A\0one\0");
    let end = [one.repeat(MODIFICATIONS_MAX), packet(b'c', b"")].concat();
    assert_eq!(passed(end).added.len(), MODIFICATIONS_MAX);
    assert_eq!(end_with(one.repeat(MODIFICATIONS_MAX + 1)), Err(Fault::TooLarge));
    let deletion = packet(b'm', b"\0\0\0\x01X-A\0\0");
    assert_eq!(end_with(deletion.repeat(MODIFICATIONS_MAX + 1)), Err(Fault::TooLarge));
    let wide = [b"X-A\0".to_vec(), b"xxxxxxxxx\n ".repeat(2_000), b"x\0".to_vec()].concat();
    assert!(end_with([packet(b'h', &wide), packet(b'c', b"")].concat()).is_ok());
    assert_eq!(end_with(packet(b'h', &wide).repeat(4)), Err(Fault::TooLarge));
    let wider = [b"X-A\0".to_vec(), b"xxxxxxxxx\n ".repeat(4_000), b"x\0".to_vec()].concat();
    assert_eq!(end_with(packet(b'h', &wider)), Err(Fault::TooLarge));
}

#[test]
fn octets_that_are_no_packets_are_a_fault() {
    let too_long = u32::try_from(RECEIVED_OCTETS_MAX + 1).unwrap().to_be_bytes();
    for (bad, want) in [
        (&b"\0\0\0\0"[..], Fault::Malformed),
        (&too_long, Fault::TooLarge),
        (b"HTTP/1.1 400 Bad Request\r\n", Fault::TooLarge),
        (b"\0\0\0\x01z", Fault::Malformed),
        (b"\0\0\0\x02cc", Fault::Malformed),
        (b"\0\0\0\x01h", Fault::Malformed),
        (b"\0\0\0\x03ha\0", Fault::Malformed),
        (b"\0\0\0\x03i\0\0", Fault::Malformed),
        (b"\0\0\0\x01O", Fault::Malformed),
    ] {
        assert_eq!(end_with(bad.to_vec()), Err(want), "{}", Escaped::new(bad));
    }
    for bad in [packet(b'c', b""), packet(b'O', b"\0\0\0\x06"), packet(b'O', &[0; 13]), packet(b'a', b"")] {
        assert_eq!(drive(&[bad], b"", Pieces::Whole).end, Some(Err(Fault::Malformed)), "no offer");
    }
}

#[test]
fn a_header_that_the_milter_would_see_otherwise_is_not_scanned() {
    let mut transaction = transaction();
    assert_eq!(transaction.field(b"Subject", b"a\0b"), Err(Unscannable::HeaderNul));
    assert_eq!(transaction.field(b"S", &vec![b'x'; SENT_OCTETS_MAX - 2]), Err(Unscannable::HeaderTooLarge));
    assert_eq!(transaction.field(b"S", &vec![b'x'; SENT_OCTETS_MAX - 3]), Ok(()));
    transaction.greeting_name = "a\0b".to_owned();
    let (conversation, _) = Conversation::open(transaction);
    let (_, effects) = conversation.handle(Input::Octets(&offer(6, 0, 0x1000)));
    let [Effect::Send(sent)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(shown(sent).contains(&"H a?b|".to_owned()), "a NUL cannot add a text");
}

/// A generator with a seed; the constants are those of a common linear congruence (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn octets(&mut self) -> Vec<u8> {
        let letters = b"acdfhimpqrstyO+4zb";
        let texts: [&[u8]; 6] = [b"", b"X-A\0v\0", b"\0\0\0\x01X-A\0\0", b"550 x\0", b"\0", b"\xff\0\r\n"];
        match self.next(8) {
            0 => (0..self.next(20)).map(|_| self.next(256) as u8).collect(),
            1 => offer(self.next(8) as u32, self.next(0x200) as u32, self.next(0x20_0000) as u32),
            2 => packet(b'c', b"").repeat(self.next(4)),
            _ => packet(letters[self.next(letters.len())], texts[self.next(texts.len())]),
        }
    }
}

#[test]
fn arbitrary_octets_in_any_pieces_end_in_a_verdict_that_was_said_or_in_a_fault() {
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut script = vec![offer(6, random.next(0x40) as u32, 0)];
        let count = random.next(16);
        script.extend(continues(random.next(11)));
        script.extend((0..count).map(|_| random.octets()));
        let whole = drive(&script, b"body", Pieces::Whole);
        let octets = drive(&script, b"body", Pieces::Octets);
        if let Some(Ok(Verdict::Pass(_))) = &octets.end {
            let said = script.concat();
            assert!(said.contains(&b'a') || said.contains(&b'c'), "seed {seed}");
        }
        // Early replies are seen only when they come in one piece; nothing else differs.
        if whole.end != Some(Err(Fault::Unasked)) {
            assert_eq!(whole.end, octets.end, "seed {seed}");
        }
        if let Some(Ok(verdict)) = whole.end
            && let Err(reply) = verdict.into_modifications()
        {
            assert!((400..600).contains(&reply.code), "seed {seed}");
        }
    }
}

#[test]
fn a_trace_field_is_not_the_milters_to_write() {
    for added in [
        packet(b'h', b"Received\0by nowhere\0"),
        packet(b'i', b"\0\0\0\0RECEIVED\0by nowhere\0"),
        packet(b'm', b"\0\0\0\x01received\0by nowhere\0"),
        packet(b'm', b"\0\0\0\x01Received\0\0"),
    ] {
        assert_eq!(end_with(added), Err(Fault::Field));
    }
}

#[test]
fn the_corpus_of_the_fuzz_target_keeps_the_invariants() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/milter");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        invariants::conversation(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 6, "the corpus is gone");
}
