//! Whether there is room for another message: on disk, and in memory.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits::DISK_READING_AGE_MAX;

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    Disk,
    Memory,
}

impl Shortage {
    /// Stable, for logs and metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
        }
    }
}

/// Room for messages.
pub struct Room {
    disk: Disk,
    memory: Arc<HeadMemory>,
}

impl Room {
    /// Mail is taken while `disk` and `memory` have room.
    pub fn new(disk: Disk, memory: HeadMemory) -> Self {
        Self { disk, memory: Arc::new(memory) }
    }

    /// What is short for another message.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        if self.memory.is_short() {
            return Some(Shortage::Memory);
        }
        (!self.disk.has_room()).then_some(Shortage::Disk)
    }

    pub(crate) fn memory(&self) -> &Arc<HeadMemory> {
        &self.memory
    }
}

/// The disk, looked at once in a while.
pub struct Disk {
    octets_min: u64,
    read: Box<dyn Fn() -> io::Result<u64> + Send + Sync>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Disk {
    /// Has room while `read` finds `octets_min` free octets. Where it finds nothing there is none: the senders keep
    /// their mail. A minimum of 0 is always met, and `read` is not asked.
    pub fn new(octets_min: u64, read: impl Fn() -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self { octets_min, read: Box::new(read), last: Mutex::new(None) }
    }

    fn has_room(&self) -> bool {
        if self.octets_min == 0 {
            return true;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, has_room)) if at.elapsed() < DISK_READING_AGE_MAX => has_room,
            _ => {
                let has_room = (self.read)().is_ok_and(|free| free >= self.octets_min);
                *last = Some((Instant::now(), has_room));
                has_room
            }
        }
    }
}

/// The octets that all messages hold in memory.
#[derive(Debug)]
pub struct HeadMemory {
    used: AtomicU64,
    octets_max: u64,
}

impl HeadMemory {
    /// Short above `octets_max`.
    pub fn new(octets_max: u64) -> Self {
        Self { used: AtomicU64::new(0), octets_max }
    }

    pub(crate) fn is_short(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.octets_max
    }

    pub(crate) fn take(&self, octets: usize) {
        self.used.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, octets: usize) {
        self.used.fetch_sub(octets as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_disk_is_asked_once_a_second_and_believed_at_once() {
        let (free, asked) = (Arc::new(AtomicU64::new(100)), Arc::new(AtomicUsize::new(0)));
        let (shown, counted) = (Arc::clone(&free), Arc::clone(&asked));
        let disk = Disk::new(100, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(shown.load(Ordering::Relaxed))
        });
        let room = Room::new(disk, HeadMemory::new(0));
        for _ in 0..10 {
            assert_eq!(room.shortage(), None);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        free.store(99, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(room.shortage(), Some(Shortage::Disk));
        free.store(100, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(room.shortage(), None);
    }

    #[test]
    fn a_disk_that_cannot_be_read_has_no_room_unless_none_is_demanded() {
        let broken = || Err(io::ErrorKind::NotFound.into());
        assert!(!Disk::new(1, broken).has_room());
        assert!(Disk::new(0, broken).has_room());
    }

    #[test]
    fn memory_is_short_above_its_limit_and_comes_back() {
        let room = Room::new(Disk::new(0, || Ok(0)), HeadMemory::new(100));
        room.memory().take(100);
        assert_eq!(room.shortage(), None);
        room.memory().take(1);
        assert_eq!(room.shortage(), Some(Shortage::Memory));
        room.memory().give_back(1);
        assert_eq!(room.shortage(), None);
    }
}
