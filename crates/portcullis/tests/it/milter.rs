//! A scripted content scanner between the end of data and the server behind.

use pc_testkit::{Behaviour, Milter, MilterAnswer, MilterScript, Receiver, milter_packet};

use crate::support::{CHAIN_2016, Node, message, receiver_tls, text, upstream_toml};

/// Letter and payload.
type Packet<'a> = (u8, &'a [u8]);

/// A node with a receiving server behind and milters beside it.
struct Scanned {
    receiver: Receiver,
    node: Node,
    _folder: tempfile::TempDir,
}

impl Scanned {
    async fn start(milters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
        let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
        let node = Node::start(&format!("{}{milters}", upstream_toml(&receiver, &files)));
        Self { receiver, node, _folder: folder }
    }

    /// Sends a message; the last reply in one line.
    async fn send(&self, octets: &[u8]) -> String {
        let mut client = self.node.client().await;
        let replies =
            client.send("a@example.net", &["b@example.org", "c@example.org"], octets).await.unwrap();
        let last = replies.last().unwrap();
        format!("{} {}", last.code, last.lines.join(" / "))
    }

    fn last_message(&self) -> String {
        text(&self.receiver.deliveries().last().unwrap().message)
    }

    /// The reply in the newest row of the trace.
    fn traced(&self) -> String {
        self.node.json(&["trace", "--id", "<1@example.net>"])[0]["reply"].as_str().unwrap().to_owned()
    }
}

fn entry(name: &str, address: &str, rest: &str) -> String {
    format!("[[milter]]\nname = \"{name}\"\naddress = \"{address}\"\n{rest}")
}

async fn scanned(script: MilterScript) -> (Scanned, Milter) {
    let milter = Milter::start(script).await.unwrap();
    let scanned = Scanned::start(&entry("scanner", &milter.address, "timeout_seconds = 1\n")).await;
    (scanned, milter)
}

