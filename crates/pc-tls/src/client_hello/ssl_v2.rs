//! Hellos in the format of SSL 2.0, which old programs send to find out what a server speaks (RFC 5246 E.2). They are read
//! only to tell what came; no listener goes on with one.

use super::octets::Octets;
use super::{ClientHello, HelloRefusal};
use crate::limits::SSL_V2_OCTETS_MAX;

/// What the record version of such a hello is given as.
pub(crate) const SSL_V2: u16 = 0x0002;

/// Octets of the whole record, header included, once its header is there.
pub(crate) fn record_octets(octets: &[u8]) -> Option<usize> {
    let (&[high, low], _) = octets.split_first_chunk()?;
    let length = usize::from(high & 0x7f) << 8 | usize::from(low);
    Some(length + HEADER_OCTETS)
}

/// Reads a whole record. Suites of SSL 2.0 itself have codes of three octets and are left out; JA4 would not count them.
///
/// # Errors
/// Any deviation from the format.
pub fn parse(record: &[u8]) -> Result<ClientHello, HelloRefusal> {
    if record.len() > SSL_V2_OCTETS_MAX {
        return Err(HelloRefusal::TooLarge);
    }
    let mut record = Octets::new(record, "SSL 2.0 hello");
    record.skip(HEADER_OCTETS)?;
    if record.u8()? != CLIENT_HELLO {
        return Err(HelloRefusal::Malformed("SSL 2.0 hello"));
    }
    let hello_version = record.u16()?;
    let suites = record.u16()?;
    let session_id = record.u16()?;
    let challenge = record.u16()?;
    let mut suites = record.part(usize::from(suites))?;
    record.skip(usize::from(session_id))?;
    record.skip(usize::from(challenge))?;
    record.end()?;
    let mut hello = ClientHello { record_version: SSL_V2, hello_version, ..ClientHello::default() };
    while !suites.is_empty() {
        let kind = suites.u8()?;
        let code = suites.u16()?;
        if kind == 0 {
            hello.cipher_suites.push(code);
        }
    }
    Ok(hello)
}

/// The length, with the top bit set.
const HEADER_OCTETS: usize = 2;
/// RFC 5246 E.2.
const CLIENT_HELLO: u8 = 1;
