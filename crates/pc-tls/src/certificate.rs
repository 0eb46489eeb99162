//! # Purpose
//! The certificates that listeners show: loaded from PEM files, checked, chosen per client, and
//! replaced while the listeners run.
//!
//! # Trust
//! The files come from the operator or a renewal tool and may be half written, mixed up or out of
//! date. The name a client asks for and what it can verify come from strangers and only choose among
//! the certificates loaded.
//!
//! # Standards
//! RFC 7468 (PEM), RFC 5280 (certificates), RFC 9525 6.3 (wildcards), SSL Labs guide 1.6, 1.1 and 1.5
//! (key sizes, signatures). Whether a chain leads to a public root is not asked: private ones are fine.
//!
//! # Invariants
//! - What is served has passed all checks at the moment it was taken in: the key fits, the chain
//!   parses and is in order, nothing in it has expired, names are present.
//! - A failed reload changes nothing.
//!
//! # See also
//! `pair` for the checks, `self_made` for the quick start.

mod chain;
mod managed;
mod pair;
mod self_made;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fmt, io};

use arc_swap::ArcSwap;
pub use chain::ServedChain;
pub(crate) use chain::issuer_of;
pub use managed::prove;
use pair::Pair;
use pc_types::Timestamp;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
pub use self_made::{self_made, self_made_for};
use tokio::sync::watch;

use crate::limits::PAIRS_MAX;
use crate::ocsp::Subject;
use crate::standard::{KeyKind, standard};
use crate::verify;

/// Where a chain and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the leaf first, then each issuer, without the root.
    pub chain: PathBuf,
    /// PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

/// What one loaded certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// The file it came from.
    pub chain: PathBuf,
    /// Host names and addresses it is for.
    pub names: Vec<String>,
    /// Kind of its key.
    pub key: KeyKind,
    /// Beginning of its validity.
    pub not_before: Timestamp,
    /// End of its validity, or of an issuer's in the chain if that is sooner.
    pub not_after: Timestamp,
    /// SHA-256 of the leaf, as used for pins.
    pub leaf_sha256: [u8; 32],
    /// SHA-256 of its SubjectPublicKeyInfo, as TLSA records of the form `3 1 1` have it (RFC 6698 2.1).
    pub key_sha256: [u8; 32],
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// Handshakes that begin from here on get the certificates of the files.
    Swapped,
    /// The files hold what is served already.
    Unchanged,
}

/// The certificates of one or more listeners. Clones share them.
#[derive(Clone)]
pub struct CertificateStore {
    inner: Arc<Inner>,
}

struct Inner {
    files: Vec<CertificateFiles>,
    /// What the node obtained by itself, which comes after `files`.
    managed: Mutex<Vec<CertificateFiles>>,
    loaded: ArcSwap<Loaded>,
    /// State of the files when they were last read, whether or not that reading was good.
    seen: Mutex<Vec<Stamp>>,
    /// Names that what replaces the certificates must have.
    required: Mutex<Vec<String>>,
    /// Told of when other certificates are in service.
    swapped: watch::Sender<()>,
}

/// Certificates that passed all checks, in the order of the configuration.
#[derive(Clone)]
pub(crate) struct Loaded {
    pairs: Vec<Pair>,
    /// How many of them are the operator's own, which come first.
    own: usize,
}

/// What a pair of files holds, if it is fit to be served at `now`.
///
/// # Errors
/// Why it is not.
pub fn inspect(files: &CertificateFiles, now: Timestamp) -> Result<CertificateSummary, CertificateError> {
    Pair::read(files, now).map(|pair| pair.summary)
}

/// Enough of a file's metadata to notice that it was written or replaced.
type Stamp = Option<(SystemTime, u64)>;

impl CertificateStore {
    /// Reads and checks all pairs.
    ///
    /// # Errors
    /// The first pair that is not fit to be served at `now`.
    pub fn load(files: &[CertificateFiles], now: Timestamp) -> Result<Self, CertificateError> {
        Self::load_with_managed(files, &[], now)
    }

