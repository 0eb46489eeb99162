//! # Purpose
//! Reads the header that a load balancer puts before a connection, to say who the client is, and writes
//! one for a server behind.
//!
//! # Trust
//! Only octets from addresses that the operator named come here; they are still read as hostile,
//! since whoever reaches the listener from such an address could claim to be anybody.
//!
//! # Standards
//! The PROXY protocol, revision 2020/03/05 of its text, section 2.2: version 2, the binary form.
//! Version 1 (text) is refused: it has no checksum and no length before its end. Addresses other than
//! IP over a stream are refused.
//!
//! # Invariants
//! No more octets are asked for than the header has, so nothing of the client's is taken with it.

mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_REST_OCTETS_MAX;
pub(crate) use write::local_header;
pub use write::{ProxyTls, proxy_header};

/// Section 2.2: what a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family, and two octets of length.
const FIXED_OCTETS: usize = 16;
/// Section 2.2.1: the checksum over the whole header.
const TYPE_CRC32C: u8 = 0x03;

/// What is known after some octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The header is complete, and these are its octets.
    Complete(ProxySource),
    /// So many octets at least must follow, all of them the header's.
    Incomplete(usize),
}

/// Whom a connection is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySource {
    /// A client behind the balancer.
    Client(SocketAddr),
    /// The balancer itself (a health check), or somebody it cannot name: the real address counts.
    Sender,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// The checksum does not fit.
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
    /// Not an IP address over a stream.
    #[error("the PROXY header names an address that is not TCP over IPv4 or IPv6")]
    Family,
    /// Lengths that contradict each other, or an unknown version or command.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// The octets are something else.
    #[error("there is no PROXY header of version 2")]
    Missing,
    /// Longer than any sender needs.
    #[error("the PROXY header is longer than {max} octets", max = FIXED_OCTETS + PROXY_REST_OCTETS_MAX)]
    TooLong,
}

impl ProxyFault {
    /// Stable, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Checksum => "proxy_checksum",
            Self::Family => "proxy_family",
            Self::Malformed => "proxy_malformed",
            Self::Missing => "proxy_missing",
            Self::TooLong => "proxy_too_long",
        }
    }
}

/// Reads a header from its first octets. What stands behind a complete one is not looked at.
///
/// # Errors
/// As soon as the octets cannot become a header.
pub fn read_proxy_header(octets: &[u8]) -> Result<ProxyHeader, ProxyFault> {
    let begun = octets.len().min(SIGNATURE.len());
    if octets.get(..begun) != SIGNATURE.get(..begun) {
        return Err(ProxyFault::Missing);
    }
    let Some((fixed, rest)) = octets.split_first_chunk::<FIXED_OCTETS>() else {
        return Ok(ProxyHeader::Incomplete(FIXED_OCTETS - octets.len()));
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_REST_OCTETS_MAX {
        return Err(ProxyFault::TooLong);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(ProxyHeader::Incomplete(length - rest.len()));
    };
    match version_and_command {
        // LOCAL: the rest is skipped whatever it holds.
        0x20 => Ok(ProxyHeader::Complete(ProxySource::Sender)),
        0x21 => {
            let source = source(family, rest)?;
            let whole = octets.get(..FIXED_OCTETS + length).unwrap_or(octets);
            extensions(whole, address_octets(family))?;
            Ok(ProxyHeader::Complete(source))
        }
        _ => Err(ProxyFault::Malformed),
    }
}

/// Octets of the two addresses and ports.
fn address_octets(family: u8) -> usize {
    match family {
        0x11 => 12,
        0x21 => 36,
        _ => 0,
    }
}

fn source(family: u8, rest: &[u8]) -> Result<ProxySource, ProxyFault> {
    let (address, port) = match family {
        // UNSPEC over anything: the receiver goes by the real address.
        0x00..=0x02 => return Ok(ProxySource::Sender),
        0x11 => {
            let addresses = rest.first_chunk::<12>().ok_or(ProxyFault::Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
            (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), [high, low])
        }
        0x21 => {
            let (client, more) = rest.split_first_chunk::<16>().ok_or(ProxyFault::Malformed)?;
            let [.., high, low, _, _] = *more.first_chunk::<20>().ok_or(ProxyFault::Malformed)?;
            (IpAddr::V6(Ipv6Addr::from(*client)), [high, low])
        }
        _ => return Err(ProxyFault::Family),
    };
    let address = address.to_canonical();
    // Nobody connects from these; a rule for a network must not meet them.
    if address.is_unspecified() || address.is_multicast() {
        return Err(ProxyFault::Family);
    }
    Ok(ProxySource::Client(SocketAddr::new(address, u16::from_be_bytes(port))))
}

/// Walks over the extensions of a whole header; each has a type and two octets of length.
fn extensions(whole: &[u8], address_octets: usize) -> Result<(), ProxyFault> {
    let mut at = FIXED_OCTETS + address_octets;
    let mut checksum = None;
    while let Some([kind, high, low, rest @ ..]) = whole.get(at..).filter(|rest| !rest.is_empty()) {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..length).ok_or(ProxyFault::Malformed)?;
        if *kind == TYPE_CRC32C {
            let value = value.first_chunk::<4>().filter(|_| length == 4).ok_or(ProxyFault::Malformed)?;
            if checksum.replace((at + 3, u32::from_be_bytes(*value))).is_some() {
                return Err(ProxyFault::Malformed);
            }
        }
        at += 3 + length;
    }
    if at != whole.len() {
        return Err(ProxyFault::Malformed);
    }
    match checksum {
        Some((at, told)) if crc32c_without(whole, at) != told => Err(ProxyFault::Checksum),
        _ => Ok(()),
    }
}

/// CRC32c (RFC 9260 appendix A) of `octets`, with the four at `at` taken as zero. Bit by bit: a header is
/// short and comes once in a connection.
fn crc32c_without(octets: &[u8], at: usize) -> u32 {
    let field = at..at + 4;
    let mut register = u32::MAX;
    for (position, octet) in octets.iter().enumerate() {
        register ^= if field.contains(&position) { 0 } else { u32::from(*octet) };
        for _ in 0..8 {
            let carry = register & 1;
            register = (register >> 1) ^ (0x82F6_3B78 * carry);
        }
    }
    !register
}

/// What must hold for any octets at all: the fuzz target and the tests call it.
///
/// # Panics
/// When it does not hold.
pub fn proxy_invariants(octets: &[u8]) {
    let whole = read_proxy_header(octets);
    for end in 0..=octets.len() {
        let begun = read_proxy_header(octets.get(..end).unwrap_or_default());
        match begun {
            Ok(ProxyHeader::Incomplete(more)) => {
                assert!(more > 0 && end + more <= FIXED_OCTETS + PROXY_REST_OCTETS_MAX, "{more} at {end}");
                if let Ok(ProxyHeader::Complete(_)) = whole {
                    assert!(end + more <= octets.len(), "asked for octets behind the header");
                }
            }
            _ => assert_eq!(begun, whole, "the cut at {end} changed the meaning"),
        }
    }
}

#[cfg(test)]
mod tests;
