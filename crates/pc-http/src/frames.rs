//! # Purpose
//! Reads the frame headers of an HTTP/2 connection beside the library that parses them, for what the library does not bound:
//! how long a header may take to come, and how many frames may come that cost us work and the client nothing.
//!
//! # Trust
//! Every octet is the client's.
//!
//! # Standards
//! RFC 9113 4.1 (frames), 6.10 (CONTINUATION), 10.5 (what a peer may be refused for). What a frame says is the library's matter.
//!
//! # Invariants
//! Any division of the octets gives the same result. After a [`Flood`] nothing more may be read. Memory is the same whatever comes.

use std::time::Duration;

use crate::framing::Position;
use crate::limits::{
    CONTINUATIONS_MAX, CONTROL_FRAMES_A_SECOND, CONTROL_FRAMES_MAX, HEADER_OCTETS_MAX,
    REQUEST_LINE_OCTETS_MAX, RESETS_A_SECOND, RESETS_MAX,
};

/// Octets of "PRI * HTTP/2.0" and what belongs to it (RFC 9113 3.4).
const PREFACE_OCTETS: usize = 24;
const FRAME_HEADER_OCTETS: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Why the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flood {
    /// CVE-2024-27316 and its like.
    #[error("a header comes in too many CONTINUATION frames")]
    Continuations,
    /// PING, SETTINGS, PRIORITY, empty DATA, unknown types: CVE-2019-9512, -9515, -9518.
    #[error("too many frames that move nothing")]
    Control,
    /// Our limit, on the octets as they came.
    #[error("a header is too long")]
    HeaderTooLarge,
    /// CVE-2023-44487, Rapid Reset: each stream costs us a connection behind.
    #[error("too many streams are opened and reset")]
    Resets,
}

impl Flood {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Continuations => "h2_continuations",
            Self::Control => "h2_control_frames",
            Self::HeaderTooLarge => "header_too_large",
            Self::Resets => "h2_resets",
        }
    }
}

/// The octets of one client connection, in order.
#[derive(Debug)]
pub struct Frames {
    preface_left: usize,
    /// As far as one has come.
    header: [u8; FRAME_HEADER_OCTETS],
    header_octets: usize,
    /// Of the frame that is coming.
    payload_left: usize,
    kind: u8,
    is_inside_block: bool,
    block_octets: usize,
    continuations: usize,
    heads: u64,
    control: Allowance,
    resets: Allowance,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            preface_left: PREFACE_OCTETS,
            header: [0; FRAME_HEADER_OCTETS],
            header_octets: 0,
            payload_left: 0,
            kind: DATA,
            is_inside_block: false,
            block_octets: 0,
            continuations: 0,
            heads: 0,
            control: Allowance::new(CONTROL_FRAMES_MAX, CONTROL_FRAMES_A_SECOND),
            resets: Allowance::new(RESETS_MAX, RESETS_A_SECOND),
        }
    }
}

impl Frames {
    /// Where the connection stands. A frame that is neither of a header nor of a body is between requests.
    pub fn position(&self) -> Position {
        let is_head = self.is_inside_block || matches!(self.kind, HEADERS | CONTINUATION);
        match self.preface_left {
            PREFACE_OCTETS => Position::BetweenRequests,
            1.. => Position::Head,
            0 if self.is_inside_block || (is_head && self.payload_left > 0) => Position::Head,
            0 if self.kind == DATA && self.payload_left > 0 => Position::Body,
            0 => Position::BetweenRequests,
        }
    }

    /// How many headers began so far.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Reads further octets.
    ///
    /// # Errors
    /// The first flood. What came with it must not be passed on.
    pub fn read(&mut self, mut octets: &[u8], now: Duration) -> Result<(), Flood> {
        while let Some((first, rest)) = octets.split_first() {
            if self.preface_left > 0 {
                self.preface_left -= 1;
            } else if self.payload_left > 0 {
                let count = self.payload_left.min(octets.len());
                self.payload_left -= count;
                octets = octets.get(count..).unwrap_or_default();
                continue;
            } else if self.header_octets < FRAME_HEADER_OCTETS {
                if let Some(place) = self.header.get_mut(self.header_octets) {
                    *place = *first;
                }
                self.header_octets += 1;
                if self.header_octets == FRAME_HEADER_OCTETS {
                    self.header_octets = 0;
                    self.begin(now)?;
                }
            }
            octets = rest;
        }
        Ok(())
    }

    fn begin(&mut self, now: Duration) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        (self.payload_left, self.kind) = (length, kind);
        match kind {
            HEADERS | CONTINUATION => {
                if kind == HEADERS {
                    self.heads += 1;
                    (self.block_octets, self.continuations) = (0, 0);
                } else {
                    self.continuations += 1;
                }
                self.block_octets += length;
                self.is_inside_block = flags & END_HEADERS == 0;
                if self.continuations > CONTINUATIONS_MAX {
                    return Err(Flood::Continuations);
                }
                if self.block_octets > REQUEST_LINE_OCTETS_MAX + HEADER_OCTETS_MAX {
                    return Err(Flood::HeaderTooLarge);
                }
                Ok(())
            }
            RST_STREAM if self.resets.spend(now) => Ok(()),
            RST_STREAM => Err(Flood::Resets),
            // A fast download needs thousands of them.
            WINDOW_UPDATE => Ok(()),
            DATA if length > 0 || flags & END_STREAM != 0 => Ok(()),
            _ if self.control.spend(now) => Ok(()),
            _ => Err(Flood::Control),
        }
    }
}

/// So many at once, and so many more with each second.
#[derive(Debug)]
struct Allowance {
    most: u32,
    a_second: u32,
    left: u32,
    since: Duration,
}

impl Allowance {
    fn new(most: u32, a_second: u32) -> Self {
        Self { most, a_second, left: most, since: Duration::ZERO }
    }

    fn spend(&mut self, now: Duration) -> bool {
        let seconds = now.saturating_sub(self.since).as_secs();
        if seconds > 0 {
            let earned = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(self.a_second);
            self.left = self.left.saturating_add(earned).min(self.most);
            self.since += Duration::from_secs(seconds);
        }
        let has_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_one
    }
}

#[cfg(test)]
mod tests;
