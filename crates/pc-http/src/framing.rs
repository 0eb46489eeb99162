//! # Purpose
//! Reads the octets of an HTTP/1 connection beside the library that parses them, and refuses whatever two parsers could
//! read in two ways: that is what request smuggling lives on.
//!
//! # Trust
//! Every octet is the client's.
//!
//! # Standards
//! RFC 9112, without what it lets a recipient tolerate: no bare LF (2.2), no empty lines before a request, one Host is
//! not checked here, no obs-fold (5.2), one Content-Length in its shortest form, Transfer-Encoding only as `chunked`
//! once and never beside Content-Length (6.1, 6.3), no chunk extensions, no trailers (7.1). Only `HTTP/1.0` and
//! `HTTP/1.1`.
//!
//! # Invariants
//! Any division of the octets gives the same result. After a [`Violation`] nothing more may be read. Octets are passed on
//! only after they were accepted here.

use crate::limits::{
    CHUNK_SIZE_DIGITS_MAX, CONTENT_LENGTH_DIGITS_MAX, FIELDS_MAX, HEADER_OCTETS_MAX, REQUEST_LINE_OCTETS_MAX,
};

/// Why the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 9112 2.2: a sender must not, a recipient may.
    #[error("a line ends with LF alone")]
    BareLineFeed,
    /// RFC 9112 2.2.
    #[error("CR stands inside a line")]
    BareCarriageReturn,
    /// RFC 9112 7.1.
    #[error("a chunk's size is not plain hexadecimal")]
    ChunkSize,
    /// RFC 9112 7.1: the octets after a chunk are not CRLF.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// RFC 9110 9.3.1: a body of GET has no meaning, and some servers take it for the next request.
    #[error("GET or HEAD comes with a body")]
    BodyOfGet,
    /// RFC 9112 6.3.
    #[error("Content-Length is not one plain number")]
    ContentLength,
    /// RFC 9110 5.5, 5.6.2; RFC 9112 5.1.
    #[error("a field line is malformed")]
    Field,
    /// RFC 9112 5.2.
    #[error("a field continues on a second line")]
    FoldedField,
    /// Our limit.
    #[error("too many fields, or too long")]
    HeaderTooLarge,
    /// RFC 9112 3.
    #[error("the request line is malformed")]
    RequestLine,
    /// Our limit.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// RFC 9112 6.1.
    #[error("Transfer-Encoding is not \"chunked\" alone")]
    TransferEncoding,
    /// RFC 9112 7.1.2; nobody needs them in front of Exchange.
    #[error("trailer fields follow a chunked body")]
    Trailer,
    /// RFC 9112 2.3.
    #[error("neither HTTP/1.1 nor HTTP/1.0")]
    Version,
}

