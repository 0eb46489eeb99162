//! Macros. RFC 7208 7.

use std::fmt::Write;
use std::net::IpAddr;

use super::Question;
use super::record::{DomainSpec, Part};
use crate::limits::SPF_EXPANDED_OCTETS_MAX;

/// RFC 7208 7.3: at most this, cut at labels from the left.
const NAME_OCTETS_MAX: usize = 253;

/// The name that `spec` stands for while `domain` is looked at.
pub(super) fn expand(spec: &DomainSpec, question: &Question, domain: &str) -> String {
    let mut out = String::new();
    for part in &spec.0 {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Macro { letter, escaped, keep, reversed, delimiters } => {
                let value = transformed(&value(*letter, question, domain), *keep, *reversed, delimiters);
                if *escaped { escape(&value, &mut out) } else { out.push_str(&value) }
            }
        }
        if out.len() > SPF_EXPANDED_OCTETS_MAX {
            break;
        }
    }
    let mut name = out.trim_end_matches('.');
    while name.len() > NAME_OCTETS_MAX {
        match name.split_once('.') {
            Some((_, rest)) => name = rest,
            None => break,
        }
    }
    name.to_owned()
}

/// RFC 7208 7.2.
fn value(letter: char, question: &Question, domain: &str) -> String {
    match letter {
        's' => format!("{}@{}", question.local_part, question.domain),
        'l' => question.local_part.clone(),
        'o' => question.domain.clone(),
        'd' => domain.to_owned(),
        'i' => dotted(question.address),
        // RFC 7208 7.2 and 7.3: "unknown" is what may always stand here; asking would cost the sender's budget.
        'p' => "unknown".to_owned(),
        'v' if question.address.is_ipv4() => "in-addr".to_owned(),
        'v' => "ip6".to_owned(),
        _ => question.helo.clone(),
    }
}

/// RFC 7208 7.3: IPv6 as nibbles in reading order.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let digits: Vec<String> =
                format!("{:032x}", address.to_bits()).chars().map(String::from).collect();
            digits.join(".")
        }
    }
}

fn transformed(value: &str, keep: usize, reversed: bool, delimiters: &str) -> String {
    let mut labels: Vec<&str> = value.split(|letter| delimiters.contains(letter)).collect();
    if reversed {
        labels.reverse();
    }
    let skipped = if keep == 0 { 0 } else { labels.len().saturating_sub(keep) };
    labels.into_iter().skip(skipped).collect::<Vec<_>>().join(".")
}

/// RFC 3986 2.3: all but the unreserved characters.
fn escape(value: &str, out: &mut String) {
    for octet in value.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet))
            }
            // Writing to a string does not fail.
            octet => drop(write!(out, "%{octet:02X}")),
        }
    }
}
