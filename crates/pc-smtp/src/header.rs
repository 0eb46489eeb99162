//! # Purpose
//! The header block of a received message: where it ends, its fields, what must be taken out and
//! added before it goes on, and whether the message loops. [`screen`] returns the [`Screened`]
//! token without which nothing is handed over.
//!
//! # Trust
//! Whoever wrote the message. A field that claims to be ours is a forgery and is taken out.
//!
//! # Standards
//! RFC 5322 2.2, RFC 5321 4.4 and 6.3, RFC 8601 5 (removing inbound Authentication-Results of our
//! own name).
//!
//! # Invariants
//! The octets that are kept are passed on unchanged and in order. Only [`Screened::change`] puts
//! something else in the place of a field, for a content scanner.

use std::ops::Range;

use pc_types::Domain;

use crate::limits::{HEADER_FIELDS_MAX, HEADER_OCTETS_MAX, OWN_RECEIVED_LINES_MAX, RECEIVED_LINES_MAX};
use crate::octets::{split_once, strip_prefix_ignore_case};

/// One field: its name and its unfolded value.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// As written, without the colon.
    pub name: &'a [u8],
    /// From after the colon to before the last CRLF, still folded.
    pub value: &'a [u8],
    start: usize,
    end: usize,
}

impl Field<'_> {
    /// The octet behind the field and its CRLF, counted from the beginning of the block.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Whether the name is `name`, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, with invalid UTF-8 replaced: RFC 5322 2.2.3.
    pub fn unfolded(&self) -> String {
        let text = String::from_utf8_lossy(self.value);
        text.replace("\r\n", "").trim().to_owned()
    }
}

/// Why a message cannot be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// Over [`HEADER_OCTETS_MAX`] or [`HEADER_FIELDS_MAX`]: `552 5.3.4`.
    #[error("the message header is too large")]
    TooLarge,
    /// Over [`RECEIVED_LINES_MAX`] hops: `554 5.4.6`.
    #[error("the message has passed too many servers")]
    TooManyHops,
    /// Over [`OWN_RECEIVED_LINES_MAX`] passes through this node: `554 5.4.6`.
    #[error("the message has passed this server before")]
    Loop,
}

/// A part of the header block that goes on.
#[derive(Debug)]
enum Piece {
    /// As it came.
    Kept(Range<usize>),
    /// Put in place of a field.
    Written(Vec<u8>),
}

/// Proof that the header of a message was read, checked and cleaned. Hand-over needs it.
#[derive(Debug)]
pub struct Screened {
    /// The header block that goes on, in order.
    kept: Vec<Piece>,
    /// Unfolded Received values, newest first.
    received: Vec<String>,
    message_id: Option<String>,
    kept_octets: usize,
    body_start: usize,
    /// Goes between header and body: empty, or the empty line that the sender left out.
    divider: &'static [u8],
}

impl Screened {
    /// Unfolded values of the Received fields, newest first.
    pub fn received(&self) -> &[String] {
        &self.received
    }

    /// The value of the first Message-ID field, unfolded.
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    /// The pieces of `head` that go on: the header block without forged fields, an empty line where
    /// the sender left it out, then whatever follows the block inside `head`. `head` is the octets
    /// that were screened.
    pub fn pieces<'a>(&'a self, head: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let header = self.kept.iter().filter_map(|piece| match piece {
            Piece::Kept(range) => head.get(range.clone()),
            Piece::Written(octets) => Some(octets.as_slice()),
        });
        header.chain([self.divider]).chain(head.get(self.body_start..))
    }

    /// The length of a message of `octets` octets after screening.
    pub fn octets_after(&self, octets: u64) -> u64 {
        let header = self.kept_octets.saturating_add(self.divider.len()) as u64;
        octets.saturating_sub(self.body_start as u64).saturating_add(header)
    }

    /// The fields of `head` that go on as they came, in order.
    pub fn fields<'h>(&self, head: &'h [u8]) -> impl Iterator<Item = Field<'h>> {
        fields(head.get(..self.body_start).unwrap_or_default()).filter(|field| self.keeps(field))
    }

    /// The part of the body that is inside `head`, without the empty line before it.
    pub fn body<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let rest = head.get(self.body_start..).unwrap_or_default();
        rest.strip_prefix(b"\r\n").unwrap_or(rest)
    }

    /// Takes a field out, or puts `replacement` in its place: a whole field with its CRLF. The field
    /// is one of [`Self::fields`].
    pub fn change(&mut self, field: &Field<'_>, replacement: Option<Vec<u8>>) {
        let Some(index) = self.kept.iter().position(|piece| piece.holds(field)) else { return };
        let Some(Piece::Kept(range)) = self.kept.get(index) else { return };
        let (before, after) = (range.start..field.start, field.end..range.end);
        let octets = field.end - field.start;
        self.kept_octets = self.kept_octets.saturating_sub(octets);
        let written = replacement.map(|replacement| {
            self.kept_octets += replacement.len();
            Piece::Written(replacement)
        });
        let parts = [Some(Piece::Kept(before)), written, Some(Piece::Kept(after))];
        let parts = parts.into_iter().flatten();
        self.kept.splice(
            index..=index,
            parts.filter(|part| !matches!(part, Piece::Kept(range) if range.is_empty())),
        );
    }

    fn keeps(&self, field: &Field<'_>) -> bool {
        self.kept.iter().any(|piece| piece.holds(field))
    }
}

