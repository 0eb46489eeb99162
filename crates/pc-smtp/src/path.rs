use std::fmt;

use pc_types::Domain;

use crate::limits::{LOCAL_PART_OCTETS_MAX, PATH_OCTETS_MAX};

/// The address after `MAIL FROM:`, RFC 5321 4.1.1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// A mailbox.
    Mailbox(Mailbox),
    /// `<>`: a delivery report or another message that must not be answered.
    Null,
}

/// The address after `RCPT TO:`, RFC 5321 4.1.1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// A mailbox.
    Mailbox(Mailbox),
    /// `<Postmaster>` without a domain, RFC 5321 4.5.1.
    Postmaster,
}

/// A mailbox as it was written, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    text: Box<str>,
    local_octets: usize,
    /// What stands after the last `@`.
    pub domain: PathDomain,
}

/// The right side of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathDomain {
    /// A domain name, in A-label form.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, RFC 5321 4.1.3.
    Literal,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The domain is no domain name and no address literal.
    #[error("the domain of the address is malformed")]
    Domain,
    /// No `<` and `>` around the path, or something other than parameters behind it.
    #[error("the address must stand in angle brackets")]
    Brackets,
    /// Over RFC 5321 4.5.3.1.1 to 4.5.3.1.3.
    #[error("the address is too long")]
    Length,
    /// The part before `@` is empty or has characters that need quoting.
    #[error("the local part of the address is malformed")]
    LocalPart,
    /// The path has UTF-8 while MAIL did not carry SMTPUTF8, or it is no UTF-8.
    #[error("the address is not ASCII, which needs the SMTPUTF8 parameter")]
    NotAscii,
    /// `@relay:user@domain`: source routes are refused, which RFC 5321 F.2 permits.
    #[error("source routes are not taken")]
    SourceRoute,
}

impl Mailbox {
    /// The mailbox as it was written, without brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before `@`, quotes included.
    pub fn local_part(&self) -> &str {
        self.text.get(..self.local_octets).unwrap_or_default()
    }

    /// Whether the local part carries a route (`user%host`, `host!user`, `"user@host"`), which some
    /// servers still follow. Seen from such a server we would be a trusted client asking it to relay.
    pub fn is_routed(&self) -> bool {
        self.local_part().contains(['%', '!', '@'])
    }

    /// The domain, unless it is an address literal.
    pub fn domain_name(&self) -> Option<&Domain> {
        match &self.domain {
            PathDomain::Domain(domain) => Some(domain),
            PathDomain::Literal => None,
        }
    }

    /// Reads `local@domain`.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > PATH_OCTETS_MAX {
            return Err(PathError::Length);
        }
        if text.starts_with('@') {
            return Err(PathError::SourceRoute);
        }
        // The last `@` divides, since a quoted local part may hold more of them.
        let (local, domain) = text.rsplit_once('@').ok_or(PathError::Domain)?;
        if local.len() > LOCAL_PART_OCTETS_MAX {
            return Err(PathError::Length);
        }
        if !is_local_part(local) {
            return Err(PathError::LocalPart);
        }
        Ok(Self { text: text.into(), local_octets: local.len(), domain: path_domain(domain)? })
    }
}

impl ReversePath {
    /// The mailbox, or `None` for the null path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox),
            Self::Null => None,
        }
    }
}

impl ForwardPath {
    /// Whether this is `postmaster` at any domain, which must always be reachable (RFC 5321 4.5.1).
    pub fn is_postmaster(&self) -> bool {
        match self {
            Self::Postmaster => true,
            Self::Mailbox(mailbox) => mailbox.local_part().eq_ignore_ascii_case("postmaster"),
        }
    }

    /// Whether this is `abuse` at any domain (RFC 2142).
    pub fn is_abuse(&self) -> bool {
        match self {
            Self::Postmaster => false,
            Self::Mailbox(mailbox) => mailbox.local_part().eq_ignore_ascii_case("abuse"),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.mailbox().map_or("", Mailbox::as_str))
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => formatter.write_str(mailbox.as_str()),
            Self::Postmaster => formatter.write_str("Postmaster"),
        }
    }
}

