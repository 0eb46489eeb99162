//! Bounds of what is kept and shown of a hello.

/// Values kept of each list of a hello. Browsers offer about twenty suites, OpenSSL 1.0.1 some eighty; scanners offer
/// thousands, of which the first tell enough.
pub const LIST_VALUES_MAX: usize = 128;
/// Application protocols that are kept, and octets of each: the longest registered name has nineteen.
pub const PROTOCOLS_MAX: usize = 16;
/// See [`PROTOCOLS_MAX`].
pub const PROTOCOL_OCTETS_MAX: usize = 64;
