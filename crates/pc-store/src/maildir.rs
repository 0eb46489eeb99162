//! # Purpose
//! Delivers messages into a Maildir: the target of the quick start and of the demo.
//!
//! # Trust
//! The message is peer data and is written as it is. File names are made of our own words.
//!
//! # Standards
//! maildir(5): written in `tmp`, renamed into `new`. CRLF is kept, since the message may be signed.
//!
//! # Invariants
//! [`Persisted`] is returned after the file was synced, renamed, and `new` was synced.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pc_smtp::custody::Persisted;

/// A Maildir that exists.
#[derive(Clone, Debug)]
pub struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// Creates the three folders if they are missing.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for name in ["tmp", "new", "cur"] {
            fs::create_dir_all(folder.join(name))?;
        }
        sync_folder(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes one message; `name` must be unique, such as the trace id. Blocks: call it where
    /// blocking is fine.
    ///
    /// # Errors
    /// The file system's; nothing is left in `new`.
    pub fn deliver(
        &self,
        name: &str,
        pieces: &[&[u8]],
        rest: Option<&mut dyn Read>,
    ) -> io::Result<Persisted> {
        let temporary = self.folder.join("tmp").join(name);
        let written = self.write(&temporary, name, pieces, rest);
        if written.is_err() {
            // The error that counts is the first one.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write(
        &self,
        temporary: &Path,
        name: &str,
        pieces: &[&[u8]],
        rest: Option<&mut dyn Read>,
    ) -> io::Result<Persisted> {
        let mut file = File::create_new(temporary)?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        if let Some(rest) = rest {
            io::copy(rest, &mut file)?;
        }
        file.sync_all()?;
        let new = self.folder.join("new");
        let delivered = new.join(name);
        fs::rename(temporary, &delivered)?;
        if let Err(error) = sync_folder(&new) {
            // The sender is told to try again, so this copy must not stay.
            let _ = fs::remove_file(&delivered);
            return Err(error);
        }
        Ok(Persisted::danger_synced_to_disk())
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
