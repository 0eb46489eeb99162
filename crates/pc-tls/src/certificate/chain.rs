use pc_rating::dane::ChainCertificate;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// A chain as clients are shown it.
#[derive(Clone, Debug)]
pub struct ServedChain {
    /// What its leaf is for.
    pub names: Vec<String>,
    /// The organisation that signed the leaf, as it calls itself.
    pub issuer: Option<String>,
    /// No authority has signed it.
    pub is_self_signed: bool,
    /// The leaf first.
    pub certificates: Vec<ChainCertificate>,
}

pub(super) fn served(names: &[String], chain: &[CertificateDer<'_>]) -> ServedChain {
    let parsed = || chain.iter().filter_map(|der| Some((der, X509Certificate::from_der(der).ok()?.1)));
    ServedChain {
        names: names.to_vec(),
        issuer: parsed().next().and_then(|(_, leaf)| issuer_of(&leaf)),
        is_self_signed: parsed()
            .next()
            .is_some_and(|(_, leaf)| leaf.issuer().as_raw() == leaf.subject().as_raw()),
        certificates: parsed()
            .map(|(der, certificate)| ChainCertificate {
                certificate: der.to_vec(),
                key: certificate.public_key().raw.to_vec(),
            })
            .collect(),
    }
}

/// The organisation in the issuer's name, else its common name (RFC 5280 4.1.2.4).
pub(crate) fn issuer_of(certificate: &X509Certificate<'_>) -> Option<String> {
    let issuer = certificate.issuer();
    let mut names = issuer.iter_organization().chain(issuer.iter_common_name());
    names.find_map(|name| name.as_str().ok().map(str::to_owned))
}
