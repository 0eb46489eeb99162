//! The octets of a message on their way through: the head in memory, the rest in a nameless file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pc_smtp::header::Screened;

use crate::limits::MESSAGE_HEAD_OCTETS_MAX;
use crate::room::HeadMemory;

/// A message as it is received.
#[derive(Debug)]
pub struct MessageBuffer {
    folder: PathBuf,
    memory: Arc<HeadMemory>,
    head: Vec<u8>,
    /// The header stands in `head` with the empty line that ends it.
    has_header: bool,
    rest: Option<File>,
    octets: u64,
}

impl MessageBuffer {
    /// An empty message that spills into `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::within(folder, &Arc::new(HeadMemory::new(u64::MAX)))
    }

    /// The same for one of many, which share `memory`.
    pub fn within(folder: &Path, memory: &Arc<HeadMemory>) -> Self {
        let memory = Arc::clone(memory);
        Self { folder: folder.to_owned(), memory, head: Vec::new(), has_header: false, rest: None, octets: 0 }
    }

    /// Appends octets.
    ///
    /// # Errors
    /// The file system's; the message must then be deferred.
    pub fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.octets += octets.len() as u64;
        let room = self.head_room();
        let (head, rest) = octets.split_at_checked(room).unwrap_or((octets, b""));
        let (held, known) = (self.head.capacity(), self.head.len());
        self.head.extend_from_slice(head);
        // Only what is added is searched: octet by octet the whole head would be read half a million times.
        let added = self.head.get(known.saturating_sub(3)..).unwrap_or_default();
        self.has_header |=
            added.windows(4).any(|end| end == b"\r\n\r\n") || (known < 2 && self.head.starts_with(b"\r\n"));
        self.memory.take(self.head.capacity() - held);
        if rest.is_empty() {
            return Ok(());
        }
        if self.rest.is_none() {
            self.rest = Some(tempfile::tempfile_in(&self.folder)?);
        }
        match &mut self.rest {
            Some(file) => file.write_all(rest),
            None => Ok(()),
        }
    }

    /// How much more may stay in memory. While memory is short nothing but the header does; and what follows octets
    /// in the file goes there as well.
    fn head_room(&self) -> usize {
        if self.rest.is_some() || (self.memory.is_short() && self.has_header) {
            return 0;
        }
        MESSAGE_HEAD_OCTETS_MAX - self.head.len()
    }

    /// The octets in memory, which hold the header.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Octets of the whole message.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The octets that go into the spool: `prefix` (our own header fields), then what was screened.
    ///
    /// # Errors
    /// The file system's.
    pub fn spool_content(
        &mut self,
        prefix: &[u8],
        screened: &Screened,
    ) -> io::Result<pc_store::spool::Content> {
        let mut head = prefix.to_vec();
        let (octets, rest) = self.parts()?;
        for piece in screened.pieces(octets) {
            head.extend_from_slice(piece);
        }
        let rest = rest.map(|file| file.try_clone()).transpose()?;
        Ok(pc_store::spool::Content { head, rest })
    }

    /// The octets as they came.
    ///
    /// # Errors
    /// The file system's.
    pub fn raw_content(&mut self) -> io::Result<pc_store::spool::Content> {
        let (head, rest) = self.parts()?;
        let rest = rest.map(|file| file.try_clone()).transpose()?;
        Ok(pc_store::spool::Content { head: head.to_vec(), rest })
    }

    /// All octets, if they are no more than `max` and can be read.
    pub async fn whole(&mut self, max: u64) -> Option<Vec<u8>> {
        if self.octets > max {
            return None;
        }
        let mut octets = self.head.clone();
        if let Some(file) = self.rest().ok()? {
            let mut file = file.try_clone().ok()?;
            let read = move || {
                let mut rest = Vec::new();
                file.read_to_end(&mut rest).map(|_| rest)
            };
            octets.extend(tokio::task::spawn_blocking(read).await.ok()?.ok()?);
        }
        Some(octets)
    }

    /// The octets in memory, and the file with the others, at its beginning.
    ///
    /// # Errors
    /// The file system's.
    pub fn parts(&mut self) -> io::Result<(&[u8], Option<&mut File>)> {
        if let Some(file) = &mut self.rest {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok((&self.head, self.rest.as_mut()))
    }

    /// The octets that are not in memory, from their beginning.
    ///
    /// # Errors
    /// The file system's.
    pub fn rest(&mut self) -> io::Result<Option<&mut File>> {
        match &mut self.rest {
            Some(file) => {
                file.seek(SeekFrom::Start(0))?;
                Ok(Some(file))
            }
            None => Ok(None),
        }
    }
}

impl Drop for MessageBuffer {
    fn drop(&mut self) {
        self.memory.give_back(self.head.capacity());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut buffer = MessageBuffer::new(folder.path());
        let piece: Vec<u8> = (0..=250).collect();
        let mut want = Vec::new();
        while want.len() < MESSAGE_HEAD_OCTETS_MAX + 10_000 {
            buffer.append(&piece).unwrap();
            want.extend_from_slice(&piece);
        }
        for _ in 0..2 {
            let mut got = buffer.head().to_vec();
            assert_eq!(got.len(), MESSAGE_HEAD_OCTETS_MAX);
            buffer.rest().unwrap().unwrap().read_to_end(&mut got).unwrap();
            assert_eq!(got, want);
        }
        assert_eq!(buffer.octets(), want.len() as u64);
    }

    #[test]
    fn with_memory_short_only_the_header_stays_and_the_message_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Arc::new(HeadMemory::new(0));
        let pieces: [&[u8]; 5] = [b"Subject: x\r\n", b"To: y\r\n\r", b"\n", b"the body\r\n", b"and more\r\n"];
        let whole = pieces.concat();
        for pieces in [pieces.to_vec(), whole.chunks(1).collect()] {
            let mut buffer = MessageBuffer::within(folder.path(), &memory);
            for piece in pieces {
                buffer.append(piece).unwrap();
            }
            assert_eq!(buffer.head(), b"Subject: x\r\nTo: y\r\n\r\n");
            let mut rest = String::new();
            buffer.rest().unwrap().unwrap().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "the body\r\nand more\r\n");
        }
    }

    #[test]
    fn octets_stay_in_order_when_memory_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Arc::new(HeadMemory::new(1_000));
        memory.take(2_000);
        let mut buffer = MessageBuffer::within(folder.path(), &memory);
        buffer.append(b"\r\n").unwrap();
        buffer.append(b"first").unwrap();
        memory.give_back(2_000);
        buffer.append(b", second").unwrap();
        let mut rest = String::new();
        buffer.rest().unwrap().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!((buffer.head(), rest.as_str()), (&b"\r\n"[..], "first, second"));
    }

    #[test]
    fn what_a_message_held_comes_back_with_its_end() {
        let memory = Arc::new(HeadMemory::new(999));
        let mut buffer = MessageBuffer::within(Path::new("no such folder"), &memory);
        buffer.append(&[b'x'; 1_000]).unwrap();
        assert!(memory.is_short());
        drop(buffer);
        assert!(!memory.is_short());
    }

    #[test]
    fn a_small_message_needs_no_file() {
        let mut buffer = MessageBuffer::new(Path::new("no such folder"));
        buffer.append(b"Subject: x\r\n").unwrap();
        assert!(buffer.rest().unwrap().is_none());
    }
}
