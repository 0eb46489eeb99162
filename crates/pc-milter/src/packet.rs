//! A packet is a length of four octets, a letter, and what the letter asks for.

use crate::Fault;
use crate::limits::RECEIVED_OCTETS_MAX;

/// Collects octets into packets.
#[derive(Debug, Default)]
pub struct PacketReader {
    input: Vec<u8>,
}

/// A letter and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) letter: u8,
    pub(crate) payload: Vec<u8>,
}

impl PacketReader {
    /// Adds octets that were read.
    pub fn push(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// Whether nothing is left over from earlier packets.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// The next complete packet, if there is one.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, Fault> {
        let Some((length, rest)) = self.input.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > RECEIVED_OCTETS_MAX {
            return Err(Fault::TooLarge);
        }
        if length == 0 {
            return Err(Fault::Malformed);
        }
        let Some(packet) = rest.get(..length) else { return Ok(None) };
        let Some((letter, payload)) = packet.split_first() else { return Err(Fault::Malformed) };
        let packet = Packet { letter: *letter, payload: payload.to_vec() };
        self.input.drain(..length.saturating_add(4));
        Ok(Some(packet))
    }
}

/// Appends a packet. Whoever builds `payload` keeps it below `limits::SENT_OCTETS_MAX`.
pub(crate) fn write_packet(out: &mut Vec<u8>, letter: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(letter);
    out.extend_from_slice(payload);
}

/// Appends a text and the NUL that ends it. A NUL inside would end it early and begin another one.
pub(crate) fn push_text(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend(text.iter().map(|octet| if *octet == 0 { b'?' } else { *octet }));
    payload.push(0);
}