impl Violation {
    /// Stable word for events and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare_lf",
            Self::BareCarriageReturn => "bare_cr",
            Self::BodyOfGet => "body_of_get",
            Self::ChunkSize => "chunk_size",
            Self::ChunkEnd => "chunk_end",
            Self::ContentLength => "content_length",
            Self::Field => "field",
            Self::FoldedField => "obs_fold",
            Self::HeaderTooLarge => "header_too_large",
            Self::RequestLine => "request_line",
            Self::RequestLineTooLong => "request_line_too_long",
            Self::TransferEncoding => "transfer_encoding",
            Self::Trailer => "trailer",
            Self::Version => "version",
        }
    }

    /// The status a client is told before the connection is closed.
    pub fn status(self) -> u16 {
        match self {
            Self::HeaderTooLarge => 431,
            Self::RequestLineTooLong => 414,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// The octets of one client connection, in order.
#[derive(Debug)]
pub struct Framing {
    state: State,
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    RequestLine,
    FieldLine,
    /// So many octets are left.
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    /// After the last chunk; only the empty line may follow.
    Trailer,
}

/// What the fields so far say.
#[derive(Debug, Default)]
struct Head {
    octets: usize,
    fields: usize,
    content_length: Option<u64>,
    is_chunked: bool,
    is_http10: bool,
    /// The method gives a body no meaning.
    is_bodiless: bool,
}

/// Where a connection stands between two octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the first octet of a request.
    BetweenRequests,
    /// Inside its body.
    Body,
    /// Inside its request line or header.
    Head,
}

impl Default for Framing {
    fn default() -> Self {
        Self { state: State::RequestLine, line: Vec::new(), head: Head::default() }
    }
}

impl Framing {
    /// Where the connection stands.
    pub fn position(&self) -> Position {
        match self.state {
            State::RequestLine if self.line.is_empty() => Position::BetweenRequests,
            State::RequestLine | State::FieldLine => Position::Head,
            _ => Position::Body,
        }
    }

    /// Reads further octets.
    ///
    /// # Errors
    /// The first violation. What came with it must not be passed on.
    pub fn read(&mut self, mut octets: &[u8]) -> Result<(), Violation> {
        while !octets.is_empty() {
            octets = match &mut self.state {
                State::Body(left) | State::ChunkData(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = match self.state {
                            State::ChunkData(_) => State::ChunkEnd,
                            _ => State::RequestLine,
                        };
                    }
                    octets.get(count..).unwrap_or_default()
                }
                _ => self.read_line(octets)?,
            };
        }
        Ok(())
    }

    /// Takes octets up to the end of a line; carries the line out when it is whole.
    fn read_line<'a>(&mut self, octets: &'a [u8]) -> Result<&'a [u8], Violation> {
        let (part, rest) = match memchr::memchr(b'\n', octets) {
            Some(at) => octets.split_at(at + 1),
            None => (octets, &b""[..]),
        };
        let room = self.room();
        if self.line.len() + part.len() > room {
            return Err(self.too_long());
        }
        if self.line.is_empty() && part.ends_with(b"\n") {
            self.state = self.whole_line(part)?;
            return Ok(rest);
        }
        self.line.extend_from_slice(part);
        if !part.ends_with(b"\n") {
            // A CR may be the first half of the line's end.
            let inside = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
            return if memchr::memchr(b'\r', inside).is_some() {
                Err(Violation::BareCarriageReturn)
            } else {
                Ok(rest)
            };
        }
        let mut line = std::mem::take(&mut self.line);
        self.state = self.whole_line(&line)?;
        line.clear();
        // What a long field needed is not held while the connection is idle.
        line.shrink_to(LINE_OCTETS_KEPT);
        self.line = line;
        Ok(rest)
    }

    /// A line with its end, which is LF.
    fn whole_line(&mut self, line: &[u8]) -> Result<State, Violation> {
        let content = line.strip_suffix(b"\n").and_then(|line| line.strip_suffix(b"\r"));
        let content = content.ok_or(Violation::BareLineFeed)?;
        if memchr::memchr(b'\r', content).is_some() {
            return Err(Violation::BareCarriageReturn);
        }
        self.end_of_line(content, line.len())
    }

    fn room(&self) -> usize {
        match self.state {
            State::RequestLine => REQUEST_LINE_OCTETS_MAX,
            State::FieldLine => HEADER_OCTETS_MAX - self.head.octets,
            State::ChunkSize => CHUNK_SIZE_DIGITS_MAX + 2,
            _ => 2,
        }
    }

    fn too_long(&self) -> Violation {
        match self.state {
            State::RequestLine => Violation::RequestLineTooLong,
            State::FieldLine => Violation::HeaderTooLarge,
            State::ChunkSize => Violation::ChunkSize,
            State::Trailer => Violation::Trailer,
            _ => Violation::ChunkEnd,
        }
    }

    fn end_of_line(&mut self, line: &[u8], octets: usize) -> Result<State, Violation> {
        match self.state {
            State::RequestLine => {
                self.head = request_line(line)?;
                Ok(State::FieldLine)
            }
            State::FieldLine if line.is_empty() => self.head.body(),
            State::FieldLine => {
                self.head.octets += octets;
                self.head.fields += 1;
                if self.head.fields > FIELDS_MAX {
                    return Err(Violation::HeaderTooLarge);
                }
                self.head.field(line)?;
                Ok(State::FieldLine)
            }
            State::ChunkSize => match chunk_size(line)? {
                0 => Ok(State::Trailer),
                size => Ok(State::ChunkData(size)),
            },
            State::ChunkEnd if line.is_empty() => Ok(State::ChunkSize),
            State::Trailer if line.is_empty() => Ok(State::RequestLine),
            State::Trailer => Err(Violation::Trailer),
            State::ChunkEnd | State::Body(_) | State::ChunkData(_) => Err(Violation::ChunkEnd),
        }
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Violation> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Violation::FoldedField);
        }
        let colon = memchr::memchr(b':', line).ok_or(Violation::Field)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.is_empty()
            || !name.iter().all(|octet| is_token(*octet))
            || !value.iter().all(|octet| is_text(*octet))
        {
            return Err(Violation::Field);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // RFC 9112 6.3: equal copies may be merged; we do not.
            if self.content_length.is_some() {
                return Err(Violation::ContentLength);
            }
            self.content_length = Some(content_length(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked || self.is_http10 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::TransferEncoding);
            }
            self.is_chunked = true;
        }
        Ok(())
    }

    fn body(&self) -> Result<State, Violation> {
        match (self.is_chunked, self.content_length) {
            // RFC 9112 6.1: such a message may be an attempt at smuggling.
            (true, Some(_)) => Err(Violation::TransferEncoding),
            (true, None) | (false, Some(1..)) if self.is_bodiless => Err(Violation::BodyOfGet),
            (true, None) => Ok(State::ChunkSize),
            (false, None | Some(0)) => Ok(State::RequestLine),
            (false, Some(octets)) => Ok(State::Body(octets)),
        }
    }
}

