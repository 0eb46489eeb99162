use pc_hello::names::is_grease;
use pc_types::{hex, sha256};

use super::{ALPN, ClientHello, SERVER_NAME};

impl ClientHello {
    /// The JA4 fingerprint, for TLS over TCP. JA4 itself is free to use; its sister fingerprints are
    /// under a licence that forbids selling and are not implemented.
    pub fn ja4(&self) -> String {
        let suites = without_grease(&self.cipher_suites);
        let extensions = without_grease(&self.extensions);
        let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        format!(
            "t{version}{name}{suites:02}{extensions:02}{protocol}_{suites_hash}_{extensions_hash}",
            version = self.ja4_version(),
            suites = suites.len().min(COUNT_MAX),
            extensions = extensions.len().min(COUNT_MAX),
            protocol = self.ja4_protocol(),
            suites_hash = hash_of(&sorted_list(&suites)),
            extensions_hash = self.ja4_extensions_hash(extensions),
        )
    }

    /// JA4 takes the highest offered value as it is, known or not.
    fn ja4_version(&self) -> &'static str {
        let offered = without_grease(&self.supported_versions);
        match offered.into_iter().max().unwrap_or(self.hello_version) {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        }
    }

    /// First and last character of the first protocol; of its hexadecimal form when either is no
    /// letter or digit.
    fn ja4_protocol(&self) -> String {
        let Some(protocol) = self.protocols.first() else { return "00".to_owned() };
        let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
            return "00".to_owned();
        };
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
            return [char::from(first), char::from(last)].iter().collect();
        }
        let digits = hex(&[first, last]);
        digits.chars().take(1).chain(digits.chars().skip(3)).collect()
    }

    fn ja4_extensions_hash(&self, mut extensions: Vec<u16>) -> String {
        extensions.retain(|kind| *kind != SERVER_NAME && *kind != ALPN);
        if extensions.is_empty() {
            return EMPTY_HASH.to_owned();
        }
        let schemes = joined(&without_grease(&self.signature_algorithms));
        let separator = if schemes.is_empty() { "" } else { "_" };
        hash_of(&format!("{}{separator}{schemes}", sorted_list(&extensions)))
    }
}

const COUNT_MAX: usize = 99;
const EMPTY_HASH: &str = "000000000000";

fn without_grease(values: &[u16]) -> Vec<u16> {
    values.iter().copied().filter(|value| !is_grease(*value)).collect()
}

fn sorted_list(values: &[u16]) -> String {
    let mut values = values.to_vec();
    values.sort_unstable();
    joined(&values)
}

fn joined(values: &[u16]) -> String {
    let words: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    words.join(",")
}

fn hash_of(list: &str) -> String {
    if list.is_empty() {
        return EMPTY_HASH.to_owned();
    }
    hex(&sha256(list.as_bytes())).chars().take(EMPTY_HASH.len()).collect()
}
