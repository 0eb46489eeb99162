use std::borrow::Cow;
use std::fmt;

use crate::limits::REPLY_LINE_OCTETS_MAX;

/// An enhanced status code, RFC 3463: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedCode(pub u8, pub u16, pub u16);

impl fmt::Display for EnhancedCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A reply, RFC 5321 4.2: a code from 200 to 599, an enhanced code where RFC 2034 asks for one, and
/// one or more lines of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Printed before the text of every line.
    pub enhanced: Option<EnhancedCode>,
    /// At least one line; written without control characters and cut to the line limit.
    pub lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A one-line reply with an enhanced code.
    pub fn new(code: u16, enhanced: EnhancedCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A one-line reply without an enhanced code: greeting, EHLO, 354.
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// Whether the code is 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the code is 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The reply in one line for logs: code, enhanced code, text.
    pub fn summary(&self) -> String {
        let text = self.lines.join(" / ");
        match self.enhanced {
            Some(enhanced) => format!("{} {enhanced} {text}", self.code),
            None => format!("{} {text}", self.code),
        }
    }

    /// Appends the reply as octets. Control characters become `?`, over-long lines are cut, so that
    /// no text, not even one that quotes peer data, can add a line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let divider = if index == last { ' ' } else { '-' };
            let mut text = format!("{}{divider}", self.code);
            if let Some(enhanced) = self.enhanced {
                text.push_str(&enhanced.to_string());
                text.push(' ');
            }
            for character in line.chars() {
                let shown = if character.is_control() { '?' } else { character };
                if text.len() + shown.len_utf8() + CRLF.len() > REPLY_LINE_OCTETS_MAX {
                    break;
                }
                text.push(shown);
            }
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(CRLF);
        }
    }

    /// The reply as octets.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }
}

const CRLF: &[u8] = b"\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_code_and_enhanced_code() {
        let reply = Reply {
            code: 550,
            enhanced: Some(EnhancedCode(5, 7, 230)),
            lines: vec!["first".into(), "second".into()],
        };
        assert_eq!(reply.to_bytes(), b"550-5.7.230 first\r\n550 5.7.230 second\r\n");
    }

    #[test]
    fn quoted_peer_data_cannot_add_a_line() {
        let reply = Reply::new(500, EnhancedCode(5, 5, 1), "bad \r\n250 OK");
        assert_eq!(reply.to_bytes(), b"500 5.5.1 bad ??250 OK\r\n");
    }

    #[test]
    fn long_lines_are_cut_at_512_octets() {
        let reply = Reply::plain(250, "x".repeat(600));
        assert_eq!(reply.to_bytes().len(), 512);
    }
}
