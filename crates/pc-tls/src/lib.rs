//! # Purpose
//! The one TLS standard of every listener and every outgoing connection: which versions, suites and
//! groups are spoken, how a ClientHello is read before the TLS library sees it, how certificates are
//! loaded and replaced, and how both sides of a connection are set up.
//!
//! # Trust
//! Anybody who can reach a port sends us a ClientHello. The reader in [`client_hello`] is total: any
//! octets give a hello, a refusal, or a wish for more, within the bounds of [`limits`]. Certificate
//! files come from the operator and are checked before they replace the ones in use.
//!
//! # Standards
//! RFC 8446 (TLS 1.3), RFC 5246 with RFC 5289 (TLS 1.2, the four ECDHE AES-GCM suites), RFC 7507
//! (fallback), RFC 8737 (proofs of names), RFC 8996 (TLS 1.0 and 1.1 are gone), RFC 8701 (GREASE), RFC 6066 8 and
//! RFC 6960 (stapled OCSP responses), JA4. Client certificates are asked for where a listener wants them, and never needed.
//! Not done: early data, renegotiation, Encrypted ClientHello.
//!
//! # Invariants
//! - No setting weakens the standard: there is no parameter for it, and each listener shakes hands
//!   with itself before it is handed out ([`ServerTls::verify_standard`]).
//! - A session is resumed only by the listener that made it: ticket keys and session cache are its own.
//! - A peer's certificate is always verified, by a chain or by a pin. Only [`check`] goes on with one that is
//!   not good, to tell of it, and hands no connection out.
//! - `rustls` is named in no other crate.
//!
//! # See also
//! `ARCHITECTURE.md`, TLS; `portcullis tls standard` prints [`standard()`].

pub mod certificate;
mod challenge;
pub mod check;
mod client;
mod client_certificate;
pub mod client_hello;
pub mod limits;
pub mod observe;
pub mod ocsp;
mod refusal;
mod screen;
mod server;
mod standard;
mod stream;
mod verify;

#[cfg(test)]
mod fixture;

pub use certificate::{
    CertificateError, CertificateFiles, CertificateStore, CertificateSummary, Reloaded, ServedChain, inspect,
    prove, self_made, self_made_for,
};
pub use challenge::{ChallengeError, Challenges, Published, SigningRequest, signing_request};
pub use client::{ClientTls, ConnectError, Connected, Roots};
pub use client_certificate::{ClientCertificate, ClientCertificates};
pub use client_hello::{ClientHello, HelloProgress, HelloReader, HelloRefusal};
pub use refusal::Refusal;
pub use server::{Accepted, ServerTls};
pub use standard::{Group, KeyKind, Standard, Suite, Version, standard};
pub use stream::{ClientStream, Handshake, ServerStream};

/// Why a listener or a client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The TLS library refused the configuration, or no ticket key could be made.
    #[error("TLS for {name} cannot be set up")]
    Build {
        /// The listener, or `client`.
        name: String,
        /// The library's reason.
        source: rustls::Error,
    },
    /// The file with trusted roots cannot be used.
    #[error("the file with trusted roots {} cannot be used", .path.display())]
    Roots {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The listener shook hands with itself and offers something other than the standard. It must
    /// not run.
    #[error("listener {listener} differs from the TLS standard: {violation}")]
    Standard {
        /// The listener.
        listener: String,
        /// The first difference found.
        violation: String,
    },
}
