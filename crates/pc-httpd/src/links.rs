//! # Purpose
//! The connections behind one HTTP/2 connection: each stream has one to itself while it lasts, and gets one that an earlier stream of
//! the same client has left, or another.
//!
//! # Trust
//! All streams are one client's. No login that speaks for a connection goes over these (see `pc_http::http2`).
//!
//! # Invariants
//! None is ever another client's; all end with the client's connection. One goes back only after both bodies have passed whole. Not
//! more than [`LINKS_MAX`] are in use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pc_http::policy::Directory;
use pc_types::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::access::Activity;
#[cfg(test)]
use crate::behind::Driver;
use crate::behind::{Fault, Link, Site};
use crate::limits::{LINK_IDLE, LINK_PATIENCE, LINKS_MAX};

/// See the module.
pub(crate) struct Links {
    idle: Arc<Idle>,
    free: Arc<Semaphore>,
    /// They move the octets.
    drivers: Mutex<JoinSet<()>>,
}

/// With since when nobody uses them.
#[derive(Default)]
struct Idle(Mutex<Vec<(Link, Instant)>>);

impl Idle {
    fn links(&self) -> MutexGuard<'_, Vec<(Link, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a stream gets none.
#[derive(Debug)]
pub(crate) enum NoLink {
    /// Other streams of the client have all, and keep them.
    Busy,
    /// No server can be reached.
    Faults(Vec<Fault>),
}

/// One that a stream has. Dropped, it is closed.
pub(crate) struct Held {
    pub(crate) link: Link,
    /// The server ends it, or what follows on it has two readings.
    pub(crate) is_last: bool,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("is_last", &self.is_last).finish_non_exhaustive()
    }
}

impl Held {
    /// The answer has passed whole. With the request as well, the next stream may have it.
    pub(crate) fn release(self, activity: &Activity) {
        if !self.is_last && activity.is_request_whole() && !self.link.sender.is_closed() {
            self.idle.links().push((self.link, Instant::now()));
        }
    }
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            idle: Arc::default(),
            free: Arc::new(Semaphore::new(LINKS_MAX)),
            drivers: Mutex::new(JoinSet::new()),
        }
    }

    /// One that no stream has yet.
    #[cfg(test)]
    pub(crate) fn lay_by(&self, link: Link, driver: Driver) {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner).spawn(driver);
        self.idle.links().push((link, Instant::now()));
    }

    /// One for a stream that asks for `directory`.
    ///
    /// # Errors
    /// There is none to be had.
    pub(crate) async fn take(
        &self,
        site: &Site,
        directory: Directory,
        now: Timestamp,
    ) -> Result<Held, NoLink> {
        let waiting = Arc::clone(&self.free).acquire_owned();
        let Ok(Ok(permit)) = timeout(LINK_PATIENCE, waiting).await else { return Err(NoLink::Busy) };
        loop {
            // In a statement of its own, so that nothing is locked while we wait.
            let left = self.idle.links().pop();
            let Some((mut link, since)) = left else { break };
            // Nothing has been sent by it for this stream, so that another may be tried.
            if since.elapsed() < LINK_IDLE && link.sender.ready().await.is_ok() {
                return Ok(Held { link, is_last: false, idle: Arc::clone(&self.idle), _permit: permit });
            }
        }
        let (link, driver) = site.open(directory, now).await.map_err(NoLink::Faults)?;
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(driver);
        Ok(Held { link, is_last: false, idle: Arc::clone(&self.idle), _permit: permit })
    }
}
