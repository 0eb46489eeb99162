//! # Purpose
//! The folder with all that is kept: the account, the certificate with its key, what came of the last tries, and the
//! self-made certificate that serves until the first one was issued.
//!
//! # Invariants
//! Files are readable by their owner only, written beside, synced, and renamed, so that a reader sees the old file or the
//! whole one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pc_renewal::{Asked, Attempts, Failure, FailureKind, Held};
use pc_tls::{CertificateError, CertificateFiles, CertificateStore, CertificateSummary, self_made_for};
use pc_types::Timestamp;

use crate::Settings;
use crate::limits::FILE_OCTETS_MAX;

/// The folder of one node.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What the folder says, for people.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether there is an account.
    pub has_account: bool,
    /// The certificate that was issued last, if it is fit to be served.
    pub held: Option<Held>,
    /// What came of asking.
    pub attempts: Attempts,
    /// Why the issued certificate is not used, if there is one.
    pub fault: Option<String>,
}

impl Folder {
    /// In the data folder of the node.
    pub fn in_data(data: &Path) -> Self {
        Self(data.join("acme"))
    }

    /// Key and chain lie in one file, so that one rename replaces both.
    fn issued(&self) -> CertificateFiles {
        let file = self.0.join("certificate.pem");
        CertificateFiles { chain: file.clone(), key: file }
    }

    /// The certificate that was issued, if it is fit to be served.
    pub fn held(&self, now: Timestamp) -> Option<Held> {
        self.look(now).ok().map(|summary| held_of(&summary))
    }

    /// With all that is asked of what goes into service: one that could not be served there would be held in vain, and would
    /// keep a listener from starting.
    pub(crate) fn look(&self, now: Timestamp) -> Result<CertificateSummary, CertificateError> {
        pc_tls::prove(&self.issued(), now)
    }

    /// Why the certificate that lies there is not used.
    pub(crate) fn fault(&self, now: Timestamp) -> Option<String> {
        self.fault_of(&self.look(now))
    }

    fn fault_of(&self, looked: &Result<CertificateSummary, CertificateError>) -> Option<String> {
        looked.as_ref().err().filter(|_| self.issued().chain.exists()).map(ToString::to_string)
    }

    /// Puts the certificate that lies there in service.
    pub(crate) fn put_in_service(
        &self,
        certificates: &CertificateStore,
        now: Timestamp,
    ) -> Result<(), Failure> {
        certificates.set_managed(self.issued(), now).map(drop).map_err(|error| not_served(&error))
    }

    /// What is to be served for `asked`: the issued certificate if it is fit, and a self-made one for names that it leaves
    /// out.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn serve(&self, asked: &Asked, now: Timestamp) -> Result<Vec<CertificateFiles>, CertificateError> {
        let held = self.held(now);
        let mut files = Vec::new();
        if held.is_some() {
            files.push(self.issued());
        }
        if held.is_none_or(|held| !held.has(&asked.names)) {
            self.create().map_err(|source| CertificateError::Write { path: self.0.clone(), source })?;
            files.push(self_made_for(&self.0, &asked.names, now)?);
        }
        Ok(files)
    }

    /// Whether a file is that of the issued certificate.
    pub fn is_issued(&self, chain: &Path) -> bool {
        chain == self.issued().chain
    }

    /// Checks what was issued like files of the operator, proves it by handshakes, and only then puts it in the place of the
    /// one before and in service.
    pub(crate) fn take_in(
        &self,
        pem: &str,
        asked: &Asked,
        certificates: &CertificateStore,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let unfit = |text: String| Failure::new(FailureKind::Certificate, &text);
        let file = self.0.join("certificate.new");
        self.write("certificate.new", pem)?;
        let fresh = CertificateFiles { chain: file.clone(), key: file };
        let summary = pc_tls::inspect(&fresh, now)
            .map_err(|error| unfit(format!("what was issued is not fit to be served: {error}")))?;
        pc_renewal::judge_issued(asked, &held_of(&summary), self.held(now).as_ref(), now).map_err(unfit)?;
        let taken = certificates.adopt(&fresh, now, || {
            let issued = self.issued();
            fs::rename(&fresh.chain, &issued.chain)
                .and_then(|()| File::open(&self.0)?.sync_all())
                .map_err(|source| CertificateError::Write { path: issued.chain.clone(), source })?;
            Ok(issued)
        });
        taken.map(drop).map_err(|error| match error {
            CertificateError::Write { source, .. } => self.unwritable("certificate.pem", &source),
            error => not_served(&error),
        })
    }

    /// What came of asking for what the settings ask for.
    pub fn attempts(&self, settings: &Settings) -> Attempts {
        let text = self.read(ATTEMPTS).ok().flatten().unwrap_or_default();
        Attempts::read(&text, &settings.directory.to_string(), settings.names())
    }

    /// All that is to be told.
    pub fn status(&self, settings: &Settings, now: Timestamp) -> Status {
        let looked = self.look(now);
        Status {
            has_account: self.0.join(ACCOUNT).exists(),
            fault: self.fault_of(&looked),
            held: looked.ok().map(|summary| held_of(&summary)),
            attempts: self.attempts(settings),
        }
    }

    pub(crate) fn keep_attempts(&self, attempts: &Attempts) -> Result<(), Failure> {
        self.write(ATTEMPTS, &attempts.to_text())
    }

    /// A file that no account can have written is none: refusing it would last until somebody removes it.
    pub(crate) fn account(&self) -> Result<Option<String>, Failure> {
        let is_none = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData)
        };
        let read = self.read(ACCOUNT).or_else(|error| if is_none(&error) { Ok(None) } else { Err(error) });
        read.map_err(|error| {
            let text = format!("{} cannot be read: {error}", self.0.join(ACCOUNT).display());
            Failure::new(FailureKind::Folder, &text)
        })
    }

    pub(crate) fn keep_account(&self, text: &str) -> Result<(), Failure> {
        // The address of the account is the authority's, of any length.
        if !u64::try_from(text.len()).is_ok_and(|octets| octets <= FILE_OCTETS_MAX) {
            let text = format!("the account that the authority made has more than {FILE_OCTETS_MAX} octets");
            return Err(Failure::new(FailureKind::Server, &text));
        }
        self.write(ACCOUNT, text)
    }

    fn read(&self, name: &str) -> io::Result<Option<String>> {
        read_bounded(&self.0.join(name))
    }

    fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.0.join(name);
        let beside = path.with_extension("tmp");
        let written = || -> io::Result<()> {
            self.create()?;
            if beside.exists() {
                fs::remove_file(&beside)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|error| self.unwritable(name, &error))
    }

    fn unwritable(&self, name: &str, error: &io::Error) -> Failure {
        let text = format!("{} cannot be written: {error}", self.0.join(name).display());
        Failure::new(FailureKind::Folder, &text)
    }
}

pub(crate) fn held_of(summary: &CertificateSummary) -> Held {
    let (not_before, not_after) = (summary.not_before, summary.not_after);
    Held { names: summary.names.clone(), not_before, not_after }
}

fn not_served(error: &CertificateError) -> Failure {
    Failure::new(FailureKind::Certificate, &format!("what was issued cannot be served: {error}"))
}

/// `None` where there is no such file.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text)?;
    match u64::try_from(text.len()) {
        Ok(0..=FILE_OCTETS_MAX) => Ok(Some(text)),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large")),
    }
}

const ACCOUNT: &str = "account.json";
const ATTEMPTS: &str = "attempts.json";
