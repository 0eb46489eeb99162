use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Domain, hex, sha256};

/// Names one sending server: 16 hexadecimal digits, derived from the connecting address and the
/// registrable domain of its greeting name. The name a server writes into its own header is never
/// part of it, so that nobody can open a row for somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(Box<str>);

impl ServerId {
    /// The id of the server that connects from `address` and greets as `greeting_name`. Anyone can
    /// recompute it: the first 16 hex digits of SHA-256 over `address|registrable-domain`, with `-`
    /// in place of a missing domain.
    pub fn derive(address: IpAddr, greeting_name: Option<&Domain>) -> Self {
        let domain = greeting_name.and_then(|name| name.registrable()).unwrap_or("-");
        let digest = sha256(format!("{}|{domain}", address.to_canonical()).as_bytes());
        let mut digits = hex(&digest);
        digits.truncate(DIGITS);
        Self(digits.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server id is 16 hexadecimal digits, as `portcullis servers list` shows them")]
pub struct ServerIdError;

impl FromStr for ServerId {
    type Err = ServerIdError;

    fn from_str(text: &str) -> Result<Self, ServerIdError> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == DIGITS && is_hex { Ok(Self(text.into())) } else { Err(ServerIdError) }
    }
}

/// 64 bits: no two of a million servers are expected to share an id.
const DIGITS: usize = 16;

impl fmt::Display for ServerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_under_two_host_names_of_a_domain_is_one_id() {
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let first = ServerId::derive(address, Some(&"mx1.example.org".parse().unwrap()));
        let second = ServerId::derive(mapped, Some(&"mx2.example.org".parse().unwrap()));
        let other = ServerId::derive(address, Some(&"mx1.example.net".parse().unwrap()));
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!(first.as_str().parse::<ServerId>(), Ok(first));
    }

    #[test]
    fn ids_are_checked_when_typed_in() {
        assert!("xyz".parse::<ServerId>().is_err());
        assert!("0123456789ABCDEF".parse::<ServerId>().is_err());
    }
}
