use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A host or domain name: lower-case A-labels (RFC 5890), no trailing dot, 1 to 253 octets. An
/// underscore is allowed, since Windows host names carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Empty, or over 253 octets (RFC 1035 2.3.4).
    #[error("a domain name has 1 to 253 characters")]
    Length,
    /// A label is empty, over 63 octets, starts or ends with a hyphen, or has another character
    /// than letters, digits, hyphen and underscore.
    #[error("each label has 1 to 63 letters, digits, hyphens or underscores")]
    Label,
}

impl Domain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registrable domain (organizational domain, RFC 7489 3.2): the public suffix and one
    /// label more. `None` for a bare public suffix or a single label. A name whose suffix is not on
    /// the list (`corp.local`) is split by the list's default rule, one label.
    pub fn registrable(&self) -> Option<&str> {
        psl::domain_str(self.as_str())
    }

    /// Whether both names have a registrable domain and it is the same one.
    pub fn same_registrable(&self, other: &Self) -> bool {
        match (self.registrable(), other.registrable()) {
            (Some(this), Some(that)) => this == that,
            _ => false,
        }
    }

    /// Whether this name is `parent` or lies below it.
    pub fn is_within(&self, parent: &str) -> bool {
        self.as_str() == parent || self.as_str().strip_suffix(parent).is_some_and(|head| head.ends_with('.'))
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| DomainError::Label)?
        };
        if ascii.is_empty() || ascii.len() > OCTETS_MAX {
            return Err(DomainError::Length);
        }
        if ascii.split('.').all(is_label) { Ok(Self(ascii.into())) } else { Err(DomainError::Label) }
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= LABEL_OCTETS_MAX
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// RFC 1035 2.3.4, without the root.
const OCTETS_MAX: usize = 253;
/// RFC 1035 2.3.4.
const LABEL_OCTETS_MAX: usize = 63;

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_lower_case_without_trailing_dot() {
        assert_eq!(domain("Mail.Example.ORG.").as_str(), "mail.example.org");
        assert_eq!(domain("bücher.example").as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn registrable_domain_follows_the_public_suffix_list() {
        assert_eq!(domain("mx1.mail.example.co.uk").registrable(), Some("example.co.uk"));
        assert_eq!(domain("co.uk").registrable(), None);
        assert_eq!(domain("mailserver").registrable(), None);
        assert!(domain("a.example.org").same_registrable(&domain("b.c.example.org")));
        assert!(!domain("a.co.uk").same_registrable(&domain("b.co.uk")));
        assert!(!domain("host").same_registrable(&domain("host")));
    }

    #[test]
    fn within_counts_whole_labels_only() {
        assert!(domain("x.outlook.com").is_within("outlook.com"));
        assert!(domain("outlook.com").is_within("outlook.com"));
        assert!(!domain("notoutlook.com").is_within("outlook.com"));
    }

    #[test]
    fn malformed_names_are_refused() {
        let long = "a".repeat(64);
        for text in ["", ".", "a..b", "-a.example", "a b", "[192.0.2.1]", "a\r\nb", long.as_str()] {
            assert!(text.parse::<Domain>().is_err(), "{text}");
        }
    }
}