fn sample() -> String {
    message(CHAIN_2016)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_milter_is_told_what_the_server_behind_gets() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let forged = format!("X-Portcullis-Scan: clean\r\n{}", sample());
    assert!(scanned.send(forged.as_bytes()).await.starts_with("250 "));
    let told = milter.conversations().remove(0);
    let all = |letter: u8| -> Vec<String> {
        let payloads = told.iter().filter(|command| command.0 == letter);
        payloads.map(|command| text(&command.1).replace('\0', "|")).collect()
    };
    assert_eq!(all(b'C')[0].split('|').next().unwrap(), "[127.0.0.1]");
    assert_eq!(all(b'H'), ["mail.example.net|"]);
    assert_eq!(all(b'M'), ["<a@example.net>|"]);
    assert_eq!(all(b'R'), ["<b@example.org>|", "<c@example.org>|"]);
    let names: Vec<String> =
        all(b'L').iter().map(|field| field.split('|').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["Received", "From", "To", "Subject", "Message-ID"], "forged fields are gone");
    assert_eq!(all(b'B'), ["body\r\n"]);
    assert!(all(b'D').iter().any(|macros| macros.starts_with("Ei|")), "{:?}", all(b'D'));
    assert_eq!(scanned.receiver.count(), 1);
    assert!(scanned.last_message().ends_with(&sample()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_every_kind_reach_the_sender_and_the_trace_and_nothing_else_does() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let answers: [(&[Packet<'_>], &str); 6] = [
        (&[(b'r', b"")], "550 5.7.1 the message was refused by the content scanner"),
        (&[(b't', b"")], "451 4.7.1 the content scanner asks to try again later"),
        (&[(b'd', b"")], "550 5.7.1 the message was refused: the content scanner would discard it"),
        (&[(b'y', b"554 5.7.1 Gtube pattern\0")], "554 5.7.1 Gtube pattern"),
        (
            &[(b'q', b"bad\x1b[2J\0"), (b'a', b"")],
            "550 5.7.1 the message was refused: the content scanner would quarantine it: bad\\x1b[2J",
        ),
        (&[(b'y', b"250 2.0.0 OK\0")], "451 4.7.1 the content scanner is not available, please try again"),
    ];
    for (packets, want) in answers {
        milter.behave(MilterScript::accept().at_end(packets));
        assert_eq!(scanned.send(sample().as_bytes()).await, want);
        assert_eq!(scanned.traced(), want);
    }
    for letter in *b"CHMRTLNB" {
        let refusing = MilterAnswer::Octets(milter_packet(b'r', b""));
        milter.behave(MilterScript::accept().on(letter, refusing));
        assert!(scanned.send(sample().as_bytes()).await.starts_with("550 "), "{}", char::from(letter));
    }
    assert_eq!(scanned.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_does_not_leak_into_the_next_message() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let mut client = scanned.node.client().await;
    let mut codes = Vec::new();
    // "Accept" at the first step speaks for the whole connection, as libmilter has it.
    let accepting = MilterScript::accept().on(b'C', MilterAnswer::Octets(milter_packet(b'a', b"")));
    let refusing = MilterScript::accept().at_end(&[(b'r', b"")]);
    for script in [accepting.clone(), refusing.clone(), accepting, refusing] {
        milter.behave(script);
        let replies = client.send("a@example.net", &["b@example.org"], sample().as_bytes()).await.unwrap();
        codes.push(replies.last().unwrap().code);
    }
    assert_eq!(codes, [250, 550, 250, 550], "over one connection of the client");
    assert_eq!(milter.conversations().len(), 4, "each message has a connection of its own");
    assert_eq!(scanned.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_added_above_changed_in_place_and_taken_out() {
    let script = MilterScript::accept().at_end(&[
        (b'h', b"X-Spam\0yes\0"),
        (b'i', b"\0\0\0\0X-Result\0default\n\tscore=9\0"),
        (b'm', b"\0\0\0\x01Subject\0[spam] test\0"),
        (b'm', b"\0\0\0\x02X-Spam\0\0"),
        (b'm', b"\0\0\0\x01X-Spam\0\0"),
        (b'c', b""),
    ]);
    let (scanned, _milter) = scanned(script).await;
    let forged = format!("X-Spam: no\r\n{}", sample()).replace("To: b", "X-Spam: never\r\nTo: b");
    assert!(scanned.send(forged.as_bytes()).await.starts_with("250 "));
    let got = scanned.last_message();
    let want = format!(
        "\r\nX-Result: default\r\n\tscore=9\r\nX-Spam: yes\r\n{}",
        sample().replace("Subject: test", "Subject: [spam] test")
    );
    assert!(got.starts_with("Received: from mail.example.net ") && got.ends_with(&want), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_verdict_mail_is_deferred_at_whatever_step_it_fails() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let unavailable = "451 4.7.1 the content scanner is not available, please try again";
    let garbage = MilterAnswer::Octets(b"SSH-2.0-x\r\n".to_vec());
    for letter in *b"OCMLBE" {
        for answer in [MilterAnswer::Close, garbage.clone()] {
            milter.behave(MilterScript::accept().on(letter, answer));
            assert_eq!(scanned.send(sample().as_bytes()).await, unavailable, "{}", char::from(letter));
        }
    }
    for letter in *b"OE" {
        milter.behave(MilterScript::accept().on(letter, MilterAnswer::Hang));
        assert_eq!(scanned.send(sample().as_bytes()).await, unavailable);
    }
    milter.behave(MilterScript::accept().at_end(&[(b'b', b"another body"), (b'c', b"")]));
    assert_eq!(scanned.send(sample().as_bytes()).await, unavailable, "no change of the body was negotiated");
    milter.behave(MilterScript::accept().at_end(&[(b'h', b"X-Portcullis-Trace-Id\0forged\0"), (b'c', b"")]));
    assert_eq!(scanned.send(sample().as_bytes()).await, unavailable);
    assert_eq!(scanned.traced(), unavailable);
    assert_eq!(scanned.receiver.count(), 0);
    drop(milter);
    assert_eq!(scanned.send(sample().as_bytes()).await, unavailable, "nobody listens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_on_unscanned_only_where_the_operator_chose_it_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("second.ctl");
    let second = Milter::start_at(&path, MilterScript::accept()).await.unwrap();
    let gone = folder.path().join("gone.ctl").display().to_string();
    let first = entry("first", &format!("unix:{gone}"), "on_failure = \"accept\"\n");
    let scanned = Scanned::start(&format!("{first}{}", entry("second", &second.address, ""))).await;
    assert!(scanned.send(sample().as_bytes()).await.starts_with("250 "));
    let got = scanned.last_message();
    assert!(got.contains("\r\nX-Portcullis-Scan: skipped; milter=first\r\n"), "{got}");
    assert!(!got.contains("milter=second"));
    let log = std::fs::read_to_string(scanned.node.folder.path().join("log")).unwrap();
    assert!(log.contains("content scanner gave no verdict") && log.contains("action=\"accept\""), "{log}");
    second.behave(MilterScript::accept().at_end(&[(b'r', b"")]));
    assert!(scanned.send(sample().as_bytes()).await.starts_with("550 "), "the next milter is still asked");
    assert_eq!(second.conversations().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_asks_the_milters() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let found = |checks: serde_json::Value| {
        let checks = checks.as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["check"] == "milter").unwrap();
        format!("{}: {}", check["finding"].as_str().unwrap(), check["text"].as_str().unwrap())
    };
    let good = found(scanned.node.json(&["doctor"]));
    assert_eq!(good, "good: scanner answers; its verdict on a small test message: pass");
    milter.behave(MilterScript::accept().on(b'O', MilterAnswer::Close));
    let bad = found(scanned.node.json(&["doctor"]));
    assert!(bad.starts_with("bad: scanner: closed: it closed"), "{bad}");
    assert!(bad.ends_with("until it answers, mail is deferred with 451"), "{bad}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_milter_that_refuses_ends_it() {
    let refusing =
        Milter::start(MilterScript::accept().at_end(&[(b'y', b"550 5.7.1 first\0")])).await.unwrap();
    let other = Milter::start(MilterScript::accept()).await.unwrap();
    let milters = format!(
        "{}{}",
        entry("one", &refusing.address, ""),
        entry("two", &other.address, "on_failure = \"accept\"\n")
    );
    let scanned = Scanned::start(&milters).await;
    assert_eq!(scanned.send(sample().as_bytes()).await, "550 5.7.1 first");
    assert!(other.conversations().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_cannot_be_shown_to_a_milter_is_refused() {
    let (scanned, milter) = scanned(MilterScript::accept()).await;
    let wide = format!("X-Wide: {}\r\n{}", "x\r\n ".repeat(20_000), sample());
    let reply = scanned.send(wide.as_bytes()).await;
    assert_eq!(reply, "552 5.3.4 a field of the message header is too large to be scanned");
    let nul = sample().replace("Subject: test", "Subject: te\0st");
    assert_eq!(scanned.send(nul.as_bytes()).await, "550 5.6.0 the message header has a NUL octet");
    assert!(milter.conversations().is_empty());
}