/// Reads the header block at the beginning of `head`.
///
/// # Errors
/// See [`HeaderFault`].
pub fn screen(head: &[u8], node_name: &Domain) -> Result<Screened, HeaderFault> {
    let mut screened = Screened {
        kept: Vec::new(),
        received: Vec::new(),
        message_id: None,
        kept_octets: 0,
        body_start: 0,
        divider: b"",
    };
    let mut count = 0;
    let mut own = 0;
    for field in fields(head) {
        count += 1;
        if count > HEADER_FIELDS_MAX || field.end > HEADER_OCTETS_MAX {
            return Err(HeaderFault::TooLarge);
        }
        screened.body_start = field.end;
        if is_ours(&field, node_name) {
            continue;
        }
        if field.is("Received") {
            let value = field.unfolded();
            own += usize::from(is_own_received(&value, node_name));
            screened.received.push(value);
        } else if field.is("Message-ID") && screened.message_id.is_none() {
            screened.message_id = Some(field.unfolded());
        }
        screened.keep(field.start..field.end);
    }
    let rest = head.get(screened.body_start..).unwrap_or_default();
    if !rest.is_empty() && !rest.starts_with(b"\r\n") {
        // Without it, the trace field that is put in front would turn the body's first line into
        // a part of the header.
        screened.divider = b"\r\n";
    }
    if screened.received.len() > RECEIVED_LINES_MAX {
        return Err(HeaderFault::TooManyHops);
    }
    if own > OWN_RECEIVED_LINES_MAX {
        return Err(HeaderFault::Loop);
    }
    Ok(screened)
}

impl Screened {
    fn keep(&mut self, range: Range<usize>) {
        self.kept_octets += range.len();
        match self.kept.last_mut() {
            Some(Piece::Kept(last)) if last.end == range.start => last.end = range.end,
            _ => self.kept.push(Piece::Kept(range)),
        }
    }
}

impl Piece {
    fn holds(&self, field: &Field<'_>) -> bool {
        matches!(self, Self::Kept(range) if range.start <= field.start && field.end <= range.end)
    }
}

/// The fields at the beginning of `head`, up to the empty line or the first line that is no field.
pub fn fields(head: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = head.get(at..)?;
        let end = field_end(rest)?;
        let octets = rest.get(..end)?;
        let (name, value) = split_once(octets, b':')?;
        let name = name.trim_ascii_end();
        // RFC 5322 2.2: printable ASCII without colon and space.
        if name.is_empty() || !name.iter().all(|octet| matches!(octet, b'!'..=b'~')) {
            return None;
        }
        let field =
            Field { name, value: value.strip_suffix(b"\r\n").unwrap_or(value), start: at, end: at + end };
        at += end;
        Some(field)
    })
}

/// The length of the field at the beginning of `rest` with its continuation lines and CRLF.
fn field_end(rest: &[u8]) -> Option<usize> {
    if rest.is_empty() || rest.starts_with(b"\r\n") {
        return None;
    }
    let mut at = 0;
    loop {
        let line = rest.get(at..)?;
        at += memchr::memchr(b'\n', line).map_or(line.len(), |lf| lf + 1);
        match rest.get(at) {
            Some(b' ' | b'\t') => {}
            _ => return Some(at),
        }
    }
}

/// Fields that only this product writes, and results that claim to be this node's.
fn is_ours(field: &Field<'_>, node_name: &Domain) -> bool {
    if strip_prefix_ignore_case(field.name, "X-Portcullis-").is_some() {
        return true;
    }
    if !field.is("Authentication-Results") {
        return false;
    }
    // RFC 8601 5: compare the authserv-id, which stands first, without comments before it.
    let value = field.unfolded();
    let id = value.split([';', ' ', '\t', '(']).find(|word| !word.is_empty()).unwrap_or_default();
    let id = id.trim_matches('"').trim_end_matches('.');
    // Spellings that only a forger uses count as ours.
    id.eq_ignore_ascii_case(node_name.as_str()) || id.contains('\\') || value.trim_start().starts_with('(')
}

fn is_own_received(value: &str, node_name: &Domain) -> bool {
    let mut words = value.split_ascii_whitespace();
    let by = words.by_ref().find(|word| word.eq_ignore_ascii_case("by")).and_then(|_| words.next());
    by.is_some_and(|name| name.eq_ignore_ascii_case(node_name.as_str()))
}

#[cfg(test)]
mod tests;
