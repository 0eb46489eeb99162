//! # Purpose
//! The files of spooled mail. `queue/ID` is one message: a line of numbers, the entry (one line of
//! JSON), then the octets that go to the server behind. `progress/ID` says how far it has come, once
//! an attempt has changed something. `tmp/` holds what is being written.
//!
//! # Trust
//! The files are ours, but the disk may lose part of them: sizes are checked on reading. Ids are
//! checked before they become file names, since the command line names them.
//!
//! # Standards
//! RFC 5321 6.1: no 250 before the message is safe.
//!
//! # Invariants
//! [`Persisted`] is returned after the file was synced, renamed, and `queue` was synced. Directory
//! syncs are shared: one serves every message that was renamed before it began (group commit); syncs
//! of files run side by side, which the file system's journal commits together. A message is gone when
//! `queue/ID` is; a `progress/ID` without it means nothing. What stands in `tmp` at start was never
//! answered for and is deleted. A message never takes the place of another one: an id that is in use is
//! refused.
//!
//! # See also
//! `pc_queue` for the contents, `pc_smtpd::queue` for the loop.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use pc_smtp::custody::Persisted;
use tokio::sync::Semaphore;

use crate::faults::Faults;
use crate::limits::{SPOOL_ENTRY_OCTETS_MAX, SPOOL_ID_OCTETS_MAX, SPOOL_WRITERS_MAX};

/// The word a spooled file begins with, and the version of the form.
const FORM: &str = "portcullis-spool-1";

/// A spool folder. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    faults: Faults,
    writers: Semaphore,
    queue: FolderSync,
    progress: FolderSync,
}

/// A message as it is committed.
#[derive(Debug)]
pub struct Content {
    /// The first octets.
    pub head: Vec<u8>,
    /// The others, from where the file stands.
    pub rest: Option<File>,
}

/// A spooled message as it stands on the disk.
#[derive(Debug)]
pub struct Stored {
    /// One line of JSON.
    pub entry: Vec<u8>,
    /// How far it has come, if anything happened to it.
    pub progress: Option<Vec<u8>>,
    /// Octets of the message.
    pub octets: u64,
    /// Stands at the first octet of the message.
    pub file: File,
}

impl Spool {
    /// Opens a spool, creates its folders, and clears what was never answered for.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path, faults: Faults) -> io::Result<Self> {
        for name in ["tmp", "queue", "progress"] {
            fs::create_dir_all(folder.join(name))?;
        }
        for left in fs::read_dir(folder.join("tmp"))? {
            fs::remove_file(left?.path())?;
        }
        File::open(folder)?.sync_all()?;
        Ok(Self(Arc::new(Inner {
            queue: FolderSync::new(folder.join("queue")),
            progress: FolderSync::new(folder.join("progress")),
            folder: folder.to_owned(),
            faults,
            writers: Semaphore::new(SPOOL_WRITERS_MAX),
        })))
    }

    /// Takes custody of a message; returns its octets as well.
    ///
    /// # Errors
    /// The file system's, and `AlreadyExists` for an id that is in use; the message is then not in the spool.
    pub async fn commit(&self, id: &str, entry: String, content: Content) -> io::Result<(Persisted, u64)> {
        check_id(id)?;
        let id = id.to_owned();
        self.blocking(move |inner| inner.commit(&id, &entry, content)).await
    }

    /// Notes how far a message has come.
    ///
    /// # Errors
    /// The file system's; what was noted before stands.
    pub async fn write_progress(&self, id: &str, progress: Vec<u8>) -> io::Result<()> {
        check_id(id)?;
        let id = id.to_owned();
        self.blocking(move |inner| inner.write_progress(&id, &progress)).await
    }

    /// Removes a message that needs no keeping any more.
    ///
    /// # Errors
    /// The file system's; the message may then come up again after a restart.
    pub async fn remove(&self, id: &str) -> io::Result<()> {
        check_id(id)?;
        let id = id.to_owned();
        self.blocking(move |inner| inner.remove(&id)).await
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The file system's, and `InvalidData` for a file that is not whole.
    pub async fn read(&self, id: &str) -> io::Result<Stored> {
        check_id(id)?;
        let id = id.to_owned();
        self.blocking(move |inner| inner.read(&id)).await
    }

    /// Keeps a note about the spool as a whole; the next one replaces it.
    ///
    /// # Errors
    /// The file system's; the note before stands.
    pub async fn write_note(&self, note: Vec<u8>) -> io::Result<()> {
        self.blocking(move |inner| {
            let temporary = inner.path("tmp", "note");
            let mut file = File::create(&temporary)?;
            file.write_all(&note)?;
            file.sync_all()?;
            fs::rename(&temporary, inner.folder.join("note"))?;
            File::open(&inner.folder)?.sync_all()
        })
        .await
    }

    /// The note, if there is one. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub fn note(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.folder.join("note")) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The ids of all messages. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for file in fs::read_dir(self.0.folder.join("queue"))? {
            if let Ok(name) = file?.file_name().into_string() {
                ids.push(name);
            }
        }
        ids.sort();
        Ok(ids)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let _seat = self.0.writers.acquire().await.map_err(io::Error::other)?;
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(io::Error::other)?
    }
}

