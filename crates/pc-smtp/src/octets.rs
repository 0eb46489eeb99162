//! Small reading helpers over octet slices, none of which can panic.

/// The octets after `prefix`, which is compared without regard to ASCII case.
pub(crate) fn strip_prefix_ignore_case<'a>(octets: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (head, rest) = octets.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

/// Splits at the first `separator`, which belongs to neither half.
pub(crate) fn split_once(octets: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, octets)?;
    let (head, rest) = octets.split_at_checked(at)?;
    Some((head, rest.get(1..).unwrap_or_default()))
}

/// Cuts spaces at both ends.
pub(crate) fn trim_spaces(octets: &[u8]) -> &[u8] {
    octets.trim_ascii()
}
