use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;

/// An address range (RFC 4632, RFC 4291 2.3). An IPv4 range is never written in its mapped IPv6
/// form, so that prefixes of one family compare with each other only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// Bits that all addresses in it share.
    pub prefix: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let prefix = prefix.unwrap_or(width(address));
        if prefix > width(address) {
            return None;
        }
        let canonical = address.to_canonical();
        // ::ffff:0:0/96 and below is IPv4 (RFC 4291 2.5.5.2); a wider range of it mixes families.
        let prefix = if canonical == address { prefix } else { prefix.checked_sub(MAPPED_PREFIX)? };
        Some(Self { address: canonical, prefix })
    }

    /// Whether `address` lies in the range; mapped IPv4 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && shared_bits(address, self.prefix) == shared_bits(self.address, self.prefix)
    }

    /// The same for two networks that are one range, whichever addresses in it they are written with.
    pub(crate) fn range(&self) -> (bool, u8, u128) {
        (self.address.is_ipv4(), self.prefix, shared_bits(self.address, self.prefix))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// What belongs to the network with the longest prefix that holds `address`; the first of equals.
pub fn most_specific<'a, T>(networks: impl Iterator<Item = (&'a Network, T)>, address: IpAddr) -> Option<T> {
    let holding = networks.filter(|(network, _)| network.contains(address));
    holding.min_by_key(|(network, _)| Reverse(network.prefix)).map(|(_, value)| value)
}

/// The leading `prefix` bits.
fn shared_bits(address: IpAddr, prefix: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let host_bits = width(address).saturating_sub(prefix);
    bits.checked_shr(u32::from(host_bits)).unwrap_or(0)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// RFC 4291 2.5.5.2.
const MAPPED_PREFIX: u8 = 96;
