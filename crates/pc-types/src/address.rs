//! # Purpose
//! Which addresses may be connected to on somebody's word.
//!
//! # Standards
//! The registries of special addresses (RFC 6890 and what was added since). Of IPv6 only 2000::/3 is global
//! unicast (RFC 4291 2.4), so that everything else is refused without being named.
//!
//! # Invariants
//! An address inside another (mapped, 6to4, NAT64, Teredo) is never a way around.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far connections may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Wherever the operator says.
    Anywhere,
    /// To the internet only.
    Internet,
}

/// What an address is that the internet does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// This host.
    Loopback,
    /// One link; the metadata services of clouds are there.
    LinkLocal,
    /// A metadata or platform service of a cloud at an address that looks public.
    Metadata,
    /// One site or provider.
    Private,
    /// Multicast, documentation, carrying other addresses, or not given to anybody.
    Special,
}

impl fmt::Display for Inside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address, where clouds keep their metadata",
            Self::Metadata => "an address of a cloud's platform services",
            Self::Private => "a private address",
            Self::Special => "an address that is not of the internet",
        })
    }
}

/// Whether an address may be connected to.
///
/// # Errors
/// What it is instead.
pub fn check_address(address: IpAddr, reach: Reach) -> Result<(), Inside> {
    let inside = match address.to_canonical() {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    };
    match (reach, inside) {
        (Reach::Internet, Some(inside)) => Err(inside),
        (Reach::Anywhere, _) | (Reach::Internet, None) => Ok(()),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<Inside> {
    let within = |network: [u8; 4], prefix: u32| {
        let shift = 32_u32.saturating_sub(prefix);
        address.to_bits().checked_shr(shift) == Ipv4Addr::from_octets(network).to_bits().checked_shr(shift)
    };
    if within([127, 0, 0, 0], 8) || within([0, 0, 0, 0], 8) {
        return Some(Inside::Loopback);
    }
    if within([169, 254, 0, 0], 16) {
        return Some(Inside::LinkLocal);
    }
    if address == AZURE_PLATFORM {
        return Some(Inside::Metadata);
    }
    let private = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([100, 64, 0, 0], 10)];
    if private.into_iter().any(|(network, prefix)| within(network, prefix)) {
        return Some(Inside::Private);
    }
    SPECIAL_V4.iter().any(|(network, prefix)| within(*network, *prefix)).then_some(Inside::Special)
}

fn inside_v6(address: Ipv6Addr) -> Option<Inside> {
    let bits = address.to_bits();
    let within = |network: u128, prefix: u32| bits >> (128 - prefix) == network >> (128 - prefix);
    if address.is_loopback() || address.is_unspecified() {
        return Some(Inside::Loopback);
    }
    if address.is_unicast_link_local() {
        return Some(Inside::LinkLocal);
    }
    if address.is_unique_local() {
        return Some(Inside::Private);
    }
    // RFC 4291 2.4; 2001::/23 holds Teredo and ORCHID, 2002::/16 is 6to4, the others are for documents.
    let is_global = within(0x2000_u128 << 112, 3);
    let special = [
        (0x2001_u128 << 112, 23),
        (0x2001_0db8_u128 << 96, 32),
        (0x2002_u128 << 112, 16),
        (0x3fff_u128 << 112, 20),
    ];
    let is_special = !is_global || special.into_iter().any(|(network, prefix)| within(network, prefix));
    is_special.then_some(Inside::Special)
}

/// Documents of Azure name it: DHCP, DNS and the guest agent of every virtual machine.
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// RFC 6890, RFC 5737, RFC 2544, RFC 3068, RFC 5771, RFC 1112 4.
const SPECIAL_V4: &[([u8; 4], u32)] = &[
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_the_internet_does_not_see_are_refused() {
        for (text, want) in [
            ("127.0.0.1", Inside::Loopback),
            ("127.255.255.254", Inside::Loopback),
            ("0.0.0.0", Inside::Loopback),
            ("::1", Inside::Loopback),
            ("::", Inside::Loopback),
            ("::ffff:127.0.0.1", Inside::Loopback),
            ("169.254.169.254", Inside::LinkLocal),
            ("::ffff:169.254.169.254", Inside::LinkLocal),
            ("fe80::1", Inside::LinkLocal),
            ("168.63.129.16", Inside::Metadata),
            ("10.1.2.3", Inside::Private),
            ("172.16.0.1", Inside::Private),
            ("172.31.255.255", Inside::Private),
            ("192.168.1.1", Inside::Private),
            ("100.64.0.1", Inside::Private),
            ("100.100.100.200", Inside::Private),
            ("fd00:ec2::254", Inside::Private),
            ("fc00::1", Inside::Private),
            ("192.0.0.192", Inside::Special),
            ("192.0.2.1", Inside::Special),
            ("198.18.0.1", Inside::Special),
            ("224.0.0.1", Inside::Special),
            ("255.255.255.255", Inside::Special),
            ("240.0.0.1", Inside::Special),
            ("64:ff9b::7f00:1", Inside::Special),
            ("64:ff9b:1::7f00:1", Inside::Special),
            ("2002:7f00:1::1", Inside::Special),
            ("2001::1", Inside::Special),
            ("2001:db8::1", Inside::Special),
            ("3fff::1", Inside::Special),
            ("fec0::1", Inside::Special),
            ("ff02::1", Inside::Special),
            ("::7f00:1", Inside::Special),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(check_address(address, Reach::Internet), Err(want), "{text}");
            assert_eq!(check_address(address, Reach::Anywhere), Ok(()), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_taken() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(check_address(text.parse().unwrap(), Reach::Internet), Ok(()), "{text}");
        }
    }
}
