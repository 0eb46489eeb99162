//! Bounds of the store.

use std::time::Duration;

/// Database connections: one writer, the rest for pages and commands.
pub const CONNECTIONS_MAX: u32 = 4;
/// Rows waiting for the writer. At 1,000 messages a second this is four seconds of a stalled disk.
pub const QUEUE_ROWS_MAX: usize = 8_192;
/// Rows written in one transaction.
pub const BATCH_ROWS_MAX: usize = 1_024;
/// How long the writer gathers rows before it writes; bounds what a crash can lose of the trace.
pub const BATCH_PAUSE: Duration = Duration::from_millis(50);
/// Rows that one query returns.
pub const QUERY_ROWS_MAX: u32 = 1_000;
/// Octets of a stored text that came from a peer.
pub const TEXT_OCTETS_MAX: usize = 1_024;
