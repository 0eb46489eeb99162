use crate::{Effect, Input, Protocol, Relay};

/// Runs `C:` and `S:` lines and writes what happens; `~` at the end of a line stands for no CRLF.
fn run(protocol: Protocol, script: &[&str], is_octet_wise: bool) -> Vec<String> {
    let mut relay = Relay::open(protocol, b"");
    let mut happened: Vec<(char, String)> = Vec::new();
    for line in script {
        let (side, said) = line.split_once(':').unwrap();
        let said = said.strip_suffix('~').map_or(format!("{said}\r\n"), str::to_owned);
        let chunk = if is_octet_wise { 1 } else { said.len() };
        for piece in said.as_bytes().chunks(chunk) {
            let input = if side == "C" { Input::Client(piece) } else { Input::Server(piece) };
            let (next, effects) = relay.handle(input);
            relay = next;
            for effect in effects {
                let (mark, text) = match effect {
                    Effect::ToClient(octets) => ('c', String::from_utf8(octets).unwrap()),
                    Effect::ToServer(octets) => ('s', String::from_utf8(octets).unwrap()),
                    Effect::Close(code) => ('!', format!("close {code}")),
                    Effect::LoggedIn => ('!', "in".to_owned()),
                    Effect::LoginFailed => ('!', "failed".to_owned()),
                    Effect::Unclear(code) => ('!', format!("unclear {code}")),
                };
                match happened.last_mut() {
                    Some((last, before)) if *last == mark && mark != '!' => before.push_str(&text),
                    _ => happened.push((mark, text)),
                }
            }
            if happened.last().is_some_and(|(_, text)| text.starts_with("close ")) {
                return shown(&happened);
            }
        }
    }
    shown(&happened)
}

fn shown(happened: &[(char, String)]) -> Vec<String> {
    happened.iter().map(|(mark, text)| format!("{mark}:{}", text.replace("\r\n", "|"))).collect()
}

fn check(protocol: Protocol, script: &[&str], want: &[&str]) {
    assert_eq!(run(protocol, script, false), want, "in lines");
    assert_eq!(run(protocol, script, true), want, "octet by octet");
}

#[test]
fn imap_login_passes_and_then_octets_pass_as_they_are() {
    check(
        Protocol::Imap,
        &[
            "C:a CAPABILITY",
            "S:* CAPABILITY IMAP4rev1 STARTTLS",
            "S:a OK done",
            "C:b LOGIN u p",
            "S:b OK [CAPABILITY IMAP4rev1 IDLE] in",
            "C:c STARTTLS",
            "S:* CAPABILITY STARTTLS",
        ],
        &[
            "s:a CAPABILITY|",
            "c:* CAPABILITY IMAP4rev1|a OK done|",
            "s:b LOGIN u p|",
            "c:b OK [CAPABILITY IMAP4rev1 IDLE] in|",
            "!:in",
            "s:c STARTTLS|",
            "c:* CAPABILITY STARTTLS|",
        ],
    );
}

#[test]
fn imap_failures_are_counted_also_when_pipelined_and_with_literals() {
    check(
        Protocol::Imap,
        &[
            "C:a LOGIN u p",
            "C:b LOGIN u {3}",
            "S:a NO [AUTHENTICATIONFAILED] no",
            "S:+ go",
            "C:x y~",
            "C:",
            "S:b NO no",
            "C:c AUTHENTICATE PLAIN",
            "S:+ ",
            "C:AHUAcA==",
            "S:c NO no",
            "C:d LOGIN u p",
            "S:d NO [UNAVAILABLE] later",
            "C:e LOGIN u",
            "S:e BAD arguments",
        ],
        &[
            "s:a LOGIN u p|b LOGIN u {3}|",
            "c:a NO [AUTHENTICATIONFAILED] no|",
            "!:failed",
            "c:+ go|",
            "s:x y|",
            "c:b NO no|",
            "!:failed",
            "s:c AUTHENTICATE PLAIN|",
            "c:+ |",
            "s:AHUAcA==|",
            "c:c NO no|",
            "!:failed",
            "s:d LOGIN u p|",
            "c:d NO [UNAVAILABLE] later|",
            "s:e LOGIN u|",
            "c:e BAD arguments|",
        ],
    );
}

#[test]
fn imap_a_literal_that_the_server_refuses_leaves_the_next_line_a_command() {
    check(
        Protocol::Imap,
        &["C:a LOGIN {9}", "S:a BAD no", "C:b LOGIN u p", "S:b NO no"],
        &["s:a LOGIN {9}|", "c:a BAD no|", "s:b LOGIN u p|", "c:b NO no|", "!:failed"],
    );
}

