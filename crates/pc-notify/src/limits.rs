//! Bounds of the outbox.

use std::time::Duration;

/// Notices that one look takes from the outbox.
pub const WAITING_MAX: u32 = 1_000;
/// After a failure: the database or the spool was in trouble, which the log has told.
pub const RETRY: Duration = Duration::from_secs(60);
/// Without a word of the writer. It says when there is something to do; this is for what it could not say.
pub const LOOK: Duration = Duration::from_secs(600);
