use pc_types::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::der::{self, Reader, context, tlv};
use super::{CertificateId, Inquiry};
use crate::limits::{
    OCSP_CERTIFICATES_MAX, OCSP_CLOCK_SKEW, OCSP_LIFETIME_UNSTATED, OCSP_RESPONSE_OCTETS_MAX,
    OCSP_SINGLE_RESPONSES_MAX, OCSP_STAPLE_OCTETS_MAX,
};

/// What a responder says, signed and current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the certificate.
    pub status: Status,
    /// When that was known to be so.
    pub this_update: Timestamp,
    /// The moment from which on it counts no more.
    pub usable_until: Timestamp,
}

/// RFC 6960 2.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked for good, or on hold.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// RFC 5280 5.3.1, in words.
        reason: &'static str,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// It holds an extension that must be understood, and is not.
    #[error("the answer has an extension that must be understood and is not")]
    Critical,
    /// Its time is over.
    #[error("the answer counted until {0}: the responder, or something before it, hands out old ones")]
    Expired(Timestamp),
    /// A newer one is known.
    #[error("the answer is of {0}, older than the one that is known")]
    Older(Timestamp),
    /// It is no OCSP response.
    #[error("the answer is no OCSP response")]
    Malformed,
    /// It says nothing of this certificate, or more than one thing.
    #[error("the answer is not about this certificate")]
    NotOurs,
    /// It is of the future.
    #[error("the answer is of {0}, which lies in the future: check the clock of this machine")]
    NotYet(Timestamp),
    /// The responder refused to say anything (RFC 6960 2.3).
    #[error("the responder answered {0}")]
    Refused(&'static str),
    /// Who signed it may not.
    #[error("the answer is signed by a responder that {0}")]
    Responder(&'static str),
    /// The signature is not that of who should have signed it, or of a broken algorithm.
    #[error("the signature of the answer is not good")]
    Signature,
    /// It is larger than any real one.
    #[error("the answer is too large")]
    TooLarge,
    /// Another kind of response than RFC 6960 defines.
    #[error("the answer is of a kind that is not known")]
    Type,
}

impl OcspError {
    /// Stable word.
    pub fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Expired(_) => "expired",
            Self::Malformed => "malformed",
            Self::NotOurs => "not_ours",
            Self::NotYet(_) => "not_yet",
            Self::Older(_) => "older",
            Self::Refused(_) => "refused",
            Self::Responder(_) => "responder",
            Self::Signature => "signature",
            Self::TooLarge => "too_large",
            Self::Type => "type",
        }
    }
}

/// RFC 6960 4.2.1: id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC: [u8; 9] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// RFC 3279 2.1: id-sha1, 1.3.14.3.2.26.
const SHA1: [u8; 5] = [0x2b, 0x0e, 0x03, 0x02, 0x1a];

/// An answer whose signature was verified, whether or not its time is over.
pub(super) struct Read {
    pub(super) answer: Answer,
    /// The response in its one form, with nothing in it that was not signed: what came may hold more, and whatever is stapled goes
    /// into every handshake.
    pub(super) staple: Vec<u8>,
}