    /// The same with pairs that the node obtained by itself. A client that can use one of the operator's own for the name
    /// it asks for is never shown one of those: Exchange behind may hold the very same certificate.
    ///
    /// # Errors
    /// As [`CertificateStore::load`].
    pub fn load_with_managed(
        files: &[CertificateFiles],
        managed: &[CertificateFiles],
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        // Taken before the files are read: a write in between is then seen as a change.
        let seen = stamps_of(files.iter().chain(managed));
        let loaded = Loaded::read(files, managed, None, now)?;
        let inner = Inner {
            files: files.to_vec(),
            managed: Mutex::new(managed.to_vec()),
            loaded: ArcSwap::from_pointee(loaded),
            seen: Mutex::new(seen),
            required: Mutex::default(),
            swapped: watch::Sender::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads and checks all pairs again, proves them by handshakes in memory, and only then lets
    /// the listeners serve them.
    ///
    /// # Errors
    /// The first pair that is not fit to be served at `now`. What was served stays in service.
    pub fn reload(&self, now: Timestamp) -> Result<Reloaded, CertificateError> {
        let managed = self.inner.managed.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&managed, now)
    }

    fn take(&self, managed: &[CertificateFiles], now: Timestamp) -> Result<Reloaded, CertificateError> {
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = stamps_of(self.inner.files.iter().chain(managed));
        let current = self.loaded();
        let mut candidate = Loaded::read(&self.inner.files, managed, Some(&current), now)?;
        candidate.keep_staples(&current);
        let candidate = Arc::new(candidate);
        if candidate.is_same_as(&self.loaded()) {
            return Ok(Reloaded::Unchanged);
        }
        self.check(&candidate)?;
        self.inner.loaded.store(candidate);
        self.inner.swapped.send_replace(());
        Ok(Reloaded::Swapped)
    }

    /// What replaces the certificates in service has the names that are served, and makes handshakes.
    fn check(&self, candidate: &Arc<Loaded>) -> Result<(), CertificateError> {
        let required = self.inner.required.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(name) = required.into_iter().find(|name| !candidate.covers(name)) {
            return Err(CertificateError::NameMissing { name });
        }
        verify::verify_candidate(candidate).map_err(CertificateError::Standard)
    }

    /// Staples an OCSP response to the certificate with this SHA-256, in handshakes that begin from here on; `None` staples none.
    /// What is said by it was judged before (`ocsp`). Nothing else of what is served changes.
    pub fn staple(&self, leaf_sha256: &[u8; 32], response: Option<&[u8]>) {
        // A reload holds it as well: neither undoes what the other did.
        let _managed = self.inner.managed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut loaded = Loaded::clone(&self.loaded());
        for pair in loaded.pairs.iter_mut().filter(|pair| pair.summary.leaf_sha256 == *leaf_sha256) {
            pair.staple(response);
        }
        self.inner.loaded.store(Arc::new(loaded));
    }

    /// What is in service, for what responders say of it; each certificate once.
    pub fn ocsp_subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<Subject> = Vec::new();
        for pair in &self.loaded().pairs {
            let CertificateSummary { names, leaf_sha256, .. } = &pair.summary;
            if subjects.iter().all(|known| known.leaf_sha256 != *leaf_sha256) {
                subjects.extend(Subject::of(names, *leaf_sha256, &pair.certified.cert));
            }
        }
        subjects
    }

    /// Changes whenever other certificates are in service.
    pub fn swaps(&self) -> watch::Receiver<()> {
        self.inner.swapped.subscribe()
    }

    /// Whether a file was written, replaced or removed since it was last read. Cheap enough to be
    /// asked every few seconds.
    pub fn changed(&self) -> bool {
        let managed = self.inner.managed.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen != stamps_of(self.inner.files.iter().chain(managed.iter()))
    }

    /// The moment from which on something in service has expired.
    pub fn not_after(&self) -> Timestamp {
        let loaded = self.loaded();
        loaded.pairs.iter().map(|pair| pair.summary.not_after).min().unwrap_or(Timestamp::MIN)
    }

    /// All host names and addresses, each once, in order.
    pub fn names(&self) -> Vec<String> {
        let loaded = self.loaded();
        let mut names: Vec<String> = Vec::new();
        for name in loaded.pairs.iter().flat_map(|pair| &pair.summary.names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// SHA-256 of each leaf in service, in the order of the configuration.
    pub fn leaf_sha256(&self) -> Vec<[u8; 32]> {
        self.loaded().pairs.iter().map(|pair| pair.summary.leaf_sha256).collect()
    }

    /// Takes no certificates from here on that leave out one of `names`. Every later reload checks it.
    ///
    /// # Errors
    /// What is in service leaves one out.
    pub fn require(&self, names: impl IntoIterator<Item = String>) -> Result<(), CertificateError> {
        let names: Vec<String> = names.into_iter().collect();
        let loaded = self.loaded();
        if let Some(name) = names.iter().find(|name| !loaded.covers(name)) {
            return Err(CertificateError::NameMissing { name: name.clone() });
        }
        self.inner.required.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
        Ok(())
    }

    /// SHA-256 of the leaves that clients which ask for one of `names` may be shown, each once.
    pub fn leaves_for<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<[u8; 32]> {
        let loaded = self.loaded();
        let mut leaves = Vec::new();
        for name in names {
            for pair in loaded.for_name(Some(name)) {
                if !leaves.contains(&pair.summary.leaf_sha256) {
                    leaves.push(pair.summary.leaf_sha256);
                }
            }
        }
        leaves
    }

    /// What is in service, in the order of the configuration.
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        self.loaded().pairs.iter().map(|pair| pair.summary.clone()).collect()
    }

    /// The chains in service, in the order of the configuration.
    pub fn chains(&self) -> Vec<ServedChain> {
        self.loaded()
            .pairs
            .iter()
            .map(|pair| chain::served(&pair.summary.names, &pair.certified.cert))
            .collect()
    }

    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        self.inner.loaded.load_full()
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CertificateStore").field(&self.certificates()).finish()
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.loaded().choose(&Wish::of(&hello))
    }
}

