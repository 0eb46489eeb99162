//! # Purpose
//! Receives the octets of BDAT chunks: counts them, finds bare CR and LF across chunk borders.
//!
//! # Trust
//! As for `data`. The size is declared by the peer, so the end is never in doubt; what is checked is
//! that the content cannot mean two messages to a server that takes it by DATA later.
//!
//! # Standards
//! RFC 3030 2 and 3. CHUNKING is offered without BINARYMIME, hence the lines must be lines.
//!
//! # Invariants
//! A refused chunk is read to its declared end before it is answered.

use memchr::memchr2;

use crate::data::DataFault;

/// The receiver of one message that comes in chunks.
#[derive(Debug)]
pub struct ChunkReceiver {
    after_cr: bool,
    chunks: u32,
    octets: u64,
    octets_max: u64,
    fault: Option<DataFault>,
}

impl ChunkReceiver {
    /// A receiver for a message of at most `octets_max` octets over all chunks.
    pub fn new(octets_max: u64) -> Self {
        Self { after_cr: false, chunks: 0, octets: 0, octets_max, fault: None }
    }

    /// Counts a new chunk of `octets`; a size over the limit is a fault before any octet came.
    pub fn announce(&mut self, octets: u64) {
        self.chunks = self.chunks.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
        if self.octets > self.octets_max {
            self.fault = self.fault.or(Some(DataFault::TooLarge));
        }
    }

    /// Chunks announced.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// The first fault found.
    pub fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Octets announced over all chunks.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Reads octets of the announced chunk and appends them to `out` while there is no fault.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) {
                match rest.strip_prefix(b"\n") {
                    Some(tail) => rest = tail,
                    None => self.fault = Some(DataFault::BareLineEnd),
                }
                continue;
            }
            let Some(at) = memchr2(b'\r', b'\n', rest) else { break };
            match rest.get(at) {
                Some(b'\r') => self.after_cr = true,
                _ => self.fault = Some(DataFault::BareLineEnd),
            }
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        if self.fault.is_none() {
            out.extend_from_slice(input);
        }
    }

    /// The message is complete; a CR as its last octet stands bare.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.after_cr) {
            self.fault = Some(DataFault::BareLineEnd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(chunks: &[&[u8]]) -> (Vec<u8>, Option<DataFault>) {
        let mut receiver = ChunkReceiver::new(100);
        let mut message = Vec::new();
        for chunk in chunks {
            receiver.announce(chunk.len() as u64);
            receiver.push(chunk, &mut message);
        }
        receiver.finish();
        (message, receiver.fault())
    }

    #[test]
    fn a_line_end_may_be_divided_by_a_chunk_border() {
        assert_eq!(receive(&[b"a\r", b"\nb\r\n"]), (b"a\r\nb\r\n".to_vec(), None));
        assert_eq!(receive(&[b"a\r\n.\r\nb\r\n"]).1, None);
    }

    #[test]
    fn bare_cr_and_lf_are_found_at_every_place() {
        for chunks in [
            [&b"a\r"[..], b"b"],
            [b"\n", b""],
            [b"a\n", b"b"],
            [b"a", b"\n"],
            [b"a\r\r", b"\n"],
            [b"a", b"\r"],
        ] {
            assert_eq!(receive(&chunks).1, Some(DataFault::BareLineEnd), "{chunks:?}");
        }
    }

    #[test]
    fn the_declared_size_counts_over_all_chunks() {
        let mut receiver = ChunkReceiver::new(100);
        receiver.announce(60);
        assert_eq!(receiver.fault(), None);
        receiver.announce(60);
        assert_eq!(receiver.fault(), Some(DataFault::TooLarge));
        receiver.announce(u64::MAX);
        assert_eq!(receiver.octets(), u64::MAX);
    }
}
