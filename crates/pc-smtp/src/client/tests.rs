use super::*;
use crate::data::DataReceiver;

fn read(octets: &[u8], piece: usize) -> Result<Vec<UpstreamReply>, ReplyFault> {
    let mut reader = ReplyReader::default();
    let mut replies = Vec::new();
    for chunk in octets.chunks(piece) {
        reader.push(chunk);
        while let Some(reply) = reader.next_reply()? {
            replies.push(reply);
        }
    }
    Ok(replies)
}

fn reply(code: u16, line: &str) -> UpstreamReply {
    UpstreamReply { code, lines: vec![line.to_owned()] }
}

#[test]
fn replies_of_several_lines_come_out_whole_at_any_chunking() {
    let octets = b"250-edge.example.org\r\n250-SIZE 100\r\n250 CHUNKING\r\n354 go\r\n";
    for piece in [1, 2, 3, 10, 100] {
        let replies = read(octets, piece).unwrap();
        assert_eq!(replies.len(), 2);
        assert_eq!(replies[0].lines, ["edge.example.org", "SIZE 100", "CHUNKING"]);
        let offered = Capabilities::from_ehlo(&replies[0]);
        assert!(offered.size && offered.chunking && !offered.dsn);
        assert_eq!(replies[1], reply(354, "go"));
    }
}

#[test]
fn octets_that_are_no_reply_are_a_fault() {
    for octets in
        [&b"hello\r\n"[..], b"25\r\n", b"999 x\r\n", b"100 x\r\n", b"250x\r\n", b"250-a\r\n550 b\r\n"]
    {
        assert_eq!(read(octets, 3), Err(ReplyFault::Malformed), "{octets:?}");
    }
    assert_eq!(read(&b"250-x\r\n".repeat(100), 64), Err(ReplyFault::TooLong));
    assert_eq!(read(&b"x".repeat(3_000), 64), Err(ReplyFault::TooLong));
}

#[test]
fn only_a_2xx_passes_custody() {
    assert!(final_reply(&reply(250, "2.6.0 queued")).is_ok());
    for code in [354, 421, 451, 550] {
        assert!(final_reply(&reply(code, "no")).is_err(), "{code}");
    }
}

#[test]
fn the_word_of_the_server_behind_is_kept() {
    let relayed_reply = relayed(&reply(550, "5.1.1 User unknown"));
    assert_eq!(relayed_reply.to_bytes(), b"550 5.1.1 User unknown\r\n");
    assert_eq!(relayed(&reply(550, "User unknown")).to_bytes(), b"550 5.0.0 User unknown\r\n");
    assert_eq!(relayed(&reply(421, "4.3.2 Bye")).to_bytes(), b"451 4.3.2 Bye\r\n");
    assert_eq!(relayed(&reply(550, "2.1.5 odd")).to_bytes(), b"550 5.0.0 odd\r\n");
}

#[test]
fn stuffed_data_come_back_unchanged_through_the_receiver() {
    let messages: [&[u8]; 7] =
        [b"", b".", b".\r\n", b"a\r\n.\r\n..b\r\n", b"\r\n.\r\n", b"no line end", b"x\r\n.y"];
    for message in messages {
        for piece in [1, 2, 3, 100] {
            let mut wire = Vec::new();
            let mut stuffer = DotStuffer::default();
            message.chunks(piece).for_each(|chunk| stuffer.push(chunk, &mut wire));
            stuffer.finish(&mut wire);
            let mut receiver = DataReceiver::new(1_000);
            let mut got = Vec::new();
            let progress = receiver.push(&wire, &mut got);
            assert!(progress.ended && progress.consumed == wire.len(), "{message:?} {piece}");
            assert_eq!(receiver.fault(), None);
            let mut want = message.to_vec();
            if !message.is_empty() && !message.ends_with(b"\r\n") {
                want.extend_from_slice(b"\r\n");
            }
            assert_eq!(got, want);
        }
    }
}
