use pc_smtp::header::screen;
use pc_testkit::{MilterAnswer, MilterScript, milter_packet};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn told() -> Told {
    let name = |text: &str| text.to_owned();
    let address = "192.0.2.1".parse().unwrap();
    let mut told = Told::new(name("edge.example.org"), name("id"), address, name("mail.example.net"));
    told.forward_paths = vec![name("b@example.org")];
    told.field(b"Subject", b" x").unwrap();
    told
}

fn message(octets: &[u8]) -> (Screened, MessageBuffer) {
    let mut message = MessageBuffer::new(&std::env::temp_dir());
    message.append(octets).unwrap();
    (screen(message.head(), &"edge.example.org".parse().unwrap()).unwrap(), message)
}

/// What comes of a conversation with a milter that follows `script`, and how long it took by the
/// paused clock.
async fn asked(script: &MilterScript, body: &[u8]) -> (Result<Verdict, Failure>, Duration, Vec<u8>) {
    let (screened, mut message) = message(&[b"Subject: x\r\n\r\n", body].concat());
    let (ours, theirs) = tokio::io::duplex(4_096);
    let started = Instant::now();
    let seen = std::sync::Mutex::new(Vec::new());
    let peer = script.converse(theirs, |(letter, payload)| {
        if letter == b'B' {
            seen.lock().unwrap().extend(payload);
        }
    });
    let body = Body::new(&screened, &mut message).unwrap();
    let asking = timeout(SCAN_TIMEOUT, converse(ours, told(), body, PATIENCE));
    let asking = async {
        asking
            .await
            .unwrap_or_else(|_| Err(Failure::new("timeout", "no verdict in the time that a message has")))
    };
    tokio::pin!(asking);
    let verdict = tokio::select! {
        verdict = &mut asking => verdict,
        _ = peer => asking.await,
    };
    let elapsed = started.elapsed();
    (verdict, elapsed, seen.into_inner().unwrap())
}

const STEPS: &[u8] = b"OCHMRTLNBE";

