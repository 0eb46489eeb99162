//! Properties that hold for any input, stated once for the fuzz target and for the replay of its
//! corpus.

use crate::limits::RECEIVED_OCTETS_MAX;
use crate::received::ReceivedLine;

/// Reading a Received field: never panics, gives one result however the line is folded, and claims
/// no build without an `id` clause.
///
/// # Panics
/// When the property does not hold.
pub fn received(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let line = ReceivedLine::parse(&text);
    assert!(line.build().is_none() || line.id.is_some(), "a build without an id clause");
    for fold in ["\r\n ", "\r\n\t", "\n  ", " \t "] {
        let folded = text.replace(' ', fold);
        if text.len() <= RECEIVED_OCTETS_MAX && folded.len() <= RECEIVED_OCTETS_MAX {
            // Only a quoted name keeps its spaces, and with them the folds.
            let reading = ReceivedLine::parse(&folded);
            assert_eq!(reading.kind, line.kind, "folding with {fold:?} changes the kind");
            let names = [reading.by_host, reading.from_name, reading.id].map(|name| name.map(spaces_as_one));
            let whole = [line.by_host, line.from_name, line.id].map(|name| name.map(spaces_as_one));
            assert_eq!(names, whole, "folding with {fold:?} changes a clause");
        }
    }
}

/// A quoted name may hold folds of its own, so both sides are compared without them.
fn spaces_as_one(name: &str) -> String {
    name.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