#[test]
fn imap_clients_that_hide_whose_reply_is_whose_are_cut_off() {
    let bye = "c:* BYE protocol fault, closing|";
    for (script, code, before) in [
        (vec!["C:a NOOP", "C:a LOGIN u p"], "tag_reused", vec!["s:a NOOP|"]),
        (vec!["C:a LOGIN {3}", "C:x y"], "out_of_turn", vec!["s:a LOGIN {3}|"]),
        (vec!["C:a AUTHENTICATE PLAIN x", "C:b LOGIN u p"], "out_of_turn", vec!["s:a AUTHENTICATE PLAIN x|"]),
        (vec!["C:a LOGIN {3+}", "C:x y"], "literal", vec![]),
        (vec!["C:a LOGIN {99999}"], "literal", vec![]),
        (vec!["S:z NO who"], "unknown_tag", vec![]),
    ] {
        let close = format!("!:close {code}");
        let want: Vec<&str> = before.into_iter().chain([bye, close.as_str()]).collect();
        check(Protocol::Imap, &script, &want);
    }
}

#[test]
fn imap_literals_without_waiting_pass_where_the_server_offers_them() {
    check(
        Protocol::Imap,
        &["S:* CAPABILITY IMAP4rev1 LITERAL+", "C:a LOGIN {1+}", "C:u {1+}", "C:p", "S:a OK in"],
        &["c:* CAPABILITY IMAP4rev1 LITERAL+|", "s:a LOGIN {1+}|u {1+}|p|", "c:a OK in|", "!:in"],
    );
}

#[test]
fn starttls_inside_tls_is_answered_by_us() {
    check(Protocol::Imap, &["C:a STARTTLS"], &["c:a BAD TLS is active already|"]);
    check(Protocol::Pop3, &["C:STLS"], &["c:-ERR TLS is active already|"]);
    check(Protocol::Submission, &["C:STARTTLS"], &["c:503 5.5.1 TLS is active already|"]);
}

#[test]
fn pop3_counts_failures_in_order_and_lets_capabilities_through_without_stls() {
    check(
        Protocol::Pop3,
        &[
            "C:CAPA",
            "C:USER u",
            "C:PASS p",
            "S:+OK list",
            "S:STLS",
            "S:USER",
            "S:.",
            "S:+OK",
            "S:-ERR [AUTH] no",
            "C:AUTH PLAIN",
            "S:+ ",
            "C:AHUAcA==",
            "S:-ERR [SYS/TEMP] later",
            "C:APOP u x",
            "S:+OK in",
            "C:STLS",
        ],
        &[
            "s:CAPA|USER u|PASS p|",
            "c:+OK list|USER|.|+OK|-ERR [AUTH] no|",
            "!:failed",
            "s:AUTH PLAIN|",
            "c:+ |",
            "s:AHUAcA==|",
            "c:-ERR [SYS/TEMP] later|",
            "s:APOP u x|",
            "c:+OK in|",
            "!:in",
            "s:STLS|",
        ],
    );
}

#[test]
fn a_server_that_cannot_be_followed_is_let_through_and_nothing_is_counted() {
    check(
        Protocol::Pop3,
        &["C:PASS p", "S:what?", "S:-ERR no", "C:PASS p"],
        &["s:PASS p|", "c:what?|", "!:unclear reply", "c:-ERR no|", "s:PASS p|"],
    );
}

#[test]
fn a_submission_server_that_cannot_be_followed_ends_the_connection_before_mail_could_pass() {
    check(
        Protocol::Submission,
        &["C:EHLO c", "S:250-x", "S:hello", "S:250 x"],
        &["s:EHLO c|", "c:421 4.5.0 protocol fault, closing|", "!:close reply"],
    );
}

