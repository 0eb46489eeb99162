//! # Purpose
//! What a certificate authority needs of TLS: the proof of a name inside a handshake, and a request for a certificate
//! with a key that was made for it.
//!
//! # Trust
//! Anybody may send a hello with `acme-tls/1`. It gets a certificate that proves nothing but what the authority asked
//! for, and only for a name whose validation is under way.
//!
//! # Standards
//! RFC 8737 (TLS-ALPN-01), RFC 2986 (certification requests).
//!
//! # Invariants
//! - The proof is shown for `acme-tls/1` as the only protocol and for its own name, to nobody else, and goes away with
//!   its [`Published`].
//! - The one standard holds for these handshakes too; they are never resumed.
//!
//! # See also
//! `server`, which asks here before it shakes hands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pc_types::Domain;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello as Hello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::client_hello::ClientHello;
use crate::server::server_config;

/// RFC 8737 6.2.
const PROTOCOL: &str = "acme-tls/1";

/// The names whose proof by TLS is under way. Clones share them.
#[derive(Clone, Default)]
pub struct Challenges {
    names: Arc<Mutex<BTreeMap<String, Arc<ServerConfig>>>>,
}

/// A proof that can be seen while this value lives.
#[derive(Debug)]
pub struct Published {
    name: String,
    challenges: Challenges,
}

/// A proof or request could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate can be made for {name}: {reason}")]
pub struct ChallengeError {
    /// The first name.
    pub name: String,
    /// In words.
    pub reason: String,
}

impl Challenges {
    /// Shows the proof for `name` from here on: the SHA-256 of a key authorization (RFC 8737 3).
    ///
    /// # Errors
    /// No certificate could be made.
    pub fn publish(&self, name: &Domain, digest: &[u8; 32]) -> Result<Published, ChallengeError> {
        let fault = |reason: &dyn fmt::Display| fault(name.as_str(), reason);
        let mut parameters =
            CertificateParams::new(vec![name.as_str().to_owned()]).map_err(|error| fault(&error))?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate().map_err(|error| fault(&error))?;
        let certificate = parameters.self_signed(&key).map_err(|error| fault(&error))?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = aws_lc_rs::sign::any_supported_type(&private).map_err(|error| fault(&error))?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], signing);
        let proof = Arc::new(Proof(Arc::new(certified)));
        let mut config = server_config(proof, &[PROTOCOL], None).map_err(|error| fault(&error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        self.lock().insert(name.as_str().to_owned(), Arc::new(config));
        Ok(Published { name: name.as_str().to_owned(), challenges: self.clone() })
    }

    /// What a hello is to be answered with, when it asks for a proof and for nothing else.
    pub(crate) fn of(&self, hello: &ClientHello) -> Option<Arc<ServerConfig>> {
        match hello.protocols.as_slice() {
            [only] if only == PROTOCOL.as_bytes() => {}
            _ => return None,
        }
        self.lock().get(hello.server_name.as_ref()?.as_str()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ServerConfig>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.name);
    }
}

struct Proof(Arc<CertifiedKey>);

impl fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Proof")
    }
}

impl ResolvesServerCert for Proof {
    fn resolve(&self, _: Hello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A request for a certificate, and its key.
pub struct SigningRequest {
    /// RFC 2986, DER.
    pub der: Vec<u8>,
    /// PKCS #8, PEM: ECDSA P-256, made for this request (SSL Labs guide 1.6, 1.2).
    pub key_pem: String,
}

impl fmt::Debug for SigningRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningRequest")
    }
}

/// A request for a certificate with `names`.
///
/// # Errors
/// There is no name, or no key could be made.
pub fn signing_request(names: &[Domain]) -> Result<SigningRequest, ChallengeError> {
    let first = names.first().map_or("", Domain::as_str);
    if names.is_empty() {
        return Err(fault(first, &"no name"));
    }
    let list: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
    let mut parameters = CertificateParams::new(list).map_err(|error| fault(first, &error))?;
    // RFC 8555 7.4: names come from the alternative name alone.
    parameters.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().map_err(|error| fault(first, &error))?;
    let request = parameters.serialize_request(&key).map_err(|error| fault(first, &error))?;
    Ok(SigningRequest { der: request.der().to_vec(), key_pem: key.serialize_pem() })
}

fn fault(name: &str, reason: &dyn fmt::Display) -> ChallengeError {
    ChallengeError { name: name.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
