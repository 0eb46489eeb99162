use std::fmt;

/// Peer data made safe for a log line or a terminal: printable ASCII as it is, everything else as
/// `\xNN`, cut after a given count of octets.
pub struct Escaped<'a> {
    bytes: &'a [u8],
    octets_max: usize,
}

impl<'a> Escaped<'a> {
    /// Shows up to 256 octets.
    pub fn new(bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::with_octets_max(bytes, 256)
    }

    /// Shows up to `octets_max` octets.
    pub fn with_octets_max(bytes: &'a (impl AsRef<[u8]> + ?Sized), octets_max: usize) -> Self {
        Self { bytes: bytes.as_ref(), octets_max }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.get(..self.octets_max).unwrap_or(self.bytes);
        // Mostly it is one run of plain text.
        for run in shown.chunk_by(|one, next| is_plain(*one) && is_plain(*next)) {
            match (run, std::str::from_utf8(run)) {
                ([octet], _) if !is_plain(*octet) => match octet {
                    b'\\' => formatter.write_str("\\\\")?,
                    octet => write!(formatter, "\\x{octet:02x}")?,
                },
                (_, Ok(text)) => formatter.write_str(text)?,
                // Plain octets are ASCII.
                (_, Err(_)) => return Err(fmt::Error),
            }
        }
        if self.bytes.len() > self.octets_max { formatter.write_str("…") } else { Ok(()) }
    }
}

fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~') && octet != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_escape_sequences_cannot_forge_a_log_line() {
        assert_eq!(Escaped::new("a\r\nb\x1b[0m").to_string(), "a\\x0d\\x0ab\\x1b[0m");
        assert_eq!(Escaped::new("ü").to_string(), "\\xc3\\xbc");
        assert_eq!(Escaped::with_octets_max("abcdef", 3).to_string(), "abc…");
    }
}
