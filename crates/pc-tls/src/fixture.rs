//! Certificates for tests, made on the spot, and both ends of a connection in memory.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pc_types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, SupportedProtocolVersion};

use crate::certificate::{CertificateFiles, CertificateStore};
use crate::verify::Pinned;

pub(crate) static P256: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
pub(crate) static P384: &SignatureAlgorithm = &PKCS_ECDSA_P384_SHA384;
pub(crate) static P521: &SignatureAlgorithm = &PKCS_ECDSA_P521_SHA512;
pub(crate) static ED25519: &SignatureAlgorithm = &PKCS_ED25519;
pub(crate) static RSA: &SignatureAlgorithm = &PKCS_RSA_SHA256;

/// Far beyond what a handshake in memory takes: a test that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// An authority, and the folder with its files.
pub(crate) struct Authority {
    pub(crate) dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name = common_name("Example Authority");
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    pub(crate) fn ca_file(&self) -> std::path::PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn issue(&self, stem: &str, algorithm: &'static SignatureAlgorithm) -> CertificateFiles {
        self.issue_with(stem, algorithm, parameters(&["mail.example.org", "*.example.net"]))
    }

    pub(crate) fn issue_with(
        &self,
        stem: &str,
        algorithm: &'static SignatureAlgorithm,
        parameters: CertificateParams,
    ) -> CertificateFiles {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        self.write(stem, &certificate.pem(), &key.serialize_pem())
    }

    pub(crate) fn write(&self, stem: &str, chain: &str, key: &str) -> CertificateFiles {
        let files = files_of(self.dir.path(), stem);
        fs::write(&files.chain, chain).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }

    pub(crate) fn store(&self, algorithms: &[&'static SignatureAlgorithm]) -> CertificateStore {
        let files: Vec<CertificateFiles> = (0..)
            .zip(algorithms)
            .map(|(index, algorithm)| self.issue(&format!("leaf{index}"), algorithm))
            .collect();
        CertificateStore::load(&files, now()).unwrap()
    }
}

fn files_of(dir: &Path, stem: &str) -> CertificateFiles {
    CertificateFiles { chain: dir.join(format!("{stem}.pem")), key: dir.join(format!("{stem}.key")) }
}

pub(crate) fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name = common_name("leaf");
    parameters
}

pub(crate) fn valid_between(from: (i32, u8, u8), to: (i32, u8, u8)) -> CertificateParams {
    let mut parameters = parameters(&["mail.example.org"]);
    parameters.not_before = date_time_ymd(from.0, from.1, from.2);
    parameters.not_after = date_time_ymd(to.0, to.1, to.2);
    parameters
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// A client of the library with any suites and groups, which trusts what `store` serves.
pub(crate) fn client_config(
    store: &CertificateStore,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let verifier = Pinned::new(store.leaf_sha256(), &provider);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Arc::new(config)
}
