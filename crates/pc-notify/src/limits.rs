//! Bounds of the outbox.

use std::time::Duration;

/// Notices that one look takes from the outbox.
pub const WAITING_MAX: u32 = 1_000;
/// After a failure: the database or the spool was in trouble, which the log has told.
pub const RETRY: Duration = Duration::from_secs(60);
/// Without a word of the writer. It says when there is something to do; this is for what it could not say.
pub const LOOK: Duration = Duration::from_secs(600);
/// Stages begin and reminders fall due by the clock.
pub const SURVEY: Duration = Duration::from_secs(60 * 60);
/// Between two surveys, however much happens on the ladder: one reads all servers.
pub const SURVEY_SPACING: Duration = Duration::from_secs(60);
/// Greeting names that one survey asks the DNS about; the next one asks about more.
pub const LOOKUPS_PER_SURVEY_MAX: usize = 100;
/// For each of them.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// A greeting name that does not lead to its address is asked about again after so many days.
pub const UNPROVEN_DAYS: i64 = 1;
/// A file of four secrets with remarks.
pub const SECRET_FILE_OCTETS_MAX: u64 = 16 * 1024;
/// A webhook is told of messages set aside in so many days, also of those from before it was configured.
pub const WEBHOOK_MESSAGE_DAYS: i64 = 3;
