use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use pc_smtp::ForwardPath;

use super::{RecipientList, RecipientListFault, Subaddress};
use crate::limits::{RECIPIENT_LIST_KEPT_PERCENT_MIN, RECIPIENT_LIST_OCTETS_MAX};

/// A list of recipients in a file that may change.
#[derive(Debug)]
pub struct RecipientFile {
    path: PathBuf,
    subaddress: Subaddress,
    list: ArcSwap<RecipientList>,
    looked: Mutex<Looked>,
}

/// What was seen of the file.
#[derive(Debug)]
struct Looked {
    /// When it was last read, whatever came of it.
    read: Stamp,
    /// At the last look.
    last: Stamp,
}

/// Changes when the file does; `None` where there is none.
type Stamp = Option<(SystemTime, u64, u64)>;

/// What a look at the file led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientsReload {
    /// Another list is in use, with so many lines.
    Swapped(usize),
    /// Nothing is to be done.
    Unchanged,
}

/// Why a file gives no list.
#[derive(Debug, thiserror::Error)]
pub enum RecipientFileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// It is no list.
    #[error("{path}: {fault}")]
    RecipientList {
        /// The file.
        path: String,
        /// What is wrong.
        fault: RecipientListFault,
    },
    /// So much shorter than the list in use that something else is likelier than that.
    #[error(
        "{path}: it has {lines} lines in place of {lines_before}, which looks like a file cut short; if it is meant, send \
         SIGHUP"
    )]
    Shrunk {
        /// The file.
        path: String,
        /// In the file.
        lines: usize,
        /// In use.
        lines_before: usize,
    },
}

impl RecipientFile {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is no list.
    pub fn open(path: &Path, subaddress: Subaddress) -> Result<Arc<Self>, RecipientFileError> {
        let stamp = stamp(path);
        let list = ArcSwap::from_pointee(read(path)?);
        let looked = Mutex::new(Looked { read: stamp, last: stamp });
        Ok(Arc::new(Self { path: path.to_owned(), subaddress, list, looked }))
    }

    /// How many lines the list in use has.
    pub fn lines(&self) -> usize {
        self.list.load().len()
    }

    /// Whether there is such a recipient.
    pub fn has(&self, path: &ForwardPath) -> bool {
        self.list.load().has(path, self.subaddress)
    }

    /// Looks whether the file changed, and takes it once it has stood still from one look to the next: it may be caught
    /// while it is written. Blocks.
    ///
    /// # Errors
    /// Once for each state of the file; the old list stays.
    pub fn look(&self) -> Result<RecipientsReload, RecipientFileError> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.path);
        let stood_still = looked.last == now;
        looked.last = now;
        if now == looked.read || !stood_still {
            return Ok(RecipientsReload::Unchanged);
        }
        looked.read = now;
        let list = read(&self.path)?;
        let (lines, lines_before) = (list.len(), self.lines());
        if lines.saturating_mul(100) < lines_before.saturating_mul(RECIPIENT_LIST_KEPT_PERCENT_MIN) {
            let path = self.path.display().to_string();
            return Err(RecipientFileError::Shrunk { path, lines, lines_before });
        }
        Ok(self.swap(list))
    }

    /// Takes the file as it is. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is no list; the old one stays.
    pub fn reload(&self) -> Result<RecipientsReload, RecipientFileError> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.path);
        *looked = Looked { read: now, last: now };
        Ok(self.swap(read(&self.path)?))
    }

    fn swap(&self, list: RecipientList) -> RecipientsReload {
        if *self.list.load_full() == list {
            return RecipientsReload::Unchanged;
        }
        let lines = list.len();
        self.list.store(Arc::new(list));
        RecipientsReload::Swapped(lines)
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn read(path: &Path) -> Result<RecipientList, RecipientFileError> {
    let name = || path.display().to_string();
    let failed = |error| RecipientFileError::Io { path: name(), error };
    let octets = fs::metadata(path).map_err(failed)?.len();
    if octets > RECIPIENT_LIST_OCTETS_MAX as u64 {
        return Err(RecipientFileError::RecipientList { path: name(), fault: RecipientListFault::TooLarge });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    RecipientList::parse(&text).map_err(|fault| RecipientFileError::RecipientList { path: name(), fault })
}
