use std::collections::{HashMap, VecDeque};

use pc_types::{SignedDuration, Timestamp};

use super::Key;
use crate::limits::RECIPIENT_CACHE_MAX;

/// How long the words of the server behind about a recipient are remembered; 0 for not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecipientCacheSettings {
    /// That it exists.
    pub positive_minutes: u32,
    /// That it does not.
    pub negative_minutes: u32,
}

/// What is remembered of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The server behind took it.
    Exists,
    /// The server behind said that there is no such mailbox.
    IsUnknown,
}

/// What the server behind has said about recipients lately.
#[derive(Debug)]
pub(crate) struct RecipientCache {
    settings: RecipientCacheSettings,
    /// Apart, so that guessed addresses push out no real ones.
    existing: Remembered,
    unknown: Remembered,
}

/// Keys with the moment at which they are forgotten, at most [`RECIPIENT_CACHE_MAX`], the oldest out first.
#[derive(Debug, Default)]
struct Remembered {
    until: HashMap<Key, Timestamp>,
    /// In order of arrival, which is the order of their ends. A key that came again stands there twice.
    order: VecDeque<(Timestamp, Key)>,
}

impl RecipientCache {
    pub(crate) fn new(settings: RecipientCacheSettings) -> Self {
        Self { settings, existing: Remembered::default(), unknown: Remembered::default() }
    }

    /// Whether it is known who exists, so that others may be turned away while the server is away.
    pub(crate) fn knows_existing(&self) -> bool {
        self.settings.positive_minutes > 0
    }

    /// Remembers an answer.
    pub(crate) fn note(&mut self, key: Key, known: Known, now: Timestamp) {
        let (minutes, into, from) = match known {
            Known::Exists => (self.settings.positive_minutes, &mut self.existing, &mut self.unknown),
            Known::IsUnknown => (self.settings.negative_minutes, &mut self.unknown, &mut self.existing),
        };
        from.until.remove(&key);
        if minutes > 0 {
            let until = now.saturating_add(SignedDuration::from_mins(i64::from(minutes)));
            into.insert(key, until.unwrap_or(Timestamp::MAX), now);
        }
    }

    /// What is remembered at `now`.
    pub(crate) fn look_up(&self, key: &Key, now: Timestamp) -> Option<Known> {
        if self.existing.has(key, now) {
            return Some(Known::Exists);
        }
        self.unknown.has(key, now).then_some(Known::IsUnknown)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        let octets = |remembered: &Remembered| remembered.until.len().max(remembered.order.len());
        (octets(&self.existing), octets(&self.unknown))
    }
}

impl Remembered {
    fn has(&self, key: &Key, now: Timestamp) -> bool {
        self.until.get(key).is_some_and(|until| now < *until)
    }

    fn insert(&mut self, key: Key, until: Timestamp, now: Timestamp) {
        self.until.insert(key, until);
        self.order.push_back((until, key));
        while let Some((end, key)) = self.order.front().copied() {
            if end > now && self.order.len() <= RECIPIENT_CACHE_MAX {
                return;
            }
            self.order.pop_front();
            // A later word about it stands further back.
            if self.until.get(&key) == Some(&end) {
                self.until.remove(&key);
            }
        }
    }
}
