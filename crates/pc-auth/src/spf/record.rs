//! The text of an SPF record, read. RFC 7208 12 holds the grammar.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{SPF_RECORD_OCTETS_MAX, SPF_TERMS_MAX};

/// A record that holds to the grammar in all of its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<DomainSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) qualifier: Qualifier,
    pub(super) mechanism: Mechanism,
    /// As written, for the reason.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qualifier {
    Fail,
    Neutral,
    Pass,
    SoftFail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    A(Option<DomainSpec>, Prefixes),
    /// `ip4` and `ip6`.
    Address {
        address: IpAddr,
        prefix: u8,
    },
    All,
    Exists(DomainSpec),
    Include(DomainSpec),
    Mx(Option<DomainSpec>, Prefixes),
    Ptr(Option<DomainSpec>),
}

impl Mechanism {
    /// Whether it counts against RFC 7208 4.6.4.
    pub(super) fn asks(&self) -> bool {
        !matches!(self, Self::Address { .. } | Self::All)
    }
}

/// RFC 7208 5.6: what is left out is the whole address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// RFC 7208 7.1, `domain-spec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainSpec(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Macro {
        letter: char,
        /// Upper case: RFC 7208 7.3, URL-escaped.
        escaped: bool,
        /// Labels kept from the right; 0 for all.
        keep: usize,
        reversed: bool,
        delimiters: String,
    },
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn fault<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(text.into()))
}

/// RFC 7208 4.5: the one record among a name's TXT records.
pub(super) fn select(texts: &[Vec<u8>]) -> Result<Option<Record>, Fault> {
    let mut records = texts.iter().filter(|text| is_record(text));
    match (records.next(), records.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => fault("it publishes more than one SPF record"),
        (Some(record), None) => parse(record).map(Some),
    }
}

/// RFC 7208 4.5: the version, and a space or the end behind it.
pub(super) fn is_record(text: &[u8]) -> bool {
    let version = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"));
    version && matches!(text.get(6), None | Some(b' '))
}

fn parse(text: &[u8]) -> Result<Record, Fault> {
    if text.len() > SPF_RECORD_OCTETS_MAX {
        return fault("the SPF record is too long");
    }
    let text =
        std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
    let Some(text) = text else { return fault("the SPF record holds something else than printable ASCII") };
    let mut record = Record { directives: Vec::new(), redirect: None };
    let mut explained = false;
    for (index, term) in text.split(' ').skip(1).filter(|term| !term.is_empty()).enumerate() {
        if index == SPF_TERMS_MAX {
            return fault("the SPF record has too many terms");
        }
        match modifier(term) {
            Some((name, value)) if name.eq_ignore_ascii_case("redirect") => {
                // RFC 7208 6: at most once.
                if record.redirect.replace(domain_spec(value)?).is_some() {
                    return fault("redirect stands there twice");
                }
            }
            Some((name, value)) if name.eq_ignore_ascii_case("exp") => {
                domain_spec(value)?;
                if std::mem::replace(&mut explained, true) {
                    return fault("exp stands there twice");
                }
            }
            // RFC 7208 6: unknown modifiers are ignored, their macros must be sound.
            Some((_, value)) => drop(macro_string(value)?),
            None => record.directives.push(directive(term)?),
        }
    }
    // RFC 7208 6.1: redirect is ignored where `all` stands anywhere.
    if record.directives.iter().any(|directive| directive.mechanism == Mechanism::All) {
        record.redirect = None;
    }
    Ok(record)
}

/// `name=value`; a mechanism never has `=` before `:` or `/`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let mut letters = name.chars();
    let named = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    named.then_some((name, value))
}

fn directive(term: &str) -> Result<Directive, Fault> {
    let (qualifier, rest) = match term.split_at_checked(1) {
        Some(("+", rest)) => (Qualifier::Pass, rest),
        Some(("-", rest)) => (Qualifier::Fail, rest),
        Some(("?", rest)) => (Qualifier::Neutral, rest),
        Some(("~", rest)) => (Qualifier::SoftFail, rest),
        _ => (Qualifier::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let mechanism = match (name.to_ascii_lowercase().as_str(), tail.strip_prefix(':')) {
        ("all", None) if tail.is_empty() => Mechanism::All,
        ("include", Some(value)) => Mechanism::Include(domain_spec(value)?),
        ("exists", Some(value)) => Mechanism::Exists(domain_spec(value)?),
        ("ptr", None) if tail.is_empty() => Mechanism::Ptr(None),
        ("ptr", Some(value)) => Mechanism::Ptr(Some(domain_spec(value)?)),
        ("ip4", Some(value)) => ip4(value)?,
        ("ip6", Some(value)) => ip6(value)?,
        ("a", _) => {
            let (spec, prefixes) = host(tail)?;
            Mechanism::A(spec, prefixes)
        }
        ("mx", _) => {
            let (spec, prefixes) = host(tail)?;
            Mechanism::Mx(spec, prefixes)
        }
        _ => return fault(format!("the term {term} is none")),
    };
    Ok(Directive { qualifier, mechanism, text: term.to_owned() })
}

fn ip4(value: &str) -> Result<Mechanism, Fault> {
    let (address, prefix) = network(value, 32)?;
    match address.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Mechanism::Address { address: address.into(), prefix }),
        Err(_) => fault(format!("ip4:{value} is no IPv4 network")),
    }
}

