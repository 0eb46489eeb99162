use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use pc_types::{Domain, Timestamp, sha256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::{CertificateError, CertificateFiles, CertificateSummary};
use crate::limits::{CHAIN_CERTIFICATES_MAX, CHAIN_OCTETS_MAX, PEM_OCTETS_MAX, RSA_BITS_MIN};
use crate::standard::KeyKind;

/// One certificate with its chain and key, fit to be served.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) summary: CertificateSummary,
    pub(super) certified: Arc<CertifiedKey>,
}

impl Pair {
    pub(super) fn read(files: &CertificateFiles, now: Timestamp) -> Result<Self, CertificateError> {
        let chain = read_chain(&files.chain)?;
        let summary = check_chain(&files.chain, &chain, now)?;
        let certified = CertifiedKey::new(chain, read_key(&files.key)?);
        match certified.keys_match() {
            Ok(()) => Ok(Self { summary, certified: Arc::new(certified) }),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(CertificateError::KeyMismatch { chain: files.chain.clone(), key: files.key.clone() })
            }
            Err(other) => Err(malformed(&files.chain, &other)),
        }
    }

    /// Connections that are under way keep what they have.
    pub(super) fn staple(&mut self, response: Option<&[u8]>) {
        Arc::make_mut(&mut self.certified).ocsp = response.map(<[u8]>::to_vec);
    }

    /// Whether the certificate is for the host name that a client asks for.
    pub(super) fn covers(&self, server_name: Option<&str>) -> bool {
        server_name.is_some_and(|wanted| self.summary.names.iter().any(|name| matches(name, wanted)))
    }
}

/// RFC 9525 6.3: a wildcard is the whole left-most label and stands for exactly one label.
fn matches(name: &str, wanted: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => wanted.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(wanted),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut octets = Vec::new();
    file.take(PEM_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(unreadable)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length <= PEM_OCTETS_MAX) {
        Ok(octets)
    } else {
        Err(CertificateError::TooLarge { path: path.to_owned() })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let octets = read_file(path)?;
    let (mut chain, mut chain_octets) = (Vec::new(), 0_usize);
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        let certificate = certificate.map_err(|error| malformed(path, &error))?;
        chain_octets = chain_octets.saturating_add(certificate.len());
        chain.push(certificate);
        if chain.len() > CHAIN_CERTIFICATES_MAX || chain_octets > CHAIN_OCTETS_MAX {
            return Err(CertificateError::TooLarge { path: path.to_owned() });
        }
    }
    if chain.is_empty() { Err(malformed(path, &"no CERTIFICATE section")) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, CertificateError> {
    let octets = read_file(path)?;
    let key = PrivateKeyDer::from_pem_slice(&octets).map_err(|error| match error {
        pem::Error::NoItemsFound => malformed(path, &"no unencrypted PRIVATE KEY section"),
        other => malformed(path, &other),
    })?;
    // The reason is not passed on: what a parser says about a key belongs in no log.
    aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| malformed(path, &"the private key cannot be parsed or is of no known kind"))
}

/// Checks all certificates; what it says about the leaf, with the earliest end in the chain.
fn check_chain(
    path: &Path,
    chain: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<CertificateSummary, CertificateError> {
    let mut parsed = Vec::with_capacity(chain.len());
    for (position, der) in (1..).zip(chain) {
        let certificate = parse(path, position, der)?;
        check_validity(path, position, &certificate, now)?;
        parsed.push(certificate);
    }
    for (position, (issued, issuer)) in (1..).zip(parsed.iter().zip(parsed.iter().skip(1))) {
        if issued.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(CertificateError::ChainOrder { path: path.to_owned(), position });
        }
    }
    // A signature that a root puts on itself proves nothing, so its algorithm does not matter.
    for (position, certificate) in (1..).zip(&parsed) {
        let self_signed = certificate.issuer().as_raw() == certificate.subject().as_raw();
        let proves_nothing = position > 1 && self_signed;
        if !proves_nothing && !is_strong_signature(certificate) {
            return Err(unfit(path, "a certificate is signed with a broken or unknown algorithm"));
        }
    }
    let (Some(leaf), Some(der)) = (parsed.first(), chain.first()) else {
        return Err(malformed(path, &"no CERTIFICATE section"));
    };
    check_purpose(path, leaf)?;
    let not_after = parsed.iter().map(|certificate| moment(certificate.validity().not_after)).min();
    Ok(CertificateSummary {
        chain: path.to_owned(),
        names: names_of(path, leaf)?,
        key: key_kind(path, leaf)?,
        not_before: moment(leaf.validity().not_before),
        not_after: not_after.unwrap_or(Timestamp::MIN),
        leaf_sha256: sha256(der),
        key_sha256: sha256(leaf.public_key().raw),
    })
}

fn parse<'a>(
    path: &Path,
    position: usize,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(malformed(path, &format!("octets follow certificate {position}"))),
        Err(error) => Err(malformed(path, &format!("certificate {position} cannot be parsed: {error}"))),
    }
}

