//! Header fields that a milter writes.

use crate::Fault;
use crate::limits::{FIELD_LINE_OCTETS_MAX, FIELD_OCTETS_MAX};

/// A field that can stand in a message: a whole field with its CRLF, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldText(Vec<u8>);

impl FieldText {
    /// Checks name and value and writes them as a field. In a value, a line end must be followed by
    /// white space, so that it folds and does not begin another field.
    pub(crate) fn new(name: &[u8], value: &[u8], space: LeadingSpace) -> Result<Self, Fault> {
        check_name(name)?;
        if name.len() + value.len() > FIELD_OCTETS_MAX {
            return Err(Fault::TooLarge);
        }
        let mut text = [name, b":"].concat();
        if space == LeadingSpace::Added {
            text.push(b' ');
        }
        // Milters write LF or CRLF.
        let mut lines = value.split(|octet| *octet == b'\n').peekable();
        let mut first = true;
        while let Some(line) = lines.next() {
            let line = match lines.peek() {
                Some(_) => line.strip_suffix(b"\r").unwrap_or(line),
                None => line,
            };
            let folds = matches!(line.first(), Some(b' ' | b'\t'));
            let is_blank = line.iter().all(|octet| matches!(octet, b' ' | b'\t'));
            // A folded line of white space alone is obsolete (RFC 5322 4.2) and read as the end of
            // the header by some.
            if line.contains(&b'\r') || line.contains(&0) || (!first && (!folds || is_blank)) {
                return Err(Fault::Field);
            }
            if !first {
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(line);
            first = false;
        }
        text.extend_from_slice(b"\r\n");
        if text.split(|octet| *octet == b'\n').any(|line| line.len() > FIELD_LINE_OCTETS_MAX + 1) {
            return Err(Fault::Field);
        }
        Ok(Self(text))
    }

    /// The whole field with its CRLF.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// Whether a value comes with the space after the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeadingSpace {
    /// It does not: the mail server writes one.
    Added,
    /// It does, `SMFIP_HDR_LEADSPC`.
    Included,
}

/// A change to a field of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Compared without regard to case.
    pub name: String,
    /// The how many-th field of that name, from 1, counted in the message as the milter got it.
    pub index: usize,
    /// What stands there instead; nothing takes the field out.
    pub replacement: Option<FieldText>,
}

/// RFC 5322 2.2: printable ASCII without colon. Loops and hops are found by Received, so nobody but a server that took
/// the message writes, changes or takes out one (RFC 5321 4.4).
pub(crate) fn check_name(name: &[u8]) -> Result<(), Fault> {
    let is_name = !name.is_empty() && name.iter().all(|octet| matches!(octet, b'!'..=b'9' | b';'..=b'~'));
    let is_ours = name.get(..OWN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX));
    let is_trace = name.eq_ignore_ascii_case(b"Received");
    if is_name && !is_ours && !is_trace { Ok(()) } else { Err(Fault::Field) }
}

/// Fields that only this product writes.
const OWN_PREFIX: &[u8] = b"X-Portcullis-";