impl Loaded {
    /// A managed pair that is not fit any more, such as one whose renewal fails, stays as it is in `current`: it must not
    /// keep the operator's own files from being taken.
    fn read(
        files: &[CertificateFiles],
        managed: &[CertificateFiles],
        current: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        if files.is_empty() && managed.is_empty() {
            return Err(CertificateError::NoPairs);
        }
        if files.len().saturating_add(managed.len()) > PAIRS_MAX {
            return Err(CertificateError::TooManyPairs);
        }
        let mut pairs: Vec<Pair> =
            files.iter().map(|files| Pair::read(files, now)).collect::<Result<_, _>>()?;
        let own = pairs.len();
        for files in managed {
            let pair = Pair::read(files, now).or_else(|error| {
                let kept = current.and_then(|current| current.managed(&files.chain));
                kept.cloned().ok_or(error)
            })?;
            pairs.push(pair);
        }
        Ok(Self { pairs, own })
    }

    /// The same certificate keeps its OCSP response across a reload.
    fn keep_staples(&mut self, current: &Self) {
        for pair in &mut self.pairs {
            let is_same = |known: &&Pair| known.summary.leaf_sha256 == pair.summary.leaf_sha256;
            if let Some(response) =
                current.pairs.iter().find(is_same).and_then(|known| known.certified.ocsp.clone())
            {
                pair.staple(Some(&response));
            }
        }
    }

    fn managed(&self, chain: &Path) -> Option<&Pair> {
        self.pairs.iter().skip(self.own).find(|pair| pair.summary.chain == chain)
    }

    /// The pairs for a name: the operator's own ones, else managed ones.
    fn for_name(&self, name: Option<&str>) -> Vec<&Pair> {
        let own = self.pairs.iter().take(self.own).filter(|pair| pair.covers(name));
        let own: Vec<&Pair> = own.collect();
        let managed = self.pairs.iter().skip(self.own).filter(|pair| pair.covers(name));
        if own.is_empty() { managed.collect() } else { own }
    }

    /// The kinds of key in service, each once.
    pub(crate) fn key_kinds(&self) -> Vec<KeyKind> {
        let mut kinds: Vec<KeyKind> = self.pairs.iter().map(|pair| pair.summary.key).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Whether a client that asks for `name` is shown a certificate that has it.
    fn covers(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| pair.covers(Some(name)))
    }

    pub(crate) fn leaves(&self) -> Vec<[u8; 32]> {
        self.pairs.iter().map(|pair| pair.summary.leaf_sha256).collect()
    }

    #[cfg(test)]
    pub(crate) fn stapled(&self, leaf_sha256: &[u8; 32]) -> Option<Vec<u8>> {
        let mut pairs = self.pairs.iter();
        pairs.find(|pair| pair.summary.leaf_sha256 == *leaf_sha256)?.certified.ocsp.clone()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let chains = |loaded: &Self| -> Vec<Vec<rustls::pki_types::CertificateDer<'static>>> {
            loaded.pairs.iter().map(|pair| pair.certified.cert.clone()).collect()
        };
        chains(self) == chains(other)
    }

    /// The certificate for a client: among those for the name asked for, else among all, the operator's own before
    /// managed ones, the first ECDSA one that the client can use, else the first RSA one; when it can use none, the
    /// first of all, with which the library ends the handshake in the alert that fits.
    fn choose(&self, wish: &Wish<'_>) -> Option<Arc<CertifiedKey>> {
        let is_named = self.pairs.iter().any(|pair| pair.covers(wish.server_name));
        let is_candidate = |pair: &&Pair| !is_named || pair.covers(wish.server_name);
        let own = || self.pairs.iter().take(self.own).filter(is_candidate);
        let managed = || self.pairs.iter().skip(self.own).filter(is_candidate);
        let usable = |pair: &Pair, kind: KeyKind| pair.summary.key == kind && wish.accepts(pair);
        let own_of = |kind: KeyKind| own().find(|pair| usable(pair, kind));
        let managed_of = |kind: KeyKind| managed().find(|pair| usable(pair, kind));
        let chosen = own_of(KeyKind::Ecdsa).or_else(|| own_of(KeyKind::Rsa));
        let chosen = chosen.or_else(|| managed_of(KeyKind::Ecdsa)).or_else(|| managed_of(KeyKind::Rsa));
        let chosen = chosen.or_else(|| own().next()).or_else(|| managed().next());
        chosen.map(|pair| Arc::clone(&pair.certified))
    }
}

