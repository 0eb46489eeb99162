//! What a milter says, one packet each.

use pc_smtp::Reply;
use pc_smtp::client::{ReplyReader, relayed};

use crate::Fault;
use crate::packet::Packet;

/// A packet of a milter, with its content as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// `SMFIR_ACCEPT`: the milter wants to see nothing more of it.
    Accept,
    /// `SMFIR_ADDHEADER`
    AddHeader {
        /// Not yet checked.
        name: Vec<u8>,
        /// Not yet checked.
        value: Vec<u8>,
    },
    /// `SMFIR_CHGHEADER`
    ChangeHeader {
        /// From 1, among the fields of that name.
        index: u32,
        /// Not yet checked.
        name: Vec<u8>,
        /// Not yet checked; empty takes the field out.
        value: Vec<u8>,
    },
    /// `SMFIR_CONTINUE`
    Continue,
    /// `SMFIR_DISCARD`
    Discard,
    /// `SMFIR_CONN_FAIL`, `SMFIR_SHUTDOWN`
    GiveUp,
    /// `SMFIR_INSHEADER`
    InsertHeader {
        /// From 0.
        index: u32,
        /// Not yet checked.
        name: Vec<u8>,
        /// Not yet checked.
        value: Vec<u8>,
    },
    /// A change that we never negotiate: body, sender, recipients.
    NotOffered,
    /// `SMFIR_PROGRESS`: it needs more time.
    Progress,
    /// `SMFIR_QUARANTINE`
    Quarantine {
        /// For people.
        reason: Vec<u8>,
    },
    /// `SMFIR_REJECT`
    Reject,
    /// `SMFIR_REPLYCODE`: 4xx or 5xx in the milter's words.
    ReplyCode(Reply),
    /// `SMFIR_SKIP`: no more of the body.
    Skip,
    /// `SMFIR_TEMPFAIL`
    TemporaryFailure,
}

impl Response {
    /// Reads a packet that is no answer to the offer.
    pub(crate) fn from_packet(packet: &Packet) -> Result<Self, Fault> {
        let payload = packet.payload.as_slice();
        let plain = |response| if payload.is_empty() { Ok(response) } else { Err(Fault::Malformed) };
        match packet.letter {
            b'a' => plain(Self::Accept),
            b'c' => plain(Self::Continue),
            b'd' => plain(Self::Discard),
            b'p' => plain(Self::Progress),
            b'r' => plain(Self::Reject),
            b's' => plain(Self::Skip),
            b't' => plain(Self::TemporaryFailure),
            b'f' | b'4' => plain(Self::GiveUp),
            b'+' | b'-' | b'2' | b'b' | b'e' => Ok(Self::NotOffered),
            b'h' => {
                let [name, value] = texts(payload)?;
                Ok(Self::AddHeader { name, value })
            }
            b'i' => {
                let (index, rest) = number(payload)?;
                let [name, value] = texts(rest)?;
                Ok(Self::InsertHeader { index, name, value })
            }
            b'm' => {
                let (index, rest) = number(payload)?;
                let [name, value] = texts(rest)?;
                Ok(Self::ChangeHeader { index, name, value })
            }
            b'q' => {
                let [reason] = texts(payload)?;
                Ok(Self::Quarantine { reason })
            }
            b'y' => {
                let [text] = texts(payload)?;
                reply(&text).map(Self::ReplyCode)
            }
            _ => Err(Fault::Malformed),
        }
    }
}

fn number(payload: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let (number, rest) = payload.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// Exactly `N` texts, each ended by NUL.
fn texts<const N: usize>(payload: &[u8]) -> Result<[Vec<u8>; N], Fault> {
    let payload = payload.strip_suffix(&[0]).ok_or(Fault::Malformed)?;
    let texts: Vec<Vec<u8>> = payload.split(|octet| *octet == 0).map(<[u8]>::to_vec).collect();
    texts.try_into().map_err(|_| Fault::Malformed)
}

/// `550 5.7.1 text`, or several such lines. It is read like a reply of the server behind, so no line
/// of it can be more than text of ours; 421 becomes 451, since our connection stays.
fn reply(text: &[u8]) -> Result<Reply, Fault> {
    let mut reader = ReplyReader::default();
    reader.push(text.strip_suffix(b"\r\n").unwrap_or(text));
    reader.push(b"\r\n");
    let reply = reader.next_reply().map_err(|_| Fault::Reply)?.ok_or(Fault::Reply)?;
    // 4xx and 5xx refuse; anything else would be a promise that only hand-over can make.
    if !reader.is_empty() || !(400..600).contains(&reply.code) {
        return Err(Fault::Reply);
    }
    Ok(relayed(&reply))
}
