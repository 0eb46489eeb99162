//! Questions to the DNS and what came back, as plain values.
//!
//! # Trust
//! Names may be made of what a peer said; whoever publishes a zone chooses its records.
//!
//! # Standards
//! RFC 1035 2.3.4 (lengths), RFC 2308 (NXDOMAIN and NODATA both say that there is nothing).
//!
//! # Invariants
//! A [`Query`] always fits into a DNS message. "There is nothing" and "nobody could say" are
//! different answers, so that a failure is never taken for absence.

mod tls;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use tls::{CaaRecord, TlsaRecord};

/// RFC 1035 2.3.4.
const LABEL_OCTETS_MAX: usize = 63;
/// RFC 1035 2.3.4: 255 on the wire, which has one octet more at each end.
const NAME_OCTETS_MAX: usize = 253;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the types of RFC 1035, RFC 3596, RFC 6698 and RFC 8659")]
pub enum Kind {
    A,
    Aaaa,
    Caa,
    Mx,
    Ptr,
    Tlsa,
    Txt,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Query {
    name: String,
    kind: Kind,
}

impl Query {
    /// `None` when `name` is empty, has an empty or long label, or is too long. A dot at the end is
    /// left out; letters are made small.
    pub fn new(name: &str, kind: Kind) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let sound = name.len() <= NAME_OCTETS_MAX
            && name.split('.').all(|label| (1..=LABEL_OCTETS_MAX).contains(&label.len()));
        sound.then(|| Self { name: name.to_ascii_lowercase(), kind })
    }

    /// Without a dot at the end.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is asked for.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Records of one kind, in the order in which they came; an MX list by preference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of RFC 1035, RFC 3596, RFC 6698 and RFC 8659")]
pub enum Records {
    A(Vec<Ipv4Addr>),
    Aaaa(Vec<Ipv6Addr>),
    Caa(Vec<CaaRecord>),
    /// Names of the exchanges.
    Mx(Vec<String>),
    Ptr(Vec<String>),
    Tlsa(Vec<TlsaRecord>),
    /// Each record's strings, joined.
    Txt(Vec<Vec<u8>>),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// At least one record.
    Found(Records),
    /// The name does not exist, or has no record of the kind.
    NotFound,
    /// Nobody could say: no answer, a server's failure, or a budget used up. Why, in words.
    Temporary(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_into_a_dns_message_is_no_question() {
        let long_label = format!("{}.example.org", "a".repeat(64));
        let long_name = format!("{}org", "abcdefg.".repeat(32));
        for name in ["", ".", "a..example.org", ".example.org", &long_label, &long_name] {
            assert_eq!(Query::new(name, Kind::A), None, "{name}");
        }
        assert_eq!(Query::new("Mail.Example.ORG.", Kind::A).unwrap().name(), "mail.example.org");
    }
}