/// Serves what was loaded, for a check before it goes into service.
#[derive(Clone)]
pub(crate) struct Candidate(pub(crate) Arc<Loaded>);

impl fmt::Debug for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Candidate")
    }
}

impl ResolvesServerCert for Candidate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.choose(&Wish::of(&hello))
    }
}

/// What a client wants and can verify.
struct Wish<'a> {
    server_name: Option<&'a str>,
    schemes: &'a [SignatureScheme],
    /// The kinds of key that its TLS 1.2 suites allow; empty when it offers none of those.
    suite_keys: Vec<KeyKind>,
}

impl<'a> Wish<'a> {
    fn of(hello: &'a ClientHello<'_>) -> Self {
        let offered = |code: u16| hello.cipher_suites().iter().any(|suite| u16::from(*suite) == code);
        let suites = standard().suites.iter();
        let suite_keys = suites.filter(|suite| offered(suite.code)).filter_map(|suite| suite.key).collect();
        Self { server_name: hello.server_name(), schemes: hello.signature_schemes(), suite_keys }
    }

    fn accepts(&self, pair: &Pair) -> bool {
        // A client that names TLS 1.2 suites for one kind of key only is given that kind with TLS 1.3
        // too. The version is not known here, and its suites say what it can verify.
        (self.suite_keys.is_empty() || self.suite_keys.contains(&pair.summary.key))
            && pair.certified.key.choose_scheme(self.schemes).is_some()
    }
}

fn stamps_of<'a>(files: impl Iterator<Item = &'a CertificateFiles>) -> Vec<Stamp> {
    files.flat_map(|files| [stamp_of(&files.chain), stamp_of(&files.key)]).collect()
}

fn stamp_of(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Why certificates cannot be served, with the file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The issuer of a certificate is not the next one in the file.
    #[error("{}: certificate {position} was not issued by the one after it", .path.display())]
    ChainOrder {
        /// The chain file.
        path: PathBuf,
        /// Counted from 1.
        position: usize,
    },
    /// A certificate has ended.
    #[error("{}: certificate {position} expired at {not_after}", .path.display())]
    Expired {
        /// The chain file.
        path: PathBuf,
        /// Counted from 1.
        position: usize,
        /// Its end.
        not_after: Timestamp,
    },
    /// The key cannot be used for the standard's suites.
    #[error("{}: {reason}", .path.display())]
    KeyUnfit {
        /// The chain or key file.
        path: PathBuf,
        /// In words.
        reason: &'static str,
    },
    /// The key belongs to another certificate.
    #[error("{}: the key does not belong to the certificate in {}", .key.display(), .chain.display())]
    KeyMismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// A self-made certificate could not be generated.
    #[error("no certificate can be made for {name}: {reason}")]
    Make {
        /// The name asked for.
        name: String,
        /// In words.
        reason: String,
    },
    /// The file is no PEM, or a section in it cannot be parsed.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// The chain or key file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// A name that is served is on no certificate.
    #[error("no certificate is for {name}, which is served; add one that has this name")]
    NameMissing {
        /// In lower case.
        name: String,
    },
    /// The leaf names no host.
    #[error("{}: the certificate has no host name or address", .path.display())]
    NoNames {
        /// The chain file.
        path: PathBuf,
    },
    /// No certificate is configured.
    #[error("no certificate is configured")]
    NoPairs,
    /// A certificate has not begun.
    #[error("{}: certificate {position} is not valid before {not_before}", .path.display())]
    NotYetValid {
        /// The chain file.
        path: PathBuf,
        /// Counted from 1.
        position: usize,
        /// Its beginning.
        not_before: Timestamp,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificates are sound, but a handshake with them in memory differed from the standard.
    #[error("a handshake with the certificates differs from the standard: {0}")]
    Standard(String),
    /// The file or the chain in it is over a bound.
    #[error("{}: the file or the chain in it is too large", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// More pairs than [`PAIRS_MAX`].
    #[error("more than {PAIRS_MAX} certificates are configured")]
    TooManyPairs,
    /// A self-made certificate could not be stored.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}
