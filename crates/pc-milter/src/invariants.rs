//! What holds whatever a milter sends: driven by the fuzz target `milter`, and by the tests over its corpus.

use crate::limits::{FIELD_LINE_OCTETS_MAX, FIELDS_OCTETS_MAX, MODIFICATIONS_MAX, SENT_OCTETS_MAX};
use crate::{BodyChunk, Conversation, Effect, Fault, Input, Modifications, Transaction, Verdict};

/// Inputs of one conversation; a milter that sends empty answers for ever is stopped by the shell's clock.
const INPUTS_MAX: usize = 10_000;

/// Holds a conversation with a milter whose answers are `script`: two octets of length, then that many octets, for each
/// answer that is awaited.
///
/// # Panics
/// When something does not hold.
pub fn conversation(script: &[u8]) {
    let mut answers = script;
    let body = [b'x'; 3_000];
    let mut chunks = BodyChunk::divide(&body);
    let (mut conversation, mut effects) = Conversation::open(transaction());
    let mut ended = None;
    for _ in 0..INPUTS_MAX {
        let mut wants_body = false;
        for effect in effects {
            assert!(ended.is_none(), "nothing follows the end");
            match effect {
                Effect::End(end) => ended = Some(end),
                Effect::Progress => {}
                Effect::Send(octets) => check_sent(&octets),
                Effect::WantBody => wants_body = true,
            }
        }
        if ended.is_some() {
            break;
        }
        let input = if wants_body {
            chunks.next().map_or(Input::EndOfBody, Input::Body)
        } else {
            let Some(answer) = next_answer(&mut answers) else { break };
            Input::Octets(answer)
        };
        (conversation, effects) = conversation.handle(input);
    }
    if let Some(end) = ended {
        check_end(end);
        let (_, effects) = conversation.handle(Input::Octets(b"\0\0\0\x01c"));
        assert_eq!(effects, [], "who is over hears nothing");
    }
}

fn transaction() -> Transaction {
    let address = std::net::Ipv4Addr::new(192, 0, 2, 1).into();
    let name = |text: &str| text.to_owned();
    let mut transaction =
        Transaction::new(name("edge.example.org"), name("id-1"), address, name("mail.example.net"));
    transaction.reverse_path = name("a@example.net");
    transaction.forward_paths = vec![name("b@example.org")];
    transaction.field(b"Subject", b" one").expect("a field that fits");
    transaction
}

fn next_answer<'a>(script: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = script.split_first_chunk::<2>()?;
    let (answer, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    *script = rest;
    Some(answer)
}

/// Whole packets of a size that every milter takes.
fn check_sent(mut octets: &[u8]) {
    while let Some((length, rest)) = octets.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("as wide");
        assert!((1..=SENT_OCTETS_MAX + 1).contains(&length) && length <= rest.len(), "a packet of {length}");
        octets = rest.get(length..).unwrap_or_default();
    }
    assert!(octets.is_empty(), "half a packet");
}

fn check_end(end: Result<Verdict, Fault>) {
    let Ok(verdict) = end else { return };
    match verdict.into_modifications() {
        Ok(modifications) => check_modifications(&modifications),
        Err(reply) => {
            let text = String::from_utf8_lossy(&reply.to_bytes()).into_owned();
            assert!(text.starts_with(['4', '5']), "{text}");
            assert!(text.lines().all(|line| line.is_ascii() && line.get(..3) == text.get(..3)), "{text}");
        }
    }
}

fn check_modifications(modifications: &Modifications) {
    assert!(modifications.added.len() + modifications.changed.len() <= MODIFICATIONS_MAX);
    let replaced = modifications.changed.iter().filter_map(|change| change.replacement.as_ref());
    let mut total = 0;
    for field in modifications.added.iter().chain(replaced) {
        let text = field.octets();
        total += text.len();
        let lines = text.strip_suffix(b"\r\n").expect("ends its last line");
        for (number, line) in lines.split(|octet| *octet == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            assert!(!line.contains(&b'\r') && !line.contains(&0) && line.len() <= FIELD_LINE_OCTETS_MAX);
            let is_folded = line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
            assert!(number == 0 || is_folded, "a field that ends and begins another");
        }
        assert_eq!(
            lines.iter().filter(|octet| **octet == b'\n').count(),
            lines.windows(2).filter(|pair| pair == b"\r\n").count(),
            "a bare LF"
        );
        let lower = text.to_ascii_lowercase();
        assert!(!lower.starts_with(b"received:") && !lower.starts_with(b"x-portcullis-"));
    }
    assert!(total <= FIELDS_OCTETS_MAX);
}
