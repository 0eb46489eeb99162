//! Bounds of what is evaluated.

/// RFC 7208 4.6.4: terms that ask the DNS (`include`, `a`, `mx`, `ptr`, `exists`, `redirect`).
pub const SPF_LOOKUP_TERMS_MAX: u32 = 10;
/// RFC 7208 4.6.4: questions that found nothing.
pub const SPF_VOID_LOOKUPS_MAX: u32 = 2;
/// RFC 7208 4.6.4: addresses of so many exchanges of one `mx`; more is an error.
pub const SPF_MX_HOSTS_MAX: usize = 10;
/// RFC 7208 4.6.4: so many names of one `ptr` are looked at; the rest is ignored.
pub const SPF_PTR_NAMES_MAX: usize = 10;
/// A TXT record has up to 65,535 octets; RFC 7208 3.4 wants SPF records to fit into 512.
pub const SPF_RECORD_OCTETS_MAX: usize = 4_096;
/// Terms of one record; ten may ask the DNS, the others are addresses.
pub const SPF_TERMS_MAX: usize = 500;
/// Octets of a name after its macros; RFC 7208 7.3 cuts at 253 from the left.
pub const SPF_EXPANDED_OCTETS_MAX: usize = 4_096;
/// Octets of a list's own text that go into a reply, whose whole line has 512 (RFC 5321 4.5.3.1.5).
pub const LIST_TEXT_OCTETS_MAX: usize = 160;
