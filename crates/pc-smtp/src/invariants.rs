//! What must hold for any octets at all. The fuzz targets and the tests that replay their corpora
//! call these functions; each panics when an invariant is broken.

use crate::chunk::ChunkReceiver;
use crate::client::{DotStuffer, UpstreamReply, final_reply};
use crate::custody::Custody;
use crate::data::DataReceiver;
use crate::session::{Effect, EndAnswer, Input, Offer, Session, TlsPolicy};
use crate::{EnhancedCode, Reply};

/// A session fed with `octets` ends or waits, answers with well-formed lines only, and says the same
/// however the octets are cut.
pub fn command(octets: &[u8]) {
    let whole = converse(octets, octets.len().max(1));
    let pieces = converse(octets, 1);
    // DATA with octets behind it in one segment is refused, octet by octet it cannot be seen.
    if !octets.to_ascii_uppercase().windows(4).any(|window| window == b"DATA" || window == b"ARTT") {
        assert_eq!(whole, pieces, "the cut changed the conversation");
    }
}

/// What the data receiver takes as sound has no bare line end and survives being sent on by DATA
/// unchanged, as one message.
pub fn data(octets: &[u8]) {
    let mut receiver = DataReceiver::new(1 << 20);
    let mut message = Vec::new();
    let progress = receiver.push(octets, &mut message);
    let mut pieces = DataReceiver::new(1 << 20);
    let mut pieced = Vec::new();
    let mut consumed = 0;
    for octet in octets.chunks(1) {
        let progress = pieces.push(octet, &mut pieced);
        consumed += progress.consumed;
        if progress.ended {
            break;
        }
    }
    assert_eq!((&message, progress.consumed, receiver.fault()), (&pieced, consumed, pieces.fault()));
    if progress.ended && receiver.fault().is_none() {
        passes_on_as_one_message(&message);
    }
}

/// The same for a message in two chunks cut at the place its first octet names.
pub fn bdat(octets: &[u8]) {
    let Some((&cut, message)) = octets.split_first() else { return };
    let (first, second) = message.split_at_checked(usize::from(cut)).unwrap_or((message, b""));
    let mut receiver = ChunkReceiver::new(1 << 20);
    let mut out = Vec::new();
    for chunk in [first, second] {
        receiver.announce(chunk.len() as u64);
        receiver.push(chunk, &mut out);
    }
    receiver.finish();
    if receiver.fault().is_none() {
        assert_eq!(out, message);
        passes_on_as_one_message(&out);
    }
}

fn passes_on_as_one_message(message: &[u8]) {
    let mut wire = Vec::new();
    let mut stuffer = DotStuffer::default();
    stuffer.push(message, &mut wire);
    stuffer.finish(&mut wire);
    let mut receiver = DataReceiver::new(u64::MAX);
    let mut got = Vec::new();
    let progress = receiver.push(&wire, &mut got);
    assert!(progress.ended && progress.consumed == wire.len(), "a second message would follow");
    assert_eq!(receiver.fault(), None, "a bare line end was let through");
    assert!(got.starts_with(message) && got.len() <= message.len() + 2);
}

/// Plays a client against a session whose shell takes everything; returns all replies.
fn converse(octets: &[u8], piece: usize) -> Vec<u8> {
    let Ok(node_name) = "edge.example.org".parse() else { return Vec::new() };
    let offer =
        Offer { node_name, message_octets_max: 4_096, recipients_max: 100, tls_policy: TlsPolicy::Offered };
    let (mut session, mut effects) = Session::open(offer);
    let mut wire = Vec::new();
    let mut pieces = octets.chunks(piece);
    loop {
        for effect in std::mem::take(&mut effects) {
            let input = match effect {
                Effect::CheckMail(..) | Effect::CheckRecipient(_) => {
                    Input::Answer(Reply::new(250, EnhancedCode(2, 1, 0), "OK"))
                }
                Effect::EndOfMessage(envelope) => {
                    assert!(!envelope.recipients.is_empty(), "a message without a recipient");
                    let ok = UpstreamReply { code: 250, lines: Vec::new() };
                    match final_reply(&ok) {
                        Ok(accepted) => Input::End(EndAnswer::Taken {
                            custody: Custody::Accepted(accepted),
                            text: "OK".to_owned(),
                        }),
                        Err(reply) => Input::End(EndAnswer::Refused(reply)),
                    }
                }
                Effect::StartTls => Input::TlsUp,
                Effect::Reply(reply) => {
                    reply.write_to(&mut wire);
                    continue;
                }
                Effect::Abandon | Effect::Body(_) | Effect::Close | Effect::Rejected(_) => continue,
            };
            let (after, further) = session.handle(input);
            session = after;
            effects.extend(further);
        }
        if !effects.is_empty() {
            continue;
        }
        let Some(piece) = pieces.next().filter(|_| !session.is_closed()) else { break };
        let (after, further) = session.handle(Input::Bytes(piece));
        (session, effects) = (after, further);
    }
    for line in wire.split_inclusive(|octet| *octet == b'\n') {
        assert!(line.ends_with(b"\r\n") && line.len() <= crate::limits::REPLY_LINE_OCTETS_MAX);
        assert!(line.iter().take(3).all(u8::is_ascii_digit), "a line without a code");
    }
    wire
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn replay(target: &str, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            check(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "the corpus of {target} is empty");
    }

    #[test]
    fn the_corpora_of_command_data_and_bdat_hold_their_invariants() {
        replay("command", super::command);
        replay("data", super::data);
        replay("bdat", super::bdat);
    }
}