fn ip6(value: &str) -> Result<Mechanism, Fault> {
    let (address, prefix) = network(value, 128)?;
    match address.parse::<Ipv6Addr>() {
        Ok(address) => Ok(Mechanism::Address { address: address.into(), prefix }),
        Err(_) => fault(format!("ip6:{value} is no IPv6 network")),
    }
}

fn network(value: &str, width: u8) -> Result<(&str, u8), Fault> {
    match value.split_once('/') {
        None => Ok((value, width)),
        Some((address, digits)) => Ok((address, prefix(digits, width)?)),
    }
}

/// RFC 7208 12: decimal without leading zeros.
fn prefix(digits: &str, width: u8) -> Result<u8, Fault> {
    let plain = !digits.is_empty()
        && digits.bytes().all(|octet| octet.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    match digits.parse::<u8>() {
        Ok(prefix) if plain && prefix <= width => Ok(prefix),
        _ => fault(format!("/{digits} is no prefix length")),
    }
}

/// `[:domain-spec][/v4][//v6]`. A slash inside `{…}` is a delimiter of a macro.
fn host(tail: &str) -> Result<(Option<DomainSpec>, Prefixes), Fault> {
    let mut prefixes = Prefixes { v4: 32, v6: 128 };
    let mut depth = 0_u32;
    let slash = tail.char_indices().find(|(_, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *letter == '/' && depth == 0
    });
    let (spec, lengths) = match slash {
        None => (tail, ""),
        Some((at, _)) => tail.split_at_checked(at).unwrap_or((tail, "")),
    };
    let (v4, v6) = match lengths.split_once("//") {
        None => (lengths, None),
        Some((v4, v6)) => (v4, Some(v6)),
    };
    if let Some(digits) = v4.strip_prefix('/') {
        prefixes.v4 = prefix(digits, 32)?;
    }
    if let Some(digits) = v6 {
        prefixes.v6 = prefix(digits, 128)?;
    }
    let spec = match spec.strip_prefix(':') {
        Some(spec) => Some(domain_spec(spec)?),
        None if spec.is_empty() => None,
        None => return fault(format!("{spec} is no domain")),
    };
    Ok((spec, prefixes))
}

/// RFC 7208 7.1: ends in a top label or in a macro.
fn domain_spec(text: &str) -> Result<DomainSpec, Fault> {
    let parts = macro_string(text)?;
    let ends_well = match parts.last() {
        None => false,
        Some(Part::Macro { .. }) => true,
        Some(Part::Text(text)) => {
            let text = text.strip_suffix('.').unwrap_or(text);
            let top = text.rsplit_once('.').map(|(_, top)| top);
            top.is_some_and(|top| {
                !top.is_empty()
                    && top.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                    && !top.bytes().all(|octet| octet.is_ascii_digit())
                    && !top.starts_with('-')
                    && !top.ends_with('-')
            })
        }
    };
    if ends_well { Ok(DomainSpec(parts)) } else { fault(format!("{text} is no domain")) }
}

fn macro_string(text: &str) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        literal.push_str(before);
        rest = match after.split_at_checked(1) {
            Some(("%", after)) => {
                literal.push('%');
                after
            }
            Some(("_", after)) => {
                literal.push(' ');
                after
            }
            Some(("-", after)) => {
                literal.push_str("%20");
                after
            }
            Some(("{", after)) => {
                let Some((inside, after)) = after.split_once('}') else {
                    return fault(format!("a macro in {text} does not end"));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(expression(inside)?);
                after
            }
            _ => return fault(format!("a lone % stands in {text}")),
        };
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// RFC 7208 7.1: letter, digits, `r`, delimiters.
fn expression(inside: &str) -> Result<Part, Fault> {
    let mut letters = inside.chars();
    let letter = letters.next().unwrap_or(' ');
    if !"slodiphv".contains(letter.to_ascii_lowercase()) {
        return fault(format!("%{{{inside}}} is no macro"));
    }
    let rest = letters.as_str();
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let keep = match digits {
        "" => 0,
        digits => match digits.parse::<usize>() {
            Ok(0) => return fault(format!("%{{{inside}}} keeps nothing")),
            Ok(keep) => keep,
            // RFC 7208 7.1 sets no bound; more labels than a name can have is all of them.
            Err(_) => usize::MAX,
        },
    };
    let (reversed, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(delimiters) => (true, delimiters),
        None => (false, rest),
    };
    if !delimiters.chars().all(|letter| ".-+,/_=".contains(letter)) {
        return fault(format!("%{{{inside}}} is no macro"));
    }
    Ok(Part::Macro {
        letter: letter.to_ascii_lowercase(),
        escaped: letter.is_ascii_uppercase(),
        keep,
        reversed,
        delimiters: if delimiters.is_empty() { ".".to_owned() } else { delimiters.to_owned() },
    })
}