pub(super) fn judge(inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Result<Read, OcspError> {
    let read = read(inquiry, octets, now)?;
    // Without tolerance: a client whose clock is right refuses it.
    if read.answer.usable_until <= now {
        return Err(OcspError::Expired(read.answer.usable_until));
    }
    Ok(read)
}

pub(super) fn read(inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Result<Read, OcspError> {
    if octets.len() > OCSP_RESPONSE_OCTETS_MAX {
        return Err(OcspError::TooLarge);
    }
    let basic = Signed::read(basic_response(octets)?)?;
    let said = Said::read(basic.signed)?;
    let (_, issuer) = X509Certificate::from_der(&inquiry.issuer).map_err(|_| OcspError::Malformed)?;
    let (signer_until, delegate) = verify(&basic, &said, &issuer, now)?;
    let single = single_of(&inquiry.id, said.responses)?;
    let tolerated = now.saturating_add(OCSP_CLOCK_SKEW).unwrap_or(Timestamp::MAX);
    let newest = said.produced_at.max(single.this_update);
    if newest > tolerated {
        return Err(OcspError::NotYet(newest));
    }
    let stated = single.next_update.unwrap_or_else(|| {
        single.this_update.saturating_add(OCSP_LIFETIME_UNSTATED).unwrap_or(Timestamp::MAX)
    });
    let usable_until = stated.min(signer_until);
    let staple = response_of(&basic, delegate)?;
    let answer = Answer { status: single.status, this_update: single.this_update, usable_until };
    Ok(Read { answer, staple })
}

/// OCSPResponse around what was signed, with the certificate of a delegate.
fn response_of(basic: &Signed<'_>, delegate: Option<&[u8]>) -> Result<Vec<u8>, OcspError> {
    let mut inside = basic.content();
    if let Some(certificate) = delegate {
        let certificate = tlv(der::SEQUENCE, &Signed::read(certificate)?.content());
        inside.extend(tlv(context(0), &tlv(der::SEQUENCE, &certificate)));
    }
    let basic = tlv(der::OCTET_STRING, &tlv(der::SEQUENCE, &inside));
    let bytes = tlv(der::SEQUENCE, &[tlv(der::OBJECT_IDENTIFIER, &BASIC), basic].concat());
    let successful = tlv(der::ENUMERATED, &[0]);
    let response = tlv(der::SEQUENCE, &[successful, tlv(context(0), &bytes)].concat());
    if response.len() > OCSP_STAPLE_OCTETS_MAX { Err(OcspError::TooLarge) } else { Ok(response) }
}

/// RFC 6960 4.2.1: from OCSPResponse to the octets of BasicOCSPResponse.
fn basic_response(octets: &[u8]) -> Result<&[u8], OcspError> {
    let mut outside = Reader::over(octets)?;
    let mut response = outside.enter(der::SEQUENCE)?;
    outside.finish()?;
    let status = match response.take(der::ENUMERATED)? {
        [0] => None,
        [1] => Some("malformedRequest"),
        [2] => Some("internalError"),
        [3] => Some("tryLater"),
        [5] => Some("sigRequired"),
        [6] => Some("unauthorized"),
        _ => return Err(OcspError::Malformed),
    };
    if let Some(word) = status {
        return Err(OcspError::Refused(word));
    }
    let mut tagged = response.enter(context(0))?;
    response.finish()?;
    let mut octets = tagged.enter(der::SEQUENCE)?;
    tagged.finish()?;
    if octets.take(der::OBJECT_IDENTIFIER)? != BASIC {
        return Err(OcspError::Type);
    }
    let basic = octets.take(der::OCTET_STRING)?;
    octets.finish()?;
    Ok(basic)
}

/// Something signed, as certificates and basic responses are: what is signed, the algorithm, the signature, and more.
struct Signed<'a> {
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    rest: Reader<'a>,
}

impl<'a> Signed<'a> {
    fn read(octets: &'a [u8]) -> Result<Self, OcspError> {
        let mut outside = Reader::over(octets)?;
        let mut inside = outside.enter(der::SEQUENCE)?;
        outside.finish()?;
        let signed = inside.next()?.raw;
        let algorithm = inside.take(der::SEQUENCE)?;
        let signature = whole_octets(inside.take(der::BIT_STRING)?)?;
        Ok(Self { signed, algorithm, signature, rest: inside })
    }

    /// What is signed, by what, and the signature, in their one form.
    fn content(&self) -> Vec<u8> {
        let signature = [&[0], self.signature].concat();
        [self.signed, &tlv(der::SEQUENCE, self.algorithm), &tlv(der::BIT_STRING, &signature)].concat()
    }

    /// The algorithms are those that the TLS library takes for certificates: none with SHA-1.
    fn is_signed_with(&self, key_info: &[u8]) -> bool {
        let Ok((key_algorithm, key)) = key_of(key_info) else { return false };
        default_provider().signature_verification_algorithms.all.iter().any(|known| {
            known.signature_alg_id().as_ref() == self.algorithm
                && known.public_key_alg_id().as_ref() == key_algorithm
                && known.verify_signature(key, self.signed, self.signature).is_ok()
        })
    }
}

/// Whether a certificate was signed with the key of a SubjectPublicKeyInfo.
pub(super) fn is_signed_by(certificate: &[u8], key_info: &[u8]) -> bool {
    Signed::read(certificate).is_ok_and(|signed| signed.rest.is_empty() && signed.is_signed_with(key_info))
}

/// ResponseData
struct Said<'a> {
    responder: Responder<'a>,
    produced_at: Timestamp,
    responses: Reader<'a>,
}

