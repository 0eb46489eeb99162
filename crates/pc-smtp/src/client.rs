//! # Purpose
//! The client side towards the server behind: reads its replies, knows what it offers, makes its
//! word ours, mints [`Accepted`] from its final 250, and writes data with transparency dots.
//!
//! # Trust
//! The server behind is known, but its replies are octets from a network: they are bounded, and
//! their text reaches our own client only through [`Reply`].
//!
//! # Standards
//! RFC 5321 4.2 and 4.5.2, RFC 2034, RFC 3030.
//!
//! # Invariants
//! A reply that came before the question is a fault (response injection at STARTTLS): the caller
//! asks [`ReplyReader::is_empty`] before it starts TLS.

use std::borrow::Cow;

use crate::custody::Accepted;
use crate::limits::{REPLY_LINES_MAX, UPSTREAM_REPLY_LINE_OCTETS_MAX};
use crate::reply::{EnhancedCode, Reply};

/// A reply of the server behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReply {
    /// 200 to 599.
    pub code: u16,
    /// The texts after code and divider, invalid UTF-8 replaced.
    pub lines: Vec<String>,
}

/// Why octets are no reply. The connection cannot be used further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// No code from 200 to 599 and divider at the start of a line, or lines with different codes.
    #[error("the server behind sent something that is no SMTP reply")]
    Malformed,
    /// Over [`REPLY_LINES_MAX`] or [`UPSTREAM_REPLY_LINE_OCTETS_MAX`].
    #[error("the server behind sent an endless reply")]
    TooLong,
}

/// Collects octets into replies.
#[derive(Debug, Default)]
pub struct ReplyReader {
    input: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
}

impl ReplyReader {
    /// Adds octets that were read.
    pub fn push(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// Whether nothing is left over from earlier replies.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.lines.is_empty()
    }

    /// The next complete reply, if there is one.
    ///
    /// # Errors
    /// See [`ReplyFault`].
    pub fn next_reply(&mut self) -> Result<Option<UpstreamReply>, ReplyFault> {
        while let Some(end) = memchr::memchr(b'\n', &self.input) {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            if line.len() > UPSTREAM_REPLY_LINE_OCTETS_MAX || self.lines.len() >= REPLY_LINES_MAX {
                return Err(ReplyFault::TooLong);
            }
            if let Some(reply) = self.line(line.trim_ascii_end())? {
                return Ok(Some(reply));
            }
        }
        if self.input.len() > UPSTREAM_REPLY_LINE_OCTETS_MAX { Err(ReplyFault::TooLong) } else { Ok(None) }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<UpstreamReply>, ReplyFault> {
        let (digits, rest) = line.split_at_checked(3).ok_or(ReplyFault::Malformed)?;
        let code = std::str::from_utf8(digits)
            .ok()
            .filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))
            .and_then(|text| text.parse::<u16>().ok())
            .filter(|code| (200..600).contains(code))
            .ok_or(ReplyFault::Malformed)?;
        if self.code.replace(code).is_some_and(|earlier| earlier != code) {
            return Err(ReplyFault::Malformed);
        }
        let (more, text) = match rest.split_first() {
            None => (false, &b""[..]),
            Some((b' ', text)) => (false, text),
            Some((b'-', text)) => (true, text),
            Some(_) => return Err(ReplyFault::Malformed),
        };
        self.lines.push(String::from_utf8_lossy(text).into_owned());
        if more {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(UpstreamReply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

/// What the server behind offers in its answer to EHLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 8689.
    pub requiretls: bool,
    /// RFC 1870.
    pub size: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3207.
    pub starttls: bool,
}

impl Capabilities {
    /// Reads the lines after the first.
    pub fn from_ehlo(reply: &UpstreamReply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            let word = line.split_ascii_whitespace().next().unwrap_or_default();
            match word.to_ascii_uppercase().as_str() {
                "8BITMIME" => offered.eight_bit_mime = true,
                "CHUNKING" => offered.chunking = true,
                "DSN" => offered.dsn = true,
                "PIPELINING" => offered.pipelining = true,
                "REQUIRETLS" => offered.requiretls = true,
                "SIZE" => offered.size = true,
                "SMTPUTF8" => offered.smtputf8 = true,
                "STARTTLS" => offered.starttls = true,
                _ => {}
            }
        }
        offered
    }
}

/// The answer of the server behind to the end of data: custody passes on 2xx and on nothing else.
///
/// # Errors
/// Its refusal, in its own words.
pub fn final_reply(reply: &UpstreamReply) -> Result<Accepted, Reply> {
    if reply.code / 100 == 2 { Ok(Accepted { _private: () }) } else { Err(relayed(reply)) }
}

/// The word of the server behind as our reply. 421 speaks of its connection, not of ours, so it
/// becomes 451; a 3xx where none belongs becomes 451 as well. An enhanced code is kept where it
/// gives one, else made from the class.
pub fn relayed(reply: &UpstreamReply) -> Reply {
    let code = match reply.code {
        421 | 300..=399 => 451,
        code => code,
    };
    let class = u8::try_from(code / 100).unwrap_or(4);
    let mut enhanced = None;
    let mut lines: Vec<Cow<'static, str>> = Vec::new();
    for line in &reply.lines {
        let (own, text) = enhanced_code(line);
        enhanced = enhanced.or(own.filter(|own| own.0 == class));
        lines.push(text.to_owned().into());
    }
    if lines.is_empty() {
        lines.push("".into());
    }
    Reply { code, enhanced: enhanced.or(Some(EnhancedCode(class, 0, 0))), lines }
}

/// Divides `5.1.1 text` into its two parts.
fn enhanced_code(line: &str) -> (Option<EnhancedCode>, &str) {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    let mut parts = word.split('.');
    let code = (|| {
        let class = parts.next()?.parse().ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        let subject = parts.next()?.parse().ok()?;
        let detail = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(EnhancedCode(class, subject, detail))
    })();
    match code {
        Some(code) => (Some(code), text),
        None => (None, line),
    }
}

/// Writes message octets as DATA wants them: RFC 5321 4.5.2. The message has no bare CR or LF, as
/// both receivers guarantee.
#[derive(Debug)]
pub struct DotStuffer {
    line_start: bool,
    after_cr: bool,
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self { line_start: true, after_cr: false }
    }
}

impl DotStuffer {
    /// Appends `octets` to `out` with a dot added before every dot that starts a line.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        out.reserve(octets.len() + octets.len() / 64);
        let mut rest = octets;
        while !rest.is_empty() {
            if self.line_start && rest.starts_with(b".") {
                out.push(b'.');
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |lf| lf + 1);
            let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, b""));
            let ended_by_crlf = match line.strip_suffix(b"\n") {
                Some(b"") => self.after_cr,
                Some(text) => text.ends_with(b"\r"),
                None => false,
            };
            out.extend_from_slice(line);
            self.line_start = ended_by_crlf;
            self.after_cr = line.ends_with(b"\r");
            rest = tail;
        }
    }

    /// Appends the end of data, with the line end that the message may lack.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests;
