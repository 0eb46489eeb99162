use pc_rating::dane::ChainCertificate;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::ocsp::is_signed_by;

/// A chain as clients are shown it.
#[derive(Clone, Debug)]
pub struct ServedChain {
    /// What its leaf is for.
    pub names: Vec<String>,
    /// The organisation that signed the leaf, as it calls itself.
    pub issuer: Option<String>,
    /// No authority has signed it.
    pub is_self_signed: bool,
    /// The leaf first, then each issuer up to the first that has not signed the one before it.
    pub certificates: Vec<ChainCertificate>,
}

pub(super) fn served(names: &[String], chain: &[CertificateDer<'_>]) -> ServedChain {
    let parsed: Vec<_> =
        chain.iter().filter_map(|der| Some((der, X509Certificate::from_der(der).ok()?.1))).collect();
    let linked = parsed.windows(2).take_while(|pair| match pair {
        [(der, _), (_, issuer)] => is_signed_by(der, issuer.public_key().raw),
        _ => false,
    });
    let signed = linked.count();
    let leaf = parsed.first().map(|(_, leaf)| leaf);
    ServedChain {
        names: names.to_vec(),
        issuer: leaf.and_then(issuer_of),
        is_self_signed: leaf.is_some_and(|leaf| leaf.issuer().as_raw() == leaf.subject().as_raw()),
        certificates: parsed
            .iter()
            .take(signed + 1)
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

#[cfg(test)]
mod tests {
    use pc_testkit::OcspAuthority;

    use crate::{CertificateFiles, CertificateStore};

    #[test]
    fn an_issuer_that_has_only_the_name_is_no_part_of_the_chain() {
        let key = "ec -pkeyopt ec_paramgen_curve:P-256";
        let authorities = [OcspAuthority::new(key), OcspAuthority::new(key)];
        let issued =
            authorities.each_ref().map(|one| one.issue(key, "leaf", "mail.example.org", "1234", &[]));
        let [(chain, key), (other, _)] = issued;
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        let count = |chain: &std::path::Path| {
            let files = CertificateFiles { chain: chain.to_owned(), key: key.clone() };
            let store = CertificateStore::load(&[files], pc_net::Clock::System.now()).unwrap();
            store.chains()[0].certificates.len()
        };
        assert_eq!(count(&chain), 2);
        let end = "-----END CERTIFICATE-----\n";
        let (leaf, _) =
            read(&chain).split_once(end).map(|(leaf, rest)| (format!("{leaf}{end}"), rest.len())).unwrap();
        let strangers = read(&other).split_once(end).unwrap().1.to_owned();
        std::fs::write(&chain, leaf + &strangers).unwrap();
        assert_eq!(count(&chain), 1);
    }
}
