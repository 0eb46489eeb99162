/// Octets that become lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    octets: Vec<u8>,
    /// Octets in which no line end was found.
    looked: usize,
}

/// Why octets are no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// CR or LF alone. What one side takes for a line end and the other does not hides commands.
    #[error("a line ends with CR or LF alone")]
    BareLineEnd,
    /// Over the bound.
    #[error("a line is too long")]
    TooLong,
}

impl Lines {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The next line without its CRLF, at most `octets_max` long.
    pub(crate) fn next_line(&mut self, octets_max: usize) -> Result<Option<Vec<u8>>, LineFault> {
        let Some(end) = find_line_end(&self.octets, self.looked)? else {
            if self.octets.len() > octets_max {
                return Err(LineFault::TooLong);
            }
            // A CR at the end is looked at again with what follows it.
            self.looked = self.octets.len().saturating_sub(1);
            return Ok(None);
        };
        if end > octets_max {
            return Err(LineFault::TooLong);
        }
        let mut line = self.take(end + 2);
        line.truncate(end);
        Ok(Some(line))
    }

    /// Up to `octets_max` octets, whatever they are.
    pub(crate) fn take(&mut self, octets_max: usize) -> Vec<u8> {
        self.looked = 0;
        let rest = self.octets.split_off(octets_max.min(self.octets.len()));
        std::mem::replace(&mut self.octets, rest)
    }

    /// What has become no line yet.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.octets
    }
}

/// Where the first line ends, looked for from `from` on.
fn find_line_end(octets: &[u8], from: usize) -> Result<Option<usize>, LineFault> {
    let rest = octets.get(from..).unwrap_or_default();
    let Some(at) = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n')) else { return Ok(None) };
    match (rest.get(at), rest.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(Some(from + at)),
        (Some(b'\r'), None) => Ok(None),
        _ => Err(LineFault::BareLineEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line_wherever_it_is_cut() {
        let mut lines = Lines::default();
        for octet in b"abc\r\n\r\nd" {
            lines.push(&[*octet]);
            if let Some(line) = lines.next_line(8).unwrap() {
                assert!(line == b"abc" || line.is_empty());
            }
        }
        assert_eq!(lines.into_rest(), b"d");
    }

    #[test]
    fn a_bare_cr_or_lf_is_a_fault() {
        for octets in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\r\rb", b"\n"] {
            let mut lines = Lines::default();
            lines.push(octets);
            assert_eq!(lines.next_line(100), Err(LineFault::BareLineEnd));
        }
    }

    #[test]
    fn a_line_over_the_bound_is_a_fault_before_and_after_its_end() {
        for octets in [&b"abcdefghi"[..], b"abcdefghi\r\n"] {
            let mut lines = Lines::default();
            lines.push(octets);
            assert_eq!(lines.next_line(7), Err(LineFault::TooLong));
        }
    }
}
