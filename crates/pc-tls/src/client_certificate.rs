//! # Purpose
//! Asks clients for a certificate and says afterwards which names it proves, if any.
//!
//! # Trust
//! The certificate is a stranger's. It proves a name only with a chain to the trusted roots, dates that hold, and the
//! handshake's signature under its key.
//!
//! # Standards
//! RFC 8446 4.3.2 and 4.4.2.4 (a server may go on without), RFC 5280 6 (chain), RFC 9525 6 (names: DNS-ID only, a wildcard
//! stands for one whole first label). Revocation is not checked.
//!
//! # Invariants
//! - No certificate and no lack of one ends a handshake: a mail server sends by whatever certificate it has, and mail that
//!   comes without a name is still mail.
//! - A handshake whose signature is wrong ends, RFC 8446 4.4.3: its client does not hold the key that it shows.
//! - What was proven is looked at again when a session is resumed: an expired certificate names nobody.
//!
//! # See also
//! `server`, which asks; `client`, which verifies servers.

use std::fmt;
use std::sync::Arc;

use pc_types::Domain;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use crate::TlsError;
use crate::client::{Roots, root_store};
use crate::standard::shared_provider;

/// Whose client certificates count. Clones share the roots.
#[derive(Clone)]
pub struct ClientCertificates {
    pub(crate) authority: Arc<Authority>,
}

/// What a client's certificate proves.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It showed none, or was not asked.
    None,
    /// It proves nothing.
    Unverified {
        /// Why not.
        reason: String,
    },
    /// It was issued under a trusted root.
    Verified {
        /// In DER.
        leaf: Vec<u8>,
    },
}

/// Trusted roots.
pub(crate) struct Authority {
    roots: Arc<RootCertStore>,
    chains: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    /// Certificates under `roots`.
    ///
    /// # Errors
    /// The file with roots cannot be read or holds none.
    pub fn new(roots: &Roots) -> Result<Self, TlsError> {
        let provider = shared_provider();
        let algorithms = provider.signature_verification_algorithms;
        let roots = Arc::new(root_store(roots)?);
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider)
            .build()
            .map_err(|error| TlsError::Build {
                name: "client certificates".to_owned(),
                source: Error::General(error.to_string()),
            })?;
        Ok(Self { authority: Arc::new(Authority { roots, chains, algorithms }) })
    }

    /// What the chain that a client showed proves at present.
    pub(crate) fn judge(&self, chain: Option<&[CertificateDer<'static>]>) -> ClientCertificate {
        let Some((leaf, intermediates)) = chain.and_then(<[_]>::split_first) else {
            return ClientCertificate::None;
        };
        match self.authority.verify_chain(leaf, intermediates, UnixTime::now()) {
            Ok(()) => ClientCertificate::Verified { leaf: leaf.to_vec() },
            Err(error) => ClientCertificate::Unverified { reason: error.to_string() },
        }
    }
}

impl Authority {
    /// Public authorities no longer issue certificates for clients, and mail servers send by the certificate that they
    /// receive with: one for servers counts as well.
    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let as_client = self.chains.verify_client_cert(leaf, intermediates, now);
        match as_client {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            )) => {
                let leaf = ParsedCertificate::try_from(leaf)?;
                let algorithms = self.algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, intermediates, now, algorithms)
            }
            Err(error) => Err(error),
        }
    }
}

impl ClientCertificate {
    /// Whether it proves `name`.
    pub fn proves(&self, name: &Domain) -> bool {
        let Self::Verified { leaf } = self else { return false };
        let leaf = CertificateDer::from(leaf.as_slice());
        let Ok(name) = ServerName::try_from(name.as_str()) else { return false };
        ParsedCertificate::try_from(&leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }

    /// Stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unverified { .. } => "unverified",
            Self::Verified { .. } => "verified",
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unverified { reason } => write!(formatter, "unverified: {reason}"),
            _ => formatter.write_str(self.code()),
        }
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientCertificates").finish_non_exhaustive()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Takes every chain into the handshake; [`ClientCertificates::judge`] says afterwards what it proves.
impl ClientCertVerifier for Authority {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: with a list, clients whose certificate is another's show nothing, and the trace could not say why.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        readable(certificate, || verify_tls12_signature(message, certificate, signature, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        readable(certificate, || verify_tls13_signature(message, certificate, signature, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate that cannot be read, such as one of X.509 version 1, has no key to verify with. The same reading fails when
/// its chain is judged, so that it proves nothing, signature or not.
fn readable(
    certificate: &CertificateDer<'_>,
    verify: impl FnOnce() -> Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    match ParsedCertificate::try_from(certificate) {
        Ok(_) => verify(),
        Err(_) => Ok(HandshakeSignatureValid::assertion()),
    }
}

#[cfg(test)]
mod tests;
