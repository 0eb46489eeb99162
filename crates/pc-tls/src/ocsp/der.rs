//! The little of DER (ITU-T X.690) that OCSP needs; lengths and tags are read by the library that reads certificates.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use pc_types::Timestamp;
use x509_parser::asn1_rs::{Any, FromDer as _};

use super::OcspError;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
/// An explicit tag, constructed.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// RFC 3279 2.1, with the NULL that responders expect: AlgorithmIdentifier of SHA-1.
pub(super) const SHA1_ALGORITHM: [u8; 11] =
    [0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];

/// RFC 5019 2.1.1 wants it to name certificates; nothing rests on its strength, since the answer is signed.
pub(super) fn sha1(octets: &[u8]) -> [u8; 20] {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, octets);
    digest.as_ref().try_into().expect("SHA-1 has 20 octets")
}

/// One element with its tag and length before it.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
    let mut octets = vec![tag];
    match significant.as_slice() {
        [] => octets.push(0),
        [short @ 0..=0x7f] => octets.push(*short),
        long => {
            octets.push(0x80 | u8::try_from(long.len()).expect("a length has eight octets at most"));
            octets.extend_from_slice(long);
        }
    }
    octets.extend_from_slice(content);
    octets
}

/// Elements one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Tag and length included.
    pub(super) raw: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over octets that hold one element at the least.
    pub(super) fn over(octets: &'a [u8]) -> Result<Self, OcspError> {
        if octets.is_empty() { Err(OcspError::Malformed) } else { Ok(Self(octets)) }
    }

    pub(super) fn next(&mut self) -> Result<Element<'a>, OcspError> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| OcspError::Malformed)?;
        let raw = self.0.len().checked_sub(rest.len()).and_then(|length| self.0.get(..length));
        let raw = raw.ok_or(OcspError::Malformed)?;
        self.0 = rest;
        let content = raw.len().checked_sub(any.data.len()).and_then(|start| raw.get(start..));
        let (Some(tag), Some(content)) = (raw.first().copied(), content) else {
            return Err(OcspError::Malformed);
        };
        Ok(Element { tag, content, raw })
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], OcspError> {
        let element = self.next()?;
        if element.tag == tag { Ok(element.content) } else { Err(OcspError::Malformed) }
    }

    /// The same, unless something else or nothing follows.
    pub(super) fn take_if(&mut self, tag: u8) -> Result<Option<&'a [u8]>, OcspError> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// Into the next element, which must have this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Result<Self, OcspError> {
        self.take(tag).map(Reader)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may follow.
    pub(super) fn finish(self) -> Result<(), OcspError> {
        if self.is_empty() { Ok(()) } else { Err(OcspError::Malformed) }
    }
}

/// RFC 5280 4.1.2.5.2: `YYYYMMDDHHMMSSZ`, as RFC 6960 4.2.2.1 wants it.
pub(super) fn generalized_time(content: &[u8]) -> Result<Timestamp, OcspError> {
    let text = std::str::from_utf8(content).map_err(|_| OcspError::Malformed)?;
    let is_plain = text.len() == 15 && text.bytes().take(14).all(|octet| octet.is_ascii_digit());
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    if !is_plain || !text.ends_with('Z') {
        return Err(OcspError::Malformed);
    }
    let (day, time) = ((part(0..4), part(4..6), part(6..8)), (part(8..10), part(10..12), part(12..14)));
    format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, time.0, time.1, time.2)
        .parse()
        .map_err(|_| OcspError::Malformed)
}
