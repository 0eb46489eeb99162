//! Frames of HTTP/2 as any client may send them, and what comes back in words.

use std::fmt::Write as _;

use pc_testkit::WebClient;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;
pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;
/// RFC 9113 3.4.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const KINDS: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];
/// RFC 9113 7.
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// A frame, or octets in its place, and how the page shows it.
#[derive(Clone)]
pub struct Sent {
    pub octets: Vec<u8>,
    pub shown: String,
}

/// Octets that are no frame.
pub fn octets(octets: &[u8]) -> Sent {
    Sent { octets: octets.to_vec(), shown: octets.escape_ascii().to_string() }
}

/// A frame; its payload is shown as `what`.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], what: &str) -> Sent {
    let mut octets = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    octets.extend_from_slice(&[kind, flags]);
    octets.extend_from_slice(&stream.to_be_bytes());
    octets.extend_from_slice(payload);
    let mut words = vec![(stream & 0x7fff_ffff).to_string()];
    let names: &[(u8, &str)] = match kind {
        SETTINGS | PING => &[(ACK, "ACK")],
        _ => &[
            (END_STREAM, "END_STREAM"),
            (END_HEADERS, "END_HEADERS"),
            (PADDED, "PADDED"),
            (WITH_PRIORITY, "PRIORITY"),
        ],
    };
    words.extend(names.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| (*name).to_owned()));
    if !what.is_empty() {
        words.push(what.to_owned());
    }
    let kind =
        KINDS.get(usize::from(kind)).map_or_else(|| format!("0x{kind:02x}"), |name| (*name).to_owned());
    Sent { octets, shown: format!("{kind}({})", words.join(", ")) }
}

/// HEADERS with these fields, whole unless `flags` say otherwise.
pub fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Sent {
    let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    frame(HEADERS, flags, stream, &block(fields), &shown.join("; ").escape_debug().to_string())
}

/// Fields in HPACK, each a literal with a new name, not indexed (RFC 7541 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// RFC 7541 5.1, with a prefix of seven bits.
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap());
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// What comes back until the connection ends, an error of it is told, or a stream ends, where that counts.
pub async fn answer(client: &mut WebClient, watches_streams: bool) -> String {
    let mut said = String::new();
    loop {
        let mut header = [0; 9];
        if client.read_exact(&mut header).await.is_err() {
            return if said.is_empty() { "closed, no frame".to_owned() } else { said };
        }
        let [high, middle, low, kind, flags, rest @ ..] = header;
        let is_stream = watches_streams && rest != [0; 4];
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        if client.read_exact(&mut payload).await.is_err() {
            return said;
        }
        let code = |octets: &[u8]| CODES[u32::from_be_bytes(octets.try_into().unwrap()) as usize];
        let comma = if said.is_empty() { "" } else { ", " };
        match kind {
            HEADERS if is_stream => {
                let _ = write!(said, "{comma}{}", status(&payload));
            }
            RST_STREAM if is_stream => {
                let _ = write!(said, "{comma}RST_STREAM {}", code(&payload));
                return said;
            }
            GOAWAY if payload[4..8] != [0; 4] => {
                let _ = write!(said, "{comma}GOAWAY {}", code(&payload[4..8]));
                return said;
            }
            _ => {}
        }
        if is_stream && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            return said;
        }
    }
}

/// `:status`, the first field of every answer; in the static table or as a literal beside its name there.
fn status(block: &[u8]) -> String {
    let updates = block.iter().take_while(|octet| **octet & 0xe0 == 0x20).count();
    let block = &block[updates..];
    let known = ["200", "204", "206", "304", "400", "404", "500"];
    if let Some(status) = block[0].checked_sub(0x88).and_then(|place| known.get(usize::from(place))) {
        return (*status).to_owned();
    }
    assert!(matches!(block[0], 0x48 | 0x08 | 0x18), "no status: {block:02x?}");
    let text = &block[2..2 + usize::from(block[1] & 0x7f)];
    if block[1] & 0x80 == 0 { String::from_utf8(text.to_vec()).unwrap() } else { digits(text) }
}

/// RFC 7541 appendix B: 0, 1 and 2 have five bits, the others six.
fn digits(octets: &[u8]) -> String {
    let mut bits: String = octets.iter().map(|octet| format!("{octet:08b}")).collect();
    let mut text = String::new();
    while text.len() < 3 {
        let (length, digit) = match &bits[..5] {
            "00000" => (5, 0),
            "00001" => (5, 1),
            "00010" => (5, 2),
            _ => (6, u32::from_str_radix(&bits[..6], 2).unwrap() - 0b01_1001 + 3),
        };
        text.push(char::from_digit(digit, 10).unwrap());
        bits.drain(..length);
    }
    text
}