impl Inner {
    fn path(&self, folder: &str, id: &str) -> PathBuf {
        self.folder.join(folder).join(id)
    }

    fn commit(&self, id: &str, entry: &str, content: Content) -> io::Result<(Persisted, u64)> {
        let (temporary, path) = (self.path("tmp", id), self.path("queue", id));
        // Renaming would replace a message that somebody was answered for. Nobody else writes this id meanwhile:
        // its file in `tmp` is created anew or not at all.
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let committed = self.write_message(&temporary, entry, content).and_then(|octets| {
            self.faults.step()?;
            fs::rename(&temporary, &path)?;
            self.queue.sync(&self.faults).map(|()| octets)
        });
        match committed {
            Ok(octets) => Ok((Persisted::danger_synced_to_disk(), octets)),
            Err(error) => {
                // The sender is told to try again, so no copy must stay; the first error counts.
                let _ = fs::remove_file(&temporary);
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn write_message(&self, temporary: &Path, entry: &str, mut content: Content) -> io::Result<u64> {
        self.faults.step()?;
        let mut file = File::create_new(temporary)?;
        let mut rest_octets = 0;
        if let Some(rest) = &mut content.rest {
            let at = rest.stream_position()?;
            rest_octets = rest.seek(SeekFrom::End(0))?.saturating_sub(at);
            rest.seek(SeekFrom::Start(at))?;
        }
        let octets = content.head.len() as u64 + rest_octets;
        let mut head = format!("{FORM} {} {octets}\n{entry}\n", entry.len()).into_bytes();
        head.append(&mut content.head);
        self.faults.step()?;
        file.write_all(&head)?;
        if let Some(mut rest) = content.rest {
            self.faults.step()?;
            if io::copy(&mut rest, &mut file)? != rest_octets {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.faults.step()?;
        file.sync_all()?;
        Ok(octets)
    }

    fn write_progress(&self, id: &str, progress: &[u8]) -> io::Result<()> {
        let temporary = self.path("tmp", &format!("{id}.progress"));
        let written = (|| {
            self.faults.step()?;
            let mut file = File::create(&temporary)?;
            self.faults.step()?;
            file.write_all(progress)?;
            self.faults.step()?;
            file.sync_all()?;
            self.faults.step()?;
            fs::rename(&temporary, self.path("progress", id))?;
            self.progress.sync(&self.faults)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn remove(&self, id: &str) -> io::Result<()> {
        self.faults.step()?;
        fs::remove_file(self.path("queue", id))?;
        self.faults.step()?;
        match fs::remove_file(self.path("progress", id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&self, id: &str) -> io::Result<Stored> {
        let mut reader = BufReader::new(File::open(self.path("queue", id))?);
        let mut first = String::new();
        reader.by_ref().take(128).read_line(&mut first)?;
        let (entry_octets, octets) = sizes(&first).ok_or_else(torn)?;
        let mut entry = vec![0; entry_octets];
        reader.read_exact(&mut entry)?;
        let begin = (first.len() + entry_octets + 1) as u64;
        let mut file = reader.into_inner();
        if file.metadata()?.len() != begin + octets {
            return Err(torn());
        }
        file.seek(SeekFrom::Start(begin))?;
        let progress = match fs::read(self.path("progress", id)) {
            Ok(progress) => Some(progress),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Stored { entry, progress, octets, file })
    }
}

fn sizes(line: &str) -> Option<(usize, u64)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    if words.next()? != FORM {
        return None;
    }
    let entry_octets: usize = words.next()?.parse().ok()?;
    let octets = words.next()?.parse().ok()?;
    (words.next().is_none() && entry_octets <= SPOOL_ENTRY_OCTETS_MAX).then_some((entry_octets, octets))
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the spooled file is not whole")
}

/// Ids are trace ids: letters, digits and `-`.
fn check_id(id: &str) -> io::Result<()> {
    let is_sound = !id.is_empty()
        && id.len() <= SPOOL_ID_OCTETS_MAX
        && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if is_sound {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no spooled message of this id"))
    }
}

/// Syncs of one folder, shared by all who wait for one.
#[derive(Debug)]
struct FolderSync {
    folder: PathBuf,
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    /// A sync is under way.
    running: bool,
    begun: u64,
    done: u64,
    /// The last round that failed.
    failed: Option<(u64, io::ErrorKind)>,
}

impl FolderSync {
    fn new(folder: PathBuf) -> Self {
        Self { folder, rounds: Mutex::default(), ended: Condvar::new() }
    }

    /// Returns after a sync that began after this call.
    fn sync(&self, faults: &Faults) -> io::Result<()> {
        faults.step()?;
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = rounds.begun + 1;
        while rounds.done < mine {
            if rounds.running {
                rounds = self.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.running = true;
            rounds.begun += 1;
            drop(rounds);
            let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
            rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            rounds.running = false;
            rounds.done = rounds.begun;
            if let Err(error) = synced {
                rounds.failed = Some((rounds.begun, error.kind()));
            }
            self.ended.notify_all();
        }
        match rounds.failed {
            // A later failure is taken for mine: the sender tries again, and nothing is lost.
            Some((round, kind)) if round >= mine => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