enum Responder<'a> {
    /// DER.
    Name(&'a [u8]),
    /// SHA-1.
    Key(&'a [u8]),
}

impl<'a> Said<'a> {
    fn read(octets: &'a [u8]) -> Result<Self, OcspError> {
        let mut outside = Reader::over(octets)?;
        let mut inside = outside.enter(der::SEQUENCE)?;
        outside.finish()?;
        // DER leaves the default out, and there is no other version than the first.
        if inside.take_if(context(0))?.is_some_and(|version| version != [der::INTEGER, 1, 0]) {
            return Err(OcspError::Type);
        }
        let responder = match inside.take_if(context(1))? {
            Some(name) => Responder::Name(name),
            None => {
                let mut tagged = inside.enter(context(2))?;
                let key = tagged.take(der::OCTET_STRING)?;
                tagged.finish()?;
                Responder::Key(key)
            }
        };
        let produced_at = der::generalized_time(inside.take(der::GENERALIZED_TIME)?)?;
        let responses = inside.enter(der::SEQUENCE)?;
        refuse_critical(&mut inside)?;
        inside.finish()?;
        Ok(Self { responder, produced_at, responses })
    }
}

impl Responder<'_> {
    fn is(&self, certificate: &X509Certificate<'_>) -> bool {
        match self {
            Self::Name(name) => *name == certificate.subject().as_raw(),
            Self::Key(hash) => key_hash(certificate.public_key().raw).is_some_and(|known| known == *hash),
        }
    }
}

/// RFC 6960 4.2.2.2: signed by the issuer, or by who the issuer itself has named for that. Until when that holds, and the
/// certificate of who was named.
fn verify<'a>(
    basic: &Signed<'a>,
    said: &Said<'_>,
    issuer: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(Timestamp, Option<&'a [u8]>), OcspError> {
    let named = certificates(basic.rest)?;
    if said.responder.is(issuer) {
        return match basic.is_signed_with(issuer.public_key().raw) {
            true => Ok((Timestamp::MAX, None)),
            false => Err(OcspError::Signature),
        };
    }
    let mut fault = OcspError::Responder("is neither the issuer nor shown with a certificate of its own");
    for octets in named {
        let Ok(([], certificate)) = X509Certificate::from_der(octets) else {
            return Err(OcspError::Malformed);
        };
        if !said.responder.is(&certificate) {
            continue;
        }
        match delegated(octets, &certificate, issuer, now) {
            Ok(until) if basic.is_signed_with(certificate.public_key().raw) => {
                return Ok((until, Some(octets)));
            }
            Ok(_) => fault = OcspError::Signature,
            Err(why) => fault = OcspError::Responder(why),
        }
    }
    Err(fault)
}

/// Whether the issuer lets `certificate` sign answers at `now`, and until when.
fn delegated(
    octets: &[u8],
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<Timestamp, &'static str> {
    let is_issued = certificate.issuer().as_raw() == issuer.subject().as_raw()
        && is_signed_by(octets, issuer.public_key().raw);
    if !is_issued {
        return Err("the issuer of the certificate did not certify");
    }
    let usage = certificate.extended_key_usage().ok().flatten();
    if !usage.is_some_and(|usage| usage.value.ocsp_signing) {
        return Err("was not certified for that (id-kp-OCSPSigning)");
    }
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
    };
    let not_after = moment(certificate.validity().not_after);
    if now < moment(certificate.validity().not_before) || now > not_after {
        return Err("has a certificate that is not valid at this time");
    }
    Ok(not_after)
}

/// The certificates that came with a response.
fn certificates(mut rest: Reader<'_>) -> Result<Vec<&[u8]>, OcspError> {
    let mut found = Vec::new();
    if let Some(tagged) = rest.take_if(context(0))? {
        let mut tagged = Reader::over(tagged)?;
        let mut list = tagged.enter(der::SEQUENCE)?;
        tagged.finish()?;
        while !list.is_empty() {
            found.push(list.next()?.raw);
            if found.len() > OCSP_CERTIFICATES_MAX {
                return Err(OcspError::TooLarge);
            }
        }
    }
    rest.finish()?;
    Ok(found)
}

/// SingleResponse, as far as it matters.
struct Single {
    status: Status,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
}

fn single_of(id: &CertificateId, mut responses: Reader<'_>) -> Result<Single, OcspError> {
    let mut ours = None;
    let mut count = 0_usize;
    while !responses.is_empty() {
        count = count.saturating_add(1);
        if count > OCSP_SINGLE_RESPONSES_MAX {
            return Err(OcspError::TooLarge);
        }
        let mut response = responses.enter(der::SEQUENCE)?;
        let is_ours = is_for(id, response.enter(der::SEQUENCE)?)?;
        let single = Single::read(response)?;
        if is_ours && ours.replace(single).is_some() {
            return Err(OcspError::NotOurs);
        }
    }
    ours.ok_or(OcspError::NotOurs)
}