/// RFC 5280 4.1.2.5: both ends are included.
fn check_validity(
    path: &Path,
    position: usize,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(), CertificateError> {
    let path = path.to_owned();
    let not_before = moment(certificate.validity().not_before);
    let not_after = moment(certificate.validity().not_after);
    if now > not_after {
        return Err(CertificateError::Expired { path, position, not_after });
    }
    if now < not_before {
        return Err(CertificateError::NotYetValid { path, position, not_before });
    }
    Ok(())
}

/// A year beyond the range of [`Timestamp`] counts as its end.
fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

/// SHA-2 with RSA, RSA-PSS or ECDSA, and Ed25519. RFC 8017 appendix C, RFC 5758 3.2, RFC 8410 3.
const STRONG_SIGNATURES: [&str; 8] = [
    "1.2.840.113549.1.1.10",
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.3.101.112",
];

fn is_strong_signature(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    STRONG_SIGNATURES.contains(&algorithm.as_str())
}

fn check_purpose(path: &Path, leaf: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let unreadable = |error| malformed(path, &error);
    // `openssl req -x509` marks what it signs itself as an authority; as the only certificate that is
    // harmless. Issued by another, it is an intermediate in the wrong place.
    if leaf.is_ca() && leaf.issuer().as_raw() != leaf.subject().as_raw() {
        return Err(unfit(path, "the first certificate is an authority's, not a server's"));
    }
    // RFC 5280 4.2.1.3: all suites of the standard sign, none encrypts with the certificate's key.
    let usage = leaf.key_usage().map_err(unreadable)?;
    if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(unfit(path, "the certificate's key usage does not allow signing"));
    }
    // RFC 5280 4.2.1.12.
    let extended = leaf.extended_key_usage().map_err(unreadable)?;
    if extended.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        return Err(unfit(path, "the certificate's extended key usage does not allow servers"));
    }
    Ok(())
}

fn key_kind(path: &Path, leaf: &X509Certificate<'_>) -> Result<KeyKind, CertificateError> {
    match leaf.public_key().parsed() {
        Ok(PublicKey::EC(point)) if matches!(point.key_size(), 256 | 384) => Ok(KeyKind::Ecdsa),
        Ok(PublicKey::EC(_)) => Err(unfit(path, "an ECDSA key must be on P-256 or P-384")),
        Ok(PublicKey::RSA(key)) if bits(key.modulus) >= RSA_BITS_MIN => Ok(KeyKind::Rsa),
        Ok(PublicKey::RSA(_)) => Err(unfit(path, "an RSA key must have 2048 bits or more")),
        Ok(_) => Err(unfit(path, "the key must be ECDSA or RSA")),
        Err(error) => Err(malformed(path, &error)),
    }
}

fn bits(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|octet| **octet == 0);
    let first_zeros =
        significant.clone().next().map_or(0, |octet| usize::try_from(octet.leading_zeros()).unwrap_or(0));
    (significant.count() * 8).saturating_sub(first_zeros)
}

/// RFC 9525 2: names come from the subject alternative name only.
fn names_of(path: &Path, leaf: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    let alternative = leaf.subject_alternative_name().map_err(|error| malformed(path, &error))?;
    let mut names = Vec::new();
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.push(dns_name(path, name)?),
            GeneralName::IPAddress(octets) => names.push(address(path, octets)?.to_string()),
            _ => {}
        }
    }
    if names.is_empty() { Err(CertificateError::NoNames { path: path.to_owned() }) } else { Ok(names) }
}

fn dns_name(path: &Path, name: &str) -> Result<String, CertificateError> {
    let (wildcard, host) = name.strip_prefix("*.").map_or(("", name), |host| ("*.", host));
    let host: Domain = host.parse().map_err(|error| malformed(path, &error))?;
    Ok(format!("{wildcard}{}", host.as_str()))
}

/// RFC 5280 4.2.1.6.
fn address(path: &Path, octets: &[u8]) -> Result<IpAddr, CertificateError> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| malformed(path, &"an address in the certificate has a wrong length"))
}

fn malformed(path: &Path, reason: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::Malformed { path: path.to_owned(), reason: reason.to_string() }
}

fn unfit(path: &Path, reason: &'static str) -> CertificateError {
    CertificateError::KeyUnfit { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        assert!(matches("*.example.org", "mail.example.org"));
        assert!(matches("*.example.org", "MAIL.Example.ORG"));
        assert!(!matches("*.example.org", "example.org"));
        assert!(!matches("*.example.org", "a.mail.example.org"));
        assert!(matches("mail.example.org", "mail.example.org"));
        assert!(!matches("mail.example.org", "mail.example.net"));
    }

    #[test]
    fn bits_do_not_count_leading_zeros() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x01, 0]), 9);
        assert_eq!(bits(&[]), 0);
    }
}
