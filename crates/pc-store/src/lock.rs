//! # Purpose
//! One process at a time in a data folder: two that offer the same spooled mail would deliver it twice.
//!
//! # Invariants
//! The lock is the operating system's, on the open file: it ends with the process, however that ends. The
//! file itself stays and means nothing.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held, not read")] File);

impl FolderLock {
    /// Takes `folder`, or says that another process has it.
    ///
    /// # Errors
    /// `ResourceBusy` while another process holds the folder, or the file system's.
    pub fn take(folder: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FolderLock;

    #[test]
    fn a_folder_is_held_by_one_and_free_again_when_that_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let second = FolderLock::take(folder.path()).unwrap_err();
        assert_eq!(second.kind(), std::io::ErrorKind::ResourceBusy);
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
