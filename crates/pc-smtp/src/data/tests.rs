use super::*;

struct Received {
    message: Vec<u8>,
    fault: Option<DataFault>,
    left_over: Vec<u8>,
    ended: bool,
}

/// Feeds `wire` in pieces of `piece` octets.
fn receive(wire: &[u8], piece: usize) -> Received {
    let mut receiver = DataReceiver::new(1_000);
    let mut message = Vec::new();
    let mut left_over = Vec::new();
    let mut ended = false;
    for chunk in wire.chunks(piece) {
        if ended {
            left_over.extend_from_slice(chunk);
            continue;
        }
        let progress = receiver.push(chunk, &mut message);
        ended = progress.ended;
        left_over.extend_from_slice(&chunk[progress.consumed..]);
    }
    Received { message, fault: receiver.fault(), left_over, ended }
}

fn check(wire: &[u8], message: &[u8], left_over: &[u8]) {
    for piece in [1, 2, 3, 7, wire.len().max(1)] {
        let got = receive(wire, piece);
        assert!(got.ended, "{wire:?}");
        assert_eq!(got.fault, None, "{wire:?}");
        assert_eq!(got.message, message, "pieces of {piece}");
        assert_eq!(got.left_over, left_over);
    }
}

#[test]
fn crlf_dot_crlf_ends_the_data_and_the_rest_is_left() {
    check(b"a\r\nb\r\n.\r\nQUIT\r\n", b"a\r\nb\r\n", b"QUIT\r\n");
    check(b".\r\n", b"", b"");
}

#[test]
fn leading_dots_are_taken_away_once() {
    check(b"..a\r\n..\r\n.b\r\n.\r\n", b".a\r\n.\r\nb\r\n", b"");
}

#[test]
fn no_other_shape_ends_the_data_and_each_is_a_fault() {
    let shapes: [&[u8]; 12] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\n.\r",
        b"\r.\n",
        b"\r\n.\r\r\n",
        b"\r\n.\r\r\r\n",
        b"\r\r\n.\r\n",
        b"\r\n\r.\r\n",
    ];
    for shape in shapes {
        let mut wire = b"Subject: x\r\n\r\nfirst".to_vec();
        wire.extend_from_slice(shape);
        wire.extend_from_slice(b"MAIL FROM:<smuggled@example.org>\r\n.\r\nNOOP\r\n");
        for piece in [1, 2, 5, wire.len()] {
            let got = receive(&wire, piece);
            // `\r\r\n.\r\n` holds a true end behind the bare CR: the message is refused there, and
            // the session closes, so the left-over is never read as commands.
            assert_eq!(got.fault, Some(DataFault::BareLineEnd), "{shape:?}");
            assert!(got.ended);
        }
    }
}

#[test]
fn a_bare_lf_before_the_dot_is_not_the_end() {
    let got = receive(b"a\n.\r\nb\r\n.\r\nrest", 1);
    assert_eq!(got.left_over, b"rest");
    assert_eq!(got.fault, Some(DataFault::BareLineEnd));
}

#[test]
fn too_large_data_are_read_to_their_end_without_being_kept() {
    let mut wire = vec![b'x'; 2_000];
    wire.extend_from_slice(b"\r\n.\r\nrest");
    let got = receive(&wire, 100);
    assert_eq!(got.fault, Some(DataFault::TooLarge));
    assert!(got.ended);
    assert_eq!(got.left_over, b"rest");
    assert!(got.message.len() <= 1_000);
}