#[test]
fn submission_counts_failures_and_hides_starttls_at_the_end_of_a_reply() {
    check(
        Protocol::Submission,
        &[
            "C:EHLO c",
            "S:250-x",
            "S:250-AUTH PLAIN LOGIN",
            "S:250 STARTTLS",
            "C:AUTH LOGIN",
            "S:334 VXNlcm5hbWU6",
            "C:dQ==",
            "S:334 UGFzc3dvcmQ6",
            "C:cA==",
            "S:535 5.7.8 no",
            "C:AUTH XYZ",
            "S:504 5.5.4 unknown",
            "C:AUTH PLAIN AHUAcA==",
            "S:235 2.7.0 in",
            "C:MAIL FROM:<a@example.org>",
        ],
        &[
            "s:EHLO c|",
            "c:250-x|250 AUTH PLAIN LOGIN|",
            "s:AUTH LOGIN|",
            "c:334 VXNlcm5hbWU6|",
            "s:dQ==|",
            "c:334 UGFzc3dvcmQ6|",
            "s:cA==|",
            "c:535 5.7.8 no|",
            "!:failed",
            "s:AUTH XYZ|",
            "c:504 5.5.4 unknown|",
            "s:AUTH PLAIN AHUAcA==|",
            "c:235 2.7.0 in|",
            "!:in",
            "s:MAIL FROM:<a@example.org>|",
        ],
    );
}

#[test]
fn no_mail_reaches_the_server_before_a_login() {
    check(
        Protocol::Submission,
        &["C:EHLO c", "S:250 x", "C:MAIL FROM:<a@example.org>", "C:XCLIENT ADDR=192.0.2.1", "C:DATA"],
        &["s:EHLO c|", &format!("c:250 x|{}", "530 5.7.0 Authentication required|".repeat(3))],
    );
    // A reply of ours must not overtake one of the server's.
    check(
        Protocol::Submission,
        &["C:EHLO c", "C:MAIL FROM:<a@example.org>"],
        &["s:EHLO c|", "c:421 4.5.0 protocol fault, closing|", "!:close pipelined"],
    );
}

#[test]
fn endless_commands_and_lines_are_cut_off() {
    let commands = vec!["C:STLS"; 257];
    assert_eq!(run(Protocol::Pop3, &commands, false).last().unwrap(), "!:close too_many_commands");
    let long = format!("C:a LOGIN {}", "x".repeat(70_000));
    assert_eq!(run(Protocol::Imap, &[long.as_str()], false).last().unwrap(), "!:close line");
    assert_eq!(run(Protocol::Imap, &["C:a NOOP\n~"], false).last().unwrap(), "!:close line");
}

/// What reaches the client, what reaches the server, and what happens; the order between the two sides is no
/// matter.
fn effects_of(protocol: Protocol, pieces: &[(bool, &[u8])]) -> (Vec<u8>, Vec<u8>, Vec<Effect>) {
    let mut relay = Relay::open(protocol, b"");
    let (mut to_client, mut to_server, mut happened) = (Vec::new(), Vec::new(), Vec::new());
    for (is_client, piece) in pieces {
        let input = if *is_client { Input::Client(piece) } else { Input::Server(piece) };
        let (next, effects) = relay.handle(input);
        relay = next;
        for effect in effects {
            match effect {
                Effect::ToClient(octets) => to_client.extend(octets),
                Effect::ToServer(octets) => to_server.extend(octets),
                effect => happened.push(effect),
            }
        }
        if matches!(happened.last(), Some(Effect::Close(_))) {
            break;
        }
    }
    (to_client, to_server, happened)
}

#[test]
fn however_the_octets_of_a_turn_are_cut_the_same_happens() {
    let words: [&[u8]; 24] = [
        b"a ",
        b"b ",
        b"LOGIN ",
        b"u p",
        b"{2}",
        b"{2+}",
        b"AUTHENTICATE PLAIN",
        b"\r\n",
        b"\r\n",
        b"+ ",
        b"OK",
        b"NO",
        b"* CAPABILITY LITERAL+ STARTTLS",
        b"CAPA",
        b"PASS x",
        b"+OK",
        b"-ERR",
        b".",
        b"EHLO x",
        b"AUTH PLAIN",
        b"250-x",
        b"334 ",
        b"535 ",
        b"235 ",
    ];
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for round in 0..4_000 {
        let protocol = [Protocol::Imap, Protocol::Pop3, Protocol::Submission][round % 3];
        let turns: Vec<(bool, Vec<u8>)> = (0..6)
            .map(|turn| {
                let count = next(8);
                (turn % 2 == 0, (0..count).flat_map(|_| words[next(words.len())].to_vec()).collect())
            })
            .collect();
        let whole: Vec<(bool, &[u8])> = turns.iter().map(|(side, said)| (*side, said.as_slice())).collect();
        let single: Vec<(bool, &[u8])> =
            turns.iter().flat_map(|(side, said)| said.chunks(1).map(|octet| (*side, octet))).collect();
        assert_eq!(effects_of(protocol, &whole), effects_of(protocol, &single), "{protocol:?}: {turns:?}");
    }
}
