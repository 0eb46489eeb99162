//! # Purpose
//! The client's side: connections to the mail server behind, to receiving servers, to anything that
//! is probed. The same versions, suites and groups as on the listeners.
//!
//! # Trust
//! The server is who its certificate says, verified against trusted roots or a pin. There is no way
//! to connect without.
//!
//! # Standards
//! RFC 8446, RFC 5246, RFC 5280 6 and RFC 9525 (verification). Revocation is not checked.
//!
//! # Invariants
//! Sessions are resumed only by the value that made them, so that a session never outlives the
//! trust under which it was made.
//!
//! # See also
//! `standard`, `verify::pinned`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pc_types::{Escaped, sha256};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::TlsError;
use crate::certificate::CertificateFiles;
use crate::limits::PEM_OCTETS_MAX;
use crate::standard::{PROTOCOL_VERSIONS, negotiated_names, shared_provider};
use crate::stream::{ClientStream, Handshake};
use crate::verify::Pinned;

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The public roots and those of the file.
    Both(PathBuf),
    /// The roots in a PEM file.
    CaFile(PathBuf),
    /// The public roots of Mozilla's programme, as compiled in.
    WebPki,
}

/// The settings of outgoing connections. Clones share the sessions.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

/// A connection that came up, with a verified server.
#[derive(Debug)]
pub struct Connected<S> {
    /// Plain text to be read and written.
    pub stream: ClientStream<S>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The IANA name of the suite.
    pub suite: &'static str,
    /// Whether keys were agreed anew.
    pub handshake: Handshake,
    /// SHA-256 of the server's leaf certificate.
    pub leaf_sha256: [u8; 32],
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The server's certificate does not prove who it is.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    /// The server went away.
    #[error("the server closed the connection during the handshake")]
    Closed,
    /// The handshake failed, most often because the server has no suite of the standard.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// The name to be verified is neither host name nor address.
    #[error("{0} is neither a host name nor an address")]
    Name(String),
    /// The deadline passed.
    #[error("the handshake took too long")]
    Timeout,
}

impl ConnectError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Closed => "closed",
            Self::Handshake(_) => "handshake",
            Self::Name(_) => "name",
            Self::Timeout => "timeout",
        }
    }
}

impl ClientTls {
    /// Settings that trust `roots`; or, with a pin, exactly the certificate whose leaf has that
    /// SHA-256. A pin stands in for chain, names and dates; the signature of the handshake is
    /// verified with it all the same.
    ///
    /// # Errors
    /// The file with roots cannot be read or holds none.
    pub fn new(roots: Roots, pinned_leaf_sha256: Option<[u8; 32]>) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Build { name: "client".to_owned(), source };
        let provider = shared_provider();
        let verifier: Arc<dyn ServerCertVerifier> = match pinned_leaf_sha256 {
            Some(leaf) => Arc::new(Pinned::new(vec![leaf], &provider)),
            None => {
                let roots = Arc::new(root_store(&roots)?);
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|error| failed(rustls::Error::General(error.to_string())))?
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(PROTOCOL_VERSIONS)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// The same as [`ClientTls::new`] without a pin, which shows a certificate of its own to servers that ask for one.
    ///
    /// # Errors
    /// The files cannot be read or do not fit each other.
    pub fn showing(roots: &Roots, own: &CertificateFiles) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Build { name: "client".to_owned(), source };
        let unreadable =
            |error: rustls::pki_types::pem::Error| failed(rustls::Error::General(error.to_string()));
        let chain = CertificateDer::pem_file_iter(&own.chain).map_err(unreadable)?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_file(&own.key).map_err(unreadable)?;
        let config = ClientConfig::builder_with_provider(shared_provider())
            .with_protocol_versions(PROTOCOL_VERSIONS)
            .map_err(failed)?
            .with_root_certificates(root_store(roots)?)
            .with_client_auth_cert(chain, key)
            .map_err(failed)?;
        Ok(Self { config: Arc::new(config) })
    }

    /// The same with application protocols for ALPN, the preferred one first.
    #[must_use]
    pub fn with_protocols(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self { config: Arc::new(config) }
    }

    /// The same without sessions of earlier connections: keys are agreed anew each time.
    #[must_use]
    pub fn without_resumption(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config) }
    }

    /// Shakes hands with the server and verifies that it is `server_name`, all before `deadline` has
    /// passed.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect<S>(
        &self,
        stream: S,
        server_name: &str,
        deadline: Duration,
    ) -> Result<Connected<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| ConnectError::Name(Escaped::new(server_name).to_string()))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake = async {
            match connector.connect(name, stream).into_fallible().await {
                Ok(stream) => connected(stream),
                Err((error, mut stream)) => {
                    // The library has written its alert; a peer that is gone already is no matter.
                    let _ = stream.shutdown().await;
                    Err(failure(&error))
                }
            }
        };
        timeout(deadline, handshake).await.unwrap_or(Err(ConnectError::Timeout))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientTls")
    }
}

fn connected<S>(stream: tokio_rustls::client::TlsStream<S>) -> Result<Connected<S>, ConnectError> {
    let connection = stream.get_ref().1;
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| ConnectError::Certificate("the server showed none".to_owned()))?;
    let leaf_sha256 = sha256(leaf);
    let (version, suite) = negotiated_names(connection);
    let handshake = Handshake::of(connection);
    Ok(Connected { version, suite, handshake, leaf_sha256, stream: ClientStream(stream) })
}

pub(crate) fn root_store(roots: &Roots) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    if matches!(roots, Roots::Both(_) | Roots::WebPki) {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Roots::Both(path) | Roots::CaFile(path) = roots {
        for root in read_roots(path).map_err(|source| TlsError::Roots { path: path.clone(), source })? {
            store.add(root).map_err(|error| TlsError::Roots {
                path: path.clone(),
                source: io::Error::new(io::ErrorKind::InvalidData, error),
            })?;
        }
    }
    Ok(store)
}

fn read_roots(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    use std::io::Read as _;
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut octets = Vec::new();
    std::fs::File::open(path)?.take(PEM_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > PEM_OCTETS_MAX) {
        return Err(invalid("the file is too large".to_owned()));
    }
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    let roots = roots.map_err(|error| invalid(error.to_string()))?;
    if roots.is_empty() { Err(invalid("no CERTIFICATE section".to_owned())) } else { Ok(roots) }
}

fn failure(error: &io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        // The library shows a reason of ours in its debugging form only.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(reason))) => {
            ConnectError::Certificate(reason.0.to_string())
        }
        Some(rustls::Error::InvalidCertificate(reason)) => ConnectError::Certificate(reason.to_string()),
        Some(cause) => ConnectError::Handshake(cause.to_string()),
        None => ConnectError::Closed,
    }
}

#[cfg(test)]
mod tests;