/// Splits `<path> parameters` and returns both halves, the path without brackets.
pub(crate) fn bracketed(octets: &[u8]) -> Result<(&str, &[u8]), PathError> {
    let inner = octets.strip_prefix(b"<").ok_or(PathError::Brackets)?;
    let end = closing_bracket(inner).ok_or(PathError::Brackets)?;
    let (path, rest) = inner.split_at_checked(end).ok_or(PathError::Brackets)?;
    let rest = rest.strip_prefix(b">").ok_or(PathError::Brackets)?;
    if !rest.is_empty() && !rest.starts_with(b" ") {
        return Err(PathError::Brackets);
    }
    let path = std::str::from_utf8(path).map_err(|_| PathError::NotAscii)?;
    Ok((path, rest))
}

/// A `>` inside a quoted local part does not close the path.
fn closing_bracket(inner: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, &octet) in inner.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

fn path_domain(text: &str) -> Result<PathDomain, PathError> {
    let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return text.parse().map(PathDomain::Domain).map_err(|_| PathError::Domain);
    };
    // RFC 5321 4.1.3
    let valid = match literal.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            literal.get(5..).is_some_and(|rest| rest.parse::<std::net::Ipv6Addr>().is_ok())
        }
        _ => literal.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    if valid { Ok(PathDomain::Literal) } else { Err(PathError::Domain) }
}

/// RFC 5321 4.1.2: dot-string or quoted-string; RFC 6531 3.3 adds UTF-8 to both.
fn is_local_part(local: &str) -> bool {
    match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(content) => is_quoted_content(content),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    }
}

fn is_quoted_content(content: &str) -> bool {
    let mut escaped = false;
    for character in content.chars() {
        let printable = matches!(character, ' '..='~') || !character.is_ascii();
        if !printable || (!escaped && character == '"') || character.is_control() {
            return false;
        }
        escaped = !escaped && character == '\\';
    }
    !escaped
}

fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || (!character.is_ascii() && !character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_split_at_the_last_at_sign() {
        let mailbox = Mailbox::parse("\"odd@name\"@example.org").unwrap();
        assert_eq!(mailbox.local_part(), "\"odd@name\"");
        assert_eq!(mailbox.domain_name().map(Domain::as_str), Some("example.org"));
        assert_eq!(Mailbox::parse("user@[192.0.2.1]").unwrap().domain, PathDomain::Literal);
        assert_eq!(Mailbox::parse("user@[IPv6:2001:db8::1]").unwrap().domain, PathDomain::Literal);
    }

    #[test]
    fn routes_in_local_parts_are_seen() {
        for text in ["a%b.example@example.org", "b.example!a@example.org", "\"a@b.example\"@example.org"] {
            assert!(Mailbox::parse(text).unwrap().is_routed(), "{text}");
        }
        assert!(!Mailbox::parse("first.last+tag@example.org").unwrap().is_routed());
    }

    #[test]
    fn malformed_mailboxes_name_their_fault() {
        for (text, fault) in [
            ("user", PathError::Domain),
            ("@example.org", PathError::SourceRoute),
            ("@relay.example:user@example.org", PathError::SourceRoute),
            (".user@example.org", PathError::LocalPart),
            ("us..er@example.org", PathError::LocalPart),
            ("us er@example.org", PathError::LocalPart),
            ("\"us\"er\"@example.org", PathError::LocalPart),
            ("\"user\\\"@example.org", PathError::LocalPart),
            ("user@exa mple.org", PathError::Domain),
            ("user@[300.1.1.1]", PathError::Domain),
            ("user@", PathError::Domain),
        ] {
            assert_eq!(Mailbox::parse(text), Err(fault), "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        assert_eq!(Mailbox::parse(&long), Err(PathError::Length));
    }

    #[test]
    fn a_quoted_bracket_does_not_end_the_path() {
        let (path, rest) = bracketed(b"<\"a>b\"@example.org> SIZE=1").unwrap();
        assert_eq!(path, "\"a>b\"@example.org");
        assert_eq!(rest, b" SIZE=1");
        assert_eq!(bracketed(b"<a@example.org>SIZE=1"), Err(PathError::Brackets));
        assert_eq!(bracketed(b"a@example.org"), Err(PathError::Brackets));
    }
}
