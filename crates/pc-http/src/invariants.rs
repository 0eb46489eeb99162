//! What holds whatever a client sends in HTTP/2: driven by the fuzz target `frames`, and by the test over its corpus.

use std::time::Duration;

use crate::frames::{Flood, Frames};
use crate::limits::{
    CONTINUATIONS_MAX, CONTROL_FRAMES_MAX, HEADER_OCTETS_MAX, REQUEST_LINE_OCTETS_MAX, RESETS_MAX,
};

const PREFACE_OCTETS: usize = 24;
const FRAME_HEADER_OCTETS: usize = 9;

/// Reads the octets of a connection, all of which came within a second.
///
/// # Panics
/// When something does not hold.
pub fn frames(octets: &[u8]) {
    let mut whole = Frames::default();
    let outcome = whole.read(octets, Duration::ZERO);
    let mut pieces = Frames::default();
    let mut heads = 0;
    let piecewise = octets.chunks(1).try_for_each(|octet| {
        let read = pieces.read(octet, Duration::ZERO);
        assert!(pieces.heads() >= heads, "a header is forgotten");
        heads = pieces.heads();
        read
    });
    assert_eq!(outcome, piecewise, "the division of the octets matters");
    if outcome.is_ok() {
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "the division of the octets matters");
    }
    assert_eq!(outcome.err(), flood(octets.get(PREFACE_OCTETS..).unwrap_or_default()), "another reading");
}

/// The first flood, found by going from frame to frame.
fn flood(mut octets: &[u8]) -> Option<Flood> {
    let (mut control, mut resets) = (0, 0);
    let (mut block, mut continuations) = (0, 0);
    while let Some((header, rest)) = octets.split_at_checked(FRAME_HEADER_OCTETS) {
        let &[high, middle, low, kind, flags, ..] = header else { break };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        match kind {
            0x1 => (block, continuations) = (length, 0),
            0x9 => (block, continuations) = (block + length, continuations + 1),
            0x3 => resets += 1,
            0x8 => {}
            0x0 if length > 0 || flags & 1 == 1 => {}
            _ => control += 1,
        }
        if continuations > CONTINUATIONS_MAX {
            return Some(Flood::Continuations);
        }
        if matches!(kind, 0x1 | 0x9) && block > REQUEST_LINE_OCTETS_MAX + HEADER_OCTETS_MAX {
            return Some(Flood::HeaderTooLarge);
        }
        if resets > RESETS_MAX {
            return Some(Flood::Resets);
        }
        if control > CONTROL_FRAMES_MAX {
            return Some(Flood::Control);
        }
        octets = rest.get(length..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_the_fuzz_target_keeps_the_invariants() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/frames");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            super::frames(&octets);
            // Each also broken off, and with an octet changed.
            for part in 0..16 {
                super::frames(&octets[..octets.len() * part / 16]);
                let mut changed = octets.clone();
                changed[octets.len() * part / 16] ^= 0x81;
                super::frames(&changed);
            }
            count += 1;
        }
        assert!(count >= 11, "{count}");
    }
}