/// The beginning of a head.
fn request_line(line: &[u8]) -> Result<Head, Violation> {
    let mut words = line.split(|octet| *octet == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Violation::RequestLine);
    };
    let is_sound = !method.is_empty() && method.iter().all(|octet| is_token(*octet)) && is_target(target);
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" if is_sound => Ok(Head {
            is_http10: version == b"HTTP/1.0",
            is_bodiless: matches!(method, b"GET" | b"HEAD"),
            ..Head::default()
        }),
        _ if is_sound && version.starts_with(b"HTTP/") => Err(Violation::Version),
        _ => Err(Violation::RequestLine),
    }
}

/// Octets kept for the next line.
const LINE_OCTETS_KEPT: usize = 256;

pub(crate) fn content_length(value: &[u8]) -> Result<u64, Violation> {
    let is_plain = !value.is_empty()
        && value.len() <= CONTENT_LENGTH_DIGITS_MAX
        && value.iter().all(u8::is_ascii_digit)
        // One number, one form: a leading zero is octal to somebody.
        && (value.len() == 1 || !value.starts_with(b"0"));
    if !is_plain {
        return Err(Violation::ContentLength);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    if line.is_empty() || line.len() > CHUNK_SIZE_DIGITS_MAX {
        return Err(Violation::ChunkSize);
    }
    line.iter().try_fold(0_u64, |size, octet| {
        let digit = char::from(*octet).to_digit(16).ok_or(Violation::ChunkSize)?;
        Ok(size * 16 + u64::from(digit))
    })
}

/// RFC 9112 3.2: no fragment; RFC 3986 2 and appendix A: these are percent-encoded, as is all that is not ASCII.
pub(crate) fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && target.iter().all(|octet| octet.is_ascii_graphic() && !b"#\\<>^`\"".contains(octet))
}

/// RFC 9110 5.6.2.
pub(crate) fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// RFC 9110 5.5, with obs-text, since browsers send file names in it.
fn is_text(octet: u8) -> bool {
    octet == b'\t' || (octet >= b' ' && octet != 0x7f)
}

#[cfg(test)]
mod tests;
