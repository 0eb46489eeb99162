//! Bounds of the store.

use std::time::Duration;

/// Database connections: one writer, the rest for pages and commands.
pub const CONNECTIONS_MAX: u32 = 4;
/// Rows waiting for the writer. At 1,000 messages a second this is four seconds of a stalled disk.
pub const QUEUE_ROWS_MAX: usize = 8_192;
/// Rows written in one transaction.
pub const BATCH_ROWS_MAX: usize = 1_024;
/// Rows of one statement; SQLite takes 32,766 bound values, a trace row has 20.
pub const STATEMENT_ROWS_MAX: usize = 128;
/// How long the writer gathers rows before it writes; bounds what a crash can lose of the trace.
pub const BATCH_PAUSE: Duration = Duration::from_millis(50);
/// Rows that one query returns.
pub const QUERY_ROWS_MAX: u32 = 1_000;
/// Octets of a stored text that came from a peer.
pub const TEXT_OCTETS_MAX: usize = 1_024;
/// Servers of one IPv4 address or IPv6 /64 that are told apart by their greeting names. A NAT in front of
/// several organisations stays below; an attacker who invents names does not get a row for each.
pub const SERVERS_PER_NETWORK_MAX: usize = 16;
/// Spool files written or read at once. Enough for the file system's journal to commit many syncs
/// together, few enough to leave threads for others.
pub const SPOOL_WRITERS_MAX: usize = 32;
/// Octets of a spooled message's id; trace ids have 21.
pub const SPOOL_ID_OCTETS_MAX: usize = 64;
/// Octets of the entry beside a spooled message: 10,000 recipients with all their parameters.
pub const SPOOL_ENTRY_OCTETS_MAX: usize = 16 * 1_024 * 1_024;
/// Transactions after which a segment of the trace is full. Its part of all indices fits into SQLite's page cache of
/// 2 MB; a search without a hit looks into each segment once, some microseconds.
pub const SEGMENT_ROWS: i64 = 1_024;
/// Segments that the writer reads for a batch. A transaction that is older, by 65,536 others, is looked up alone.
pub const SEGMENTS_READ: i64 = 64;
/// Entries of an index that a search with several conditions walks before it answers with what it has and
/// where to go on. Each costs a look at its row, a few microseconds.
pub const SEARCH_ENTRIES_MAX: u32 = 10_000;
/// Entries up to which a condition counts as rare and is searched by, whatever the others are.
pub const SEARCH_RARE_ENTRIES: u32 = 200;
/// The latest events of a spooled message that one answer shows; five days of hourly attempts are 120.
pub const DELIVERIES_MAX: u32 = 500;
/// Recipients that a list of transactions shows in all.
pub const LISTED_RECIPIENTS_MAX: u32 = 10_000;
/// Transactions deleted at once, so that the writer waits for milliseconds only.
pub const EXPIRY_ROWS: u32 = 500;
/// Between two such batches, so that the writer gets its turn.
pub const EXPIRY_PAUSE: Duration = Duration::from_millis(20);
/// Refused TLS clients that are kept, about 1 KB each: all that a /16 can send, and no more than 100 MB.
pub const TLS_CLIENT_ROWS_MAX: u32 = 65_536;
/// Their counts by day, about 150 octets each.
pub const TLS_CLIENT_DAY_ROWS_MAX: u32 = 262_144;
/// Of these one search looks at so many, the last seen.
pub const TLS_CLIENT_SEARCH_ROWS_MAX: u32 = 10_000;
/// Notices to webhooks that are kept, about 2 KB each; the oldest go first, told or not.
pub const WEBHOOK_ROWS_MAX: u32 = 50_000;
/// Lines of a summary: names asked for times fingerprints.
pub const TLS_SUMMARY_ROWS_MAX: u32 = 5_000;
/// Hosts of one tenant whose attestations are kept, the last one of each.
pub const ATTESTED_HOSTS_MAX: usize = 1_000;
/// One that is older gives way where there is no room. Twice the age at which none is taken any more, so that nothing that is
/// forgotten can be taken again.
pub const ATTESTATION_KEPT_HOURS_MIN: i64 = 2 * pc_enforce::limits::ATTESTATION_BY_HAND_HOURS;
