//! # Purpose
//! Receives message data after `354`: finds the end, takes the transparency dots away, and says
//! whether the data were sound.
//!
//! # Trust
//! The peer chooses every octet. What it gains from a second reading of where the data end is a
//! message smuggled past every check (CVE-2023-51764, -51765, -51766).
//!
//! # Standards
//! RFC 5321 4.1.1.4, 4.5.2 and 2.3.8: only CRLF.CRLF ends the data, CR and LF appear together or
//! not at all. There is no lenient mode and no network that is excepted.
//!
//! # Invariants
//! An unsound message is read to its true end and then refused as a whole, since stopping early
//! would turn its remaining lines into commands. Output never holds a bare CR or LF.

use memchr::memchr2;

/// Where the octet after the ones seen stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Directly after CRLF, or at the very beginning.
    LineStart,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot at the start of a line and CR.
    DotCr,
    /// Inside a line.
    Line,
    /// After CR inside a line.
    Cr,
}

/// The receiver of one message's data.
#[derive(Debug)]
pub struct DataReceiver {
    place: Place,
    octets: u64,
    octets_max: u64,
    /// Octets consumed, whatever they were.
    consumed: u64,
    fault: Option<DataFault>,
}

/// Why received data are refused after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFault {
    /// A CR without LF or an LF without CR: `550 5.5.2`, and the connection is closed.
    BareLineEnd,
    /// Over the size limit: `552 5.3.4`.
    TooLarge,
}

/// What [`DataReceiver::push`] did with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the input that belong to the data; the rest follows the end.
    pub consumed: usize,
    /// CRLF.CRLF was seen.
    pub ended: bool,
}

impl DataReceiver {
    /// A receiver for a message of at most `octets_max` octets, counted after the transparency dots
    /// were taken away.
    pub fn new(octets_max: u64) -> Self {
        Self { place: Place::LineStart, octets: 0, octets_max, consumed: 0, fault: None }
    }

    /// Octets consumed, those that are no part of the message included.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The first fault found.
    pub fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Reads `input` and appends message octets to `out`; nothing is appended once a fault is known.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress {
        let progress = self.read(input, out);
        self.consumed = self.consumed.saturating_add(progress.consumed as u64);
        progress
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress {
        let mut rest = input;
        while let Some((&octet, tail)) = rest.split_first() {
            match (self.place, octet) {
                (Place::LineStart, b'.') => (self.place, rest) = (Place::Dot, tail),
                (Place::LineStart, _) => self.place = Place::Line,
                (Place::Dot, b'\r') => (self.place, rest) = (Place::DotCr, tail),
                // RFC 5321 4.5.2: the dot is deleted when other characters follow it.
                (Place::Dot, _) => self.place = Place::Line,
                (Place::DotCr, b'\n') => {
                    return Progress { consumed: input.len() - tail.len(), ended: true };
                }
                (Place::Cr, b'\n') => {
                    self.append(b"\r\n", out);
                    (self.place, rest) = (Place::LineStart, tail);
                }
                (Place::DotCr | Place::Cr, _) => {
                    self.refuse(DataFault::BareLineEnd);
                    self.place = Place::Line;
                }
                (Place::Line, b'\r') => (self.place, rest) = (Place::Cr, tail),
                (Place::Line, b'\n') => {
                    self.refuse(DataFault::BareLineEnd);
                    rest = tail;
                }
                (Place::Line, _) => rest = self.text(rest, out),
            }
        }
        Progress { consumed: input.len(), ended: false }
    }

    /// Takes the octets up to the next CR or LF, returns what follows.
    fn text<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (text, rest) = rest.split_at_checked(end).unwrap_or((rest, b""));
        self.append(text, out);
        rest
    }

    fn append(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.octets = self.octets.saturating_add(octets.len() as u64);
        if self.octets > self.octets_max {
            self.refuse(DataFault::TooLarge);
        }
        if self.fault.is_none() {
            out.extend_from_slice(octets);
        }
    }

    /// A bare line end outweighs a size, since it closes the connection.
    fn refuse(&mut self, fault: DataFault) {
        if self.fault != Some(DataFault::BareLineEnd) {
            self.fault = Some(fault);
        }
    }
}

#[cfg(test)]
mod tests;
