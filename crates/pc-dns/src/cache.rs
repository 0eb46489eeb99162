use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pc_types::dns::{Answer, Query, Records};
use tokio::time::Instant;

use crate::limits::{CACHE_ANSWER_OCTETS_MAX, CACHE_ENTRIES_MAX};

/// Answers with the moment at which each is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: Mutex<HashMap<Query, (Instant, Answer)>>,
}

impl Cache {
    pub(crate) fn find(&self, query: &Query) -> Option<Answer> {
        let entries = self.lock();
        let (until, answer) = entries.get(query)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    /// Remembers an answer for `time`. One that failed, or is large, is not.
    pub(crate) fn keep(&self, query: &Query, answer: &Answer, time: Duration) {
        let fits = octets(answer).is_some_and(|octets| octets <= CACHE_ANSWER_OCTETS_MAX);
        if !fits || time.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.lock();
        if entries.len() >= CACHE_ENTRIES_MAX {
            make_room(&mut entries, now);
        }
        entries.insert(query.clone(), (now + time, answer.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Query, (Instant, Answer)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Drops what is over; if that is not a quarter, also what would be over soonest. The work is spread over
/// the quarter of the entries that fit in afterwards.
fn make_room(entries: &mut HashMap<Query, (Instant, Answer)>, now: Instant) {
    entries.retain(|_, (until, _)| *until > now);
    let target = CACHE_ENTRIES_MAX / 4 * 3;
    if entries.len() <= target {
        return;
    }
    let mut ends: Vec<Instant> = entries.values().map(|(until, _)| *until).collect();
    ends.sort_unstable();
    let surplus = entries.len() - target;
    let Some(last) = ends.get(surplus - 1).copied() else { return };
    let mut left = surplus;
    entries.retain(|_, (until, _)| {
        let goes = *until <= last && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

/// `None` for what may not be kept.
fn octets(answer: &Answer) -> Option<usize> {
    Some(match answer {
        Answer::Temporary(_) => return None,
        Answer::NotFound => 0,
        Answer::Found(Records::A(list)) => list.len() * 4,
        Answer::Found(Records::Aaaa(list)) => list.len() * 16,
        Answer::Found(Records::Caa(list)) => {
            list.iter().map(|caa| caa.tag.len() + caa.value.len() + 24).sum()
        }
        Answer::Found(Records::Tlsa(list)) => list.iter().map(|tlsa| tlsa.data.len() + 24).sum(),
        Answer::Found(Records::Mx(list) | Records::Ptr(list)) => {
            list.iter().map(|name| name.len() + 24).sum()
        }
        Answer::Found(Records::Txt(list)) => list.iter().map(|text| text.len() + 24).sum(),
    })
}
