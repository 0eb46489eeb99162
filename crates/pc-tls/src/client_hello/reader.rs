use super::{CLIENT_HELLO, ClientHello, HelloRefusal, parse_message};
use crate::limits::{HELLO_OCTETS_MAX, HELLO_RECORDS_MAX, RECORD_OCTETS_MAX};

/// Collects octets until they hold a whole ClientHello, which may be spread over several records.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// Everything pushed so far, for the replay.
    raw: Vec<u8>,
    /// Where in `raw` the next record begins.
    record_start: usize,
    records: usize,
    record_version: u16,
    /// The fragments of all whole records.
    message: Vec<u8>,
}

/// What the octets so far amount to. After anything but [`HelloProgress::NeedMore`] the reader is spent.
#[derive(Debug, PartialEq, Eq)]
pub enum HelloProgress {
    /// The hello is complete.
    Hello {
        /// What it says.
        hello: Box<ClientHello>,
        /// All octets pushed, to be given to the TLS library.
        raw: Vec<u8>,
    },
    /// Not enough yet.
    NeedMore,
    /// This will not become a hello.
    Refused(HelloRefusal),
}

impl HelloReader {
    /// Takes the next octets in any number.
    pub fn push(&mut self, octets: &[u8]) -> HelloProgress {
        self.raw.extend_from_slice(octets);
        match self.advance() {
            Ok(None) => HelloProgress::NeedMore,
            Ok(Some(hello)) => HelloProgress::Hello { hello, raw: std::mem::take(&mut self.raw) },
            Err(refusal) => HelloProgress::Refused(refusal),
        }
    }

    /// Version field of the first record, 0 before it was read. Alerts before a hello is complete
    /// are sent in it.
    pub fn record_version(&self) -> u16 {
        self.record_version
    }

    fn advance(&mut self) -> Result<Option<Box<ClientHello>>, HelloRefusal> {
        if self.records == 0 && !opening_is_handshake(&self.raw)? {
            return Ok(None);
        }
        // Decisions are taken record by record in wire order, so that they do not depend on how much
        // has arrived behind the octet that decides.
        while self.take_record()? {
            let Some(length) = declared_length(&self.message)? else { continue };
            if self.message.len() < length {
                continue;
            }
            // RFC 8446 5.1: a message before a key change ends with its record.
            if self.message.len() > length {
                return Err(HelloRefusal::Malformed("octets follow the hello in its record"));
            }
            let mut hello = parse_message(&self.message)?;
            hello.record_version = self.record_version;
            return Ok(Some(Box::new(hello)));
        }
        Ok(None)
    }

    /// Moves one whole record from `raw` to `message`; `false` when none is whole.
    fn take_record(&mut self) -> Result<bool, HelloRefusal> {
        let rest = self.raw.get(self.record_start..).unwrap_or_default();
        let Some((&[kind, major, minor, high, low], body)) = rest.split_first_chunk() else {
            return Ok(false);
        };
        if kind != HANDSHAKE || major != 3 {
            return Err(HelloRefusal::Malformed("the hello is interrupted by another record"));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            // RFC 8446 5.1.
            return Err(HelloRefusal::Malformed("empty record"));
        }
        if length > RECORD_OCTETS_MAX || self.records >= HELLO_RECORDS_MAX {
            return Err(HelloRefusal::TooLarge);
        }
        if self.records == 0 {
            self.record_version = u16::from_be_bytes([major, minor]);
        }
        let Some(fragment) = body.get(..length) else { return Ok(false) };
        self.message.extend_from_slice(fragment);
        self.record_start += RECORD_HEADER_OCTETS + length;
        self.records += 1;
        Ok(true)
    }
}

/// Whether the first octets begin a handshake record; `false` when there are too few to tell.
fn opening_is_handshake(raw: &[u8]) -> Result<bool, HelloRefusal> {
    match (raw.first(), raw.get(1), raw.get(2)) {
        (None, ..) | (Some(CHANGE_CIPHER_SPEC..=HEARTBEAT), None, _) => Ok(false),
        (Some(&HANDSHAKE), Some(3), _) => Ok(true),
        (Some(CHANGE_CIPHER_SPEC..=HEARTBEAT), Some(3), _) => {
            Err(HelloRefusal::Malformed("the first record is no handshake"))
        }
        // The two-octet length of SSL 2.0 with its top bit set, then the message type.
        (Some(0x80..), _, None) => Ok(false),
        (Some(0x80..), _, Some(1)) => Err(HelloRefusal::SslV2),
        _ => Err(HelloRefusal::NotTls),
    }
}

/// Octets of the whole message, header included, once the header is there.
fn declared_length(message: &[u8]) -> Result<Option<usize>, HelloRefusal> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloRefusal::Malformed("not a ClientHello"));
    }
    let Some((&[_, high, middle, low], _)) = message.split_first_chunk() else { return Ok(None) };
    let body = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let length = MESSAGE_HEADER_OCTETS + body;
    if length > HELLO_OCTETS_MAX { Err(HelloRefusal::TooLarge) } else { Ok(Some(length)) }
}

// RFC 8446 5.1 and RFC 6520 3.
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const HEARTBEAT: u8 = 24;
/// RFC 8446 5.1.
const RECORD_HEADER_OCTETS: usize = 5;
/// RFC 8446 4.
const MESSAGE_HEADER_OCTETS: usize = 4;
