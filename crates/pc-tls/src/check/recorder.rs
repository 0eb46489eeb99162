use std::sync::{Arc, Mutex, PoisonError};

use pc_rating::{Certificate, Key, Trust};
use rustls::CertificateError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// Verifies a certificate, writes the verdict down, and goes on whatever it is: a check has to see bad
/// ones too. Nothing but a HEAD request without a secret is ever sent over such a connection.
#[derive(Debug)]
pub(super) struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    recorded: Mutex<Option<Recorded>>,
}

#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) certificate: Certificate,
    pub(super) is_ocsp_stapled: bool,
}

impl Recorder {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, recorded: Mutex::new(None) }
    }

    pub(super) fn recorded(&self) -> Option<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let trust = match verdict {
            Ok(_) => Trust::Trusted,
            Err(Error::InvalidCertificate(
                reason
                @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
            )) => Trust::WrongName(reason.to_string()),
            Err(Error::InvalidCertificate(reason)) => Trust::Untrusted(reason.to_string()),
            Err(other) => Trust::Untrusted(other.to_string()),
        };
        let certificate =
            describe(end_entity, trust).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let recorded = Recorded { certificate, is_ocsp_stapled: !ocsp_response.is_empty() };
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorded);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn describe(leaf: &CertificateDer<'_>, trust: Trust) -> Option<Certificate> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let bits = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let key = match leaf.public_key().parsed().ok()? {
        PublicKey::EC(point) => Key::Ec(bits(point.key_size())),
        PublicKey::RSA(key) => Key::Rsa(bits(key.key_size())),
        _ => return None,
    };
    // RFC 8017 A.2.4, RFC 3279 2.2.3: MD5 and SHA-1.
    const WEAK: [&str; 4] =
        ["1.2.840.113549.1.1.2", "1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];
    let signature = leaf.signature_algorithm.algorithm.to_id_string();
    let has_ocsp_address = leaf.extensions().iter().any(|extension| match extension.parsed_extension() {
        // RFC 5280 4.2.2.1.
        ParsedExtension::AuthorityInfoAccess(access) => access
            .accessdescs
            .iter()
            .any(|described| described.access_method.to_id_string() == "1.3.6.1.5.5.7.48.1"),
        _ => false,
    });
    let summary = format!("{}, until {}", leaf.subject(), leaf.validity().not_after);
    let summary = pc_types::Escaped::new(&summary).to_string();
    let has_weak_signature = WEAK.contains(&signature.as_str());
    let issuer = crate::certificate::issuer_of(&leaf);
    let is_self_signed = leaf.issuer().as_raw() == leaf.subject().as_raw();
    Some(Certificate { key, trust, has_weak_signature, summary, has_ocsp_address, issuer, is_self_signed })
}