#[tokio::test(start_paused = true)]
async fn a_milter_that_hangs_at_any_step_is_waited_for_once() {
    for letter in STEPS {
        let script = MilterScript::accept().on(*letter, MilterAnswer::Hang);
        let (verdict, elapsed, _) = asked(&script, b"body\r\n").await;
        assert_eq!(verdict.unwrap_err().code, "timeout", "{}", char::from(*letter));
        assert_eq!(elapsed, PATIENCE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_milter_that_closes_or_babbles_at_any_step_gives_no_verdict() {
    let garbage = MilterAnswer::Octets(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let half = MilterAnswer::Octets(b"\0\0\0\x01".to_vec());
    for letter in STEPS {
        for (answer, want) in [(MilterAnswer::Close, "closed"), (garbage.clone(), "too_large")] {
            let script = MilterScript::accept().on(*letter, answer);
            let (verdict, elapsed, _) = asked(&script, b"body\r\n").await;
            assert_eq!(verdict.unwrap_err().code, want, "{}", char::from(*letter));
            assert_eq!(elapsed, Duration::ZERO);
        }
        let (verdict, ..) = asked(&MilterScript::accept().on(*letter, half.clone()), b"body\r\n").await;
        assert_eq!(verdict.unwrap_err().code, "timeout", "half a packet is none");
    }
}

#[tokio::test(start_paused = true)]
async fn progress_gives_more_time_but_not_without_end() {
    let script = MilterScript::accept().on(b'E', MilterAnswer::ProgressForever);
    let (verdict, elapsed, _) = asked(&script, b"body\r\n").await;
    assert_eq!(verdict.unwrap_err().code, "timeout");
    assert_eq!(elapsed, SCAN_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_whole_body_is_shown_whatever_is_answered_to_it() {
    let body: Vec<u8> = b"0123456789abcdef\r\n".repeat(60_000);
    let whole = asked(&MilterScript::accept(), &body).await;
    assert!(matches!(whole.0, Ok(Verdict::Pass(_))));
    assert!(whole.2 == body, "octet for octet, over the part in memory and the file");
    let unanswered = MilterScript::accept().offering(6, 0x31, 0xd_f080);
    let (verdict, _, seen) = asked(&unanswered, &body).await;
    assert!(matches!(verdict, Ok(Verdict::Pass(_))) && seen == body);
    let skipping = MilterScript::accept()
        .offering(6, 0x31, 0x400)
        .on(b'B', MilterAnswer::Octets(milter_packet(b's', b"")));
    let (verdict, _, seen) = asked(&skipping, &body).await;
    assert!(matches!(verdict, Ok(Verdict::Pass(_))));
    assert_eq!(seen.len(), BODY_CHUNK_OCTETS_MAX);
    let closing = unanswered.on(b'B', MilterAnswer::Close);
    let (verdict, ..) = asked(&closing, &body).await;
    assert!(matches!(verdict.unwrap_err().code, "write" | "closed"), "not told to the end");
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_an_unanswered_body_is_not_taken_for_the_verdict() {
    let script = MilterScript::accept()
        .offering(6, 0x31, 0x8_0000)
        .on(b'B', MilterAnswer::Octets(milter_packet(b'c', b"")))
        .on(b'E', MilterAnswer::Octets(milter_packet(b'r', b"")));
    // The body is longer than the pipe, so that the milter speaks before its end.
    let (verdict, ..) = asked(&script, &b"x\r\n".repeat(100_000)).await;
    assert_eq!(verdict.unwrap_err().code, "unasked");
}

#[test]
fn only_the_operator_lets_mail_go_on_unscanned_and_never_for_a_fault_of_ours() {
    let connector = crate::connector::ConnectorSettings::named("default");
    let matched = (connector.into(), pc_enforce::ConnectorMatch::none());
    let opened_at = "2026-11-02T12:00:00Z".parse().unwrap();
    let peer = Peer::new("192.0.2.1".parse().unwrap(), matched, "smtp", opened_at);
    let envelope = Envelope {
        reverse_path: pc_smtp::ReversePath::Null,
        parameters: pc_smtp::MailParameters::default(),
        recipients: Vec::new(),
    };
    let scan = Scan { trace_id: "id", peer: &peer, greeting_name: "x", envelope: &envelope };
    for (on_failure, code, goes_on) in [
        (OnFailure::Accept, "timeout", true),
        (OnFailure::Accept, BUSY, false),
        (OnFailure::Accept, EXHAUSTED, false),
        (OnFailure::Accept, TEMPORARY_FILE, false),
        (OnFailure::Defer, "timeout", false),
        (OnFailure::Defer, BUSY, false),
    ] {
        let settings = MilterSettings {
            name: "clamav".to_owned(),
            address: MilterAddress::Unix(PathBuf::new()),
            timeout: PATIENCE,
            on_failure,
        };
        match (scan.failed(&Milter::new(settings), &Failure::new(code, "")), goes_on) {
            (Ok(field), true) => assert_eq!(field, b"X-Portcullis-Scan: skipped; milter=clamav\r\n"),
            (Err(reply), false) => assert_eq!(reply.code, 451),
            (answer, _) => panic!("{on_failure:?} {code}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_lack_of_file_handles_is_no_failure_of_the_milter() {
    const EMFILE: i32 = 24;
    let connecting = async { Err::<(), _>(std::io::Error::from_raw_os_error(EMFILE)) };
    assert_eq!(connected(PATIENCE, connecting).await.unwrap_err().code, EXHAUSTED);
    let connecting = async { Err::<(), _>(std::io::ErrorKind::ConnectionRefused.into()) };
    assert_eq!(connected(PATIENCE, connecting).await.unwrap_err().code, "connect");
}

#[test]
fn changes_count_in_the_message_as_it_came() {
    let octets = b"A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n\r\nbody";
    let (mut screened, message) = message(octets);
    let change =
        |name: &str, index| pc_milter::FieldChange { name: name.to_owned(), index, replacement: None };
    let modifications =
        Modifications { added: Vec::new(), changed: vec![change("a", 1), change("a", 3), change("a", 9)] };
    let own: Vec<Field<'_>> = screened.fields(octets).collect();
    assert!(apply(modifications, &own, &mut screened).is_empty());
    let left: Vec<u8> = screened.pieces(message.head()).flatten().copied().collect();
    assert_eq!(left, b"B: 2\r\nA: 3\r\n\r\nbody");
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_a_conversation_only_so_long() {
    let milter = Milter::new(MilterSettings {
        name: "full".to_owned(),
        address: MilterAddress::Unix(PathBuf::from("/nonexistent")),
        timeout: PATIENCE,
        on_failure: OnFailure::Accept,
    });
    let _seats = milter.seats.acquire_many(u32::try_from(MILTER_CONVERSATIONS_MAX).unwrap()).await.unwrap();
    let (screened, mut message) = message(b"Subject: x\r\n\r\n");
    let deadline = Instant::now() + SCAN_TIMEOUT;
    let failure = milter.ask(&told(), &screened, &mut message, deadline).await.unwrap_err();
    assert_eq!(failure.code, BUSY);
    assert_eq!(deadline - Instant::now(), SCAN_TIMEOUT - MILTER_SEAT_TIMEOUT);
}
