//! # Purpose
//! OCSP responses for our own certificates, the decisions: what a certificate's responder is asked, whether its answer may be
//! stapled, until when, and when it is asked again.
//!
//! # Trust
//! An answer comes over plain http from whoever sits in between: nothing of it counts before its signature was verified, and a
//! signed one that is older than what is known is refused, so that a revocation cannot be played back. The certificate was
//! checked when it was loaded; its addresses are an authority's words.
//!
//! # Standards
//! RFC 6960 (OCSP), RFC 5019 (SHA-1 in CertID, no nonce, one certificate for each request), RFC 7633 (must-staple). Whether a
//! delegated responder's own certificate is revoked is not asked, as id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1) has it.
//!
//! # Invariants
//! - No I/O and no clock: `now` is passed in.
//! - Only a signed, current and good answer for this very certificate is ever handed out for stapling.
//! - After a revoked answer nothing is stapled until a newer good one came.
//!
//! # See also
//! `CertificateStore::staple`, which serves it.

mod der;
mod response;
mod standing;
#[cfg(test)]
mod tests;

use pc_types::ResponderUrl;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use der::tlv;
pub use response::{Answer, OcspError, Status};
pub use standing::{Standing, Taken};

/// RFC 6960 4.2.2.1 with RFC 5280 4.2.2.1: id-ad-ocsp.
const ACCESS_OCSP: &str = "1.3.6.1.5.5.7.48.1";
/// RFC 7633 6: id-pe-tlsfeature.
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
/// RFC 6066 8: status_request, as one feature in a list (INTEGER 5).
const STATUS_REQUEST: [u8; 3] = [0x02, 0x01, 0x05];

/// Whether a certificate (DER) was signed with the key of a SubjectPublicKeyInfo, by an algorithm that the TLS library takes.
pub(crate) fn is_signed_by(certificate: &[u8], key_info: &[u8]) -> bool {
    response::is_signed_by(certificate, key_info)
}

/// A certificate in service, for what its responder says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Host names and addresses it is for.
    pub names: Vec<String>,
    /// SHA-256 of it.
    pub leaf_sha256: [u8; 32],
    /// Who can be asked.
    pub offer: Offer,
    /// Clients refuse it without a staple (RFC 7633).
    pub is_must_staple: bool,
    /// No authority has signed it.
    pub is_self_signed: bool,
}

/// What a certificate offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It names a responder, but the chain file has no issuer, without which nothing can be asked or verified.
    IssuerMissing,
    /// It names no responder.
    Nothing,
    /// It names responders at addresses that cannot be asked; one of them.
    Unusable(String),
    /// It can be asked for.
    Responder(Box<Inquiry>),
}

/// How one certificate is asked for, and how answers are known to be for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Where.
    pub responder: ResponderUrl,
    id: CertificateId,
    issuer: Vec<u8>,
}

/// RFC 6960 4.1.1: CertID with SHA-1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CertificateId {
    issuer_name_hash: [u8; 20],
    issuer_key_hash: [u8; 20],
    serial: Vec<u8>,
}

impl Subject {
    /// Reads what the first certificate of a chain that was checked offers.
    pub(crate) fn of(names: &[String], leaf_sha256: [u8; 32], chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let is_must_staple = leaf.extensions().iter().any(|extension| {
            extension.oid.to_id_string() == TLS_FEATURE && lists_status_request(extension.value)
        });
        let addresses = responders(&leaf);
        let usable = addresses.iter().find_map(|address| address.parse::<ResponderUrl>().ok());
        let offer = match (usable, addresses.first(), chain.get(1)) {
            (Some(responder), _, Some(issuer)) => Inquiry::of(responder, &leaf, issuer)
                .map_or(Offer::IssuerMissing, |inquiry| Offer::Responder(Box::new(inquiry))),
            (Some(_), _, None) => Offer::IssuerMissing,
            (None, Some(address), _) => Offer::Unusable((*address).to_owned()),
            (None, None, _) => Offer::Nothing,
        };
        Some(Self {
            names: names.to_vec(),
            leaf_sha256,
            offer,
            is_must_staple,
            is_self_signed: leaf.issuer().as_raw() == leaf.subject().as_raw(),
        })
    }
}

fn responders<'a>(leaf: &X509Certificate<'a>) -> Vec<&'a str> {
    let mut addresses = Vec::new();
    for extension in leaf.extensions() {
        // The parsed form borrows from the extension, the addresses in it from the certificate.
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else { continue };
        for described in &access.accessdescs {
            if let GeneralName::URI(address) = described.access_location
                && described.access_method.to_id_string() == ACCESS_OCSP
            {
                addresses.push(address);
            }
        }
    }
    addresses
}

fn lists_status_request(value: &[u8]) -> bool {
    let features = der::Reader::over(value).and_then(|mut reader| reader.enter(der::SEQUENCE));
    features.is_ok_and(|mut features| {
        let mut is_listed = false;
        while let Ok(feature) = features.next() {
            is_listed |= feature.raw == STATUS_REQUEST;
        }
        is_listed
    })
}

impl Inquiry {
    fn of(responder: ResponderUrl, leaf: &X509Certificate<'_>, issuer: &[u8]) -> Option<Self> {
        let (_, authority) = X509Certificate::from_der(issuer).ok()?;
        let id = CertificateId {
            issuer_name_hash: der::sha1(authority.subject().as_raw()),
            issuer_key_hash: response::key_hash(authority.public_key().raw)?,
            serial: leaf.tbs_certificate.raw_serial().to_vec(),
        };
        Some(Self { responder, id, issuer: issuer.to_vec() })
    }

    /// RFC 6960 4.1.1: OCSPRequest for one certificate, unsigned and without extensions.
    pub fn request(&self) -> Vec<u8> {
        let id = [
            der::SHA1_ALGORITHM.to_vec(),
            tlv(der::OCTET_STRING, &self.id.issuer_name_hash),
            tlv(der::OCTET_STRING, &self.id.issuer_key_hash),
            tlv(der::INTEGER, &self.id.serial),
        ];
        // CertID, Request, requestList, TBSRequest, OCSPRequest.
        (0..5).fold(id.concat(), |inner, _| tlv(der::SEQUENCE, &inner))
    }
}