fn is_for(id: &CertificateId, mut named: Reader<'_>) -> Result<bool, OcspError> {
    let algorithm = named.enter(der::SEQUENCE)?.take(der::OBJECT_IDENTIFIER)?;
    let name = named.take(der::OCTET_STRING)?;
    let key = named.take(der::OCTET_STRING)?;
    let serial = named.take(der::INTEGER)?;
    named.finish()?;
    Ok(algorithm == SHA1 && name == id.issuer_name_hash && key == id.issuer_key_hash && serial == id.serial)
}

impl Single {
    fn read(mut rest: Reader<'_>) -> Result<Self, OcspError> {
        let status = rest.next()?;
        // RFC 6960 4.2.1: implicit tags, the first and last of them over NULL.
        let status = match (status.tag, status.content) {
            (0x80, []) => Status::Good,
            (0xa1, revoked) => revocation(revoked)?,
            (0x82, []) => Status::Unknown,
            _ => return Err(OcspError::Malformed),
        };
        let this_update = der::generalized_time(rest.take(der::GENERALIZED_TIME)?)?;
        let next_update = match rest.take_if(context(0))? {
            Some(tagged) => {
                let mut tagged = Reader::over(tagged)?;
                let next_update = der::generalized_time(tagged.take(der::GENERALIZED_TIME)?)?;
                tagged.finish()?;
                Some(next_update)
            }
            None => None,
        };
        refuse_critical(&mut rest)?;
        rest.finish()?;
        if next_update.is_some_and(|next_update| next_update < this_update) {
            return Err(OcspError::Malformed);
        }
        Ok(Self { status, this_update, next_update })
    }
}

fn revocation(content: &[u8]) -> Result<Status, OcspError> {
    let mut revoked = Reader::over(content)?;
    let at = der::generalized_time(revoked.take(der::GENERALIZED_TIME)?)?;
    let reason = match revoked.take_if(context(0))? {
        None => "no reason given",
        // RFC 5280 5.3.1, an ENUMERATED of one octet.
        Some([der::ENUMERATED, 1, code]) => match code {
            1 => "keyCompromise",
            2 => "cACompromise",
            3 => "affiliationChanged",
            4 => "superseded",
            5 => "cessationOfOperation",
            6 => "certificateHold",
            9 => "privilegeWithdrawn",
            _ => "unspecified",
        },
        Some(_) => return Err(OcspError::Malformed),
    };
    revoked.finish()?;
    Ok(Status::Revoked { at, reason })
}

/// Extensions at the end of a structure: those that may be passed over are.
fn refuse_critical(rest: &mut Reader<'_>) -> Result<(), OcspError> {
    let Some(tagged) = rest.take_if(context(1))? else { return Ok(()) };
    let mut tagged = Reader::over(tagged)?;
    let mut extensions = tagged.enter(der::SEQUENCE)?;
    tagged.finish()?;
    while !extensions.is_empty() {
        let mut extension = extensions.enter(der::SEQUENCE)?;
        extension.take(der::OBJECT_IDENTIFIER)?;
        // BOOLEAN, left out where it is false.
        if extension.take_if(0x01)?.is_some() {
            return Err(OcspError::Critical);
        }
        extension.take(der::OCTET_STRING)?;
        extension.finish()?;
    }
    Ok(())
}

/// SHA-1 of the key itself, without its algorithm (RFC 6960 4.1.1).
pub(super) fn key_hash(key_info: &[u8]) -> Option<[u8; 20]> {
    key_of(key_info).ok().map(|(_, key)| der::sha1(key))
}

/// Algorithm and key of a SubjectPublicKeyInfo.
fn key_of(key_info: &[u8]) -> Result<(&[u8], &[u8]), OcspError> {
    let mut inside = Reader::over(key_info)?.enter(der::SEQUENCE)?;
    let algorithm = inside.take(der::SEQUENCE)?;
    let key = whole_octets(inside.take(der::BIT_STRING)?)?;
    inside.finish()?;
    Ok((algorithm, key))
}

/// A BIT STRING without unused bits.
fn whole_octets(content: &[u8]) -> Result<&[u8], OcspError> {
    match content.split_first() {
        Some((0, octets)) => Ok(octets),
        _ => Err(OcspError::Malformed),
    }
}
