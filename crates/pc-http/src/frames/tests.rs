use super::*;

const NOW: Duration = Duration::ZERO;

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut octets = length[1..].to_vec();
    octets.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
    octets.extend_from_slice(payload);
    octets
}

fn begun() -> Frames {
    let mut frames = Frames::default();
    frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NOW).unwrap();
    frames
}

/// How many times a frame is taken, within one second.
fn taken(octets: &[u8]) -> (usize, Option<Flood>) {
    let mut frames = begun();
    for count in 0..10_000 {
        if let Err(flood) = frames.read(octets, NOW) {
            return (count, Some(flood));
        }
    }
    (10_000, None)
}

#[test]
fn a_connection_stands_in_a_header_from_headers_to_the_end_of_its_last_continuation() {
    let mut frames = Frames::default();
    assert_eq!(frames.position(), Position::BetweenRequests);
    frames.read(b"PRI * HTTP", NOW).unwrap();
    assert_eq!(frames.position(), Position::Head, "half a preface");
    frames.read(b"/2.0\r\n\r\nSM\r\n\r\n", NOW).unwrap();
    assert_eq!(frames.position(), Position::BetweenRequests);
    for (octets, position) in [
        (frame(0x4, 0, b""), Position::BetweenRequests),
        (frame(HEADERS, END_STREAM, b"abc"), Position::Head),
        (frame(CONTINUATION, 0, b""), Position::Head),
        (frame(CONTINUATION, END_HEADERS, b"x"), Position::BetweenRequests),
        (frame(HEADERS, END_HEADERS, b"abc")[..11].to_vec(), Position::Head),
        (b"c".to_vec(), Position::BetweenRequests),
        (frame(DATA, 0, b"abc")[..10].to_vec(), Position::Body),
        (b"bc".to_vec(), Position::BetweenRequests),
        (frame(0x6, 0, b"12345678")[..12].to_vec(), Position::BetweenRequests),
    ] {
        frames.read(&octets, NOW).unwrap();
        assert_eq!(frames.position(), position, "{octets:?}");
    }
    assert_eq!(frames.heads(), 2);
}

#[test]
fn the_division_of_the_octets_does_not_matter() {
    let mut octets = frame(HEADERS, 0, b"abc");
    octets.extend(frame(CONTINUATION, 0, &[0; 300]));
    octets.extend(frame(0x6, 0, b"12345678"));
    octets.extend(frame(DATA, 0, &[7; 20]));
    let mut whole = begun();
    whole.read(&octets, NOW).unwrap();
    for size in [1, 2, 3, 5, 8, 13, 100] {
        let mut parts = begun();
        octets.chunks(size).for_each(|part| parts.read(part, NOW).unwrap());
        assert_eq!(format!("{parts:?}"), format!("{whole:?}"), "{size}");
    }
}

#[test]
fn frames_that_move_nothing_are_counted_and_those_that_move_something_are_not() {
    let most = CONTROL_FRAMES_MAX as usize;
    for octets in [
        frame(0x6, 0, b"12345678"),
        frame(0x4, 0, b""),
        frame(0x4, 1, b""),
        frame(0x2, 0, b"12345"),
        frame(0x7, 0, b"12345678"),
        frame(0xfa, 0, b""),
        frame(DATA, 0, b""),
    ] {
        assert_eq!(taken(&octets), (most, Some(Flood::Control)), "{octets:?}");
    }
    for octets in [frame(DATA, 0, b"x"), frame(DATA, END_STREAM, b""), frame(WINDOW_UPDATE, 0, b"1234")] {
        assert_eq!(taken(&octets), (10_000, None), "{octets:?}");
    }
    assert_eq!(taken(&frame(RST_STREAM, 0, b"1234")), (RESETS_MAX as usize, Some(Flood::Resets)));
}

#[test]
fn an_allowance_grows_again_with_time_and_never_beyond_its_most() {
    let mut frames = begun();
    let ping = frame(0x6, 0, b"12345678");
    for second in 0..3_600 {
        for _ in 0..CONTROL_FRAMES_A_SECOND {
            frames.read(&ping, Duration::from_secs(second)).unwrap();
        }
    }
    let mut frames = begun();
    let later = Duration::from_secs(100_000);
    for _ in 0..CONTROL_FRAMES_MAX {
        frames.read(&ping, later).unwrap();
    }
    assert_eq!(frames.read(&ping, later), Err(Flood::Control));
}

#[test]
fn a_header_is_bounded_in_octets_and_in_frames() {
    let mut frames = begun();
    frames.read(&frame(HEADERS, 0, b""), NOW).unwrap();
    for _ in 0..CONTINUATIONS_MAX {
        frames.read(&frame(CONTINUATION, 0, b""), NOW).unwrap();
    }
    assert_eq!(frames.read(&frame(CONTINUATION, 0, b""), NOW), Err(Flood::Continuations));
    let mut frames = begun();
    let part = vec![0; 16_384];
    frames.read(&frame(HEADERS, 0, &part), NOW).unwrap();
    let flood = (0..CONTINUATIONS_MAX).find_map(|_| frames.read(&frame(CONTINUATION, 0, &part), NOW).err());
    assert_eq!(flood, Some(Flood::HeaderTooLarge));
}
