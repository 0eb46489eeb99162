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
        for &byte in self.bytes.iter().take(self.octets_max) {
            match byte {
                b'\\' => formatter.write_str("\\\\")?,
                0x20..=0x7e => fmt::Write::write_char(formatter, char::from(byte))?,
                _ => write!(formatter, "\\x{byte:02x}")?,
            }
        }
        if self.bytes.len() > self.octets_max { formatter.write_str("…") } else { Ok(()) }
    }
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
