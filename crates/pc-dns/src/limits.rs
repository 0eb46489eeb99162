//! Bounds of asking and remembering.

use std::time::Duration;

/// Names of which answers are remembered.
pub const CACHE_ENTRIES_MAX: usize = 8_192;
/// Octets of an answer that is remembered; together with the entries 32 MiB at the very worst.
pub const CACHE_ANSWER_OCTETS_MAX: usize = 4_096;
/// A found answer is used no longer, whatever its TTL: a listing or a policy that was withdrawn should not
/// live for days here.
pub const CACHE_FOUND_MAX: Duration = Duration::from_secs(3_600);
/// The same for "there is nothing"; RFC 2308 5 suggests one to three hours at most.
pub const CACHE_NOT_FOUND_MAX: Duration = Duration::from_secs(900);
/// "There is nothing" without an SOA (RFC 2308 5 forbids to keep it as such): long enough that one
/// client's burst is one question.
pub const CACHE_NOT_FOUND_WITHOUT_SOA: Duration = Duration::from_secs(10);
/// Questions under way at once.
pub const QUERIES_MAX: usize = 256;
/// Records of one answer that are looked at.
pub const RECORDS_MAX: usize = 100;
/// Servers that are asked; resolv.conf(5) takes three.
pub const SERVERS_MAX: usize = 8;
