//! Bounds of the HTTPS edge.

/// Octets of a request line. Exchange's EWS takes 2,048 of query, OWA 500 of path; 8,000 is what RFC 9112 3 asks of
/// all recipients.
pub const REQUEST_LINE_OCTETS_MAX: usize = 8_192;
/// Octets of a header section; Kerberos tickets of users in many groups reach tens of KiB.
pub const HEADER_OCTETS_MAX: usize = 65_536;
/// Fields of a header section.
pub const FIELDS_MAX: usize = 100;
/// Octets of a chunk's size in hexadecimal: 16^8 octets, 4 GiB.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 8;
/// Digits of Content-Length: below 10^15.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 15;
/// Rounds of percent-decoding until a path must be stable; ProxyNotShell was hidden behind one more than was looked at.
pub const DECODING_ROUNDS_MAX: usize = 2;
/// Rules of a pack of virtual patches.
pub const PATCHES_MAX: usize = 1_000;
/// Conditions of one rule.
pub const CONDITIONS_MAX: usize = 16;
/// Octets of what a condition looks for.
pub const NEEDLE_OCTETS_MAX: usize = 256;
