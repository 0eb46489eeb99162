//! Named bounds of this crate.

/// Octets of one Received field, folding included. RFC 5322 2.1.1 allows 998 in one line and sets
/// no end to folding; the longest of 14,035 observed Exchange lines has 376.
pub const RECEIVED_OCTETS_MAX: usize = 4096;

/// Received lines looked at in one message. RFC 5321 6.3 wants loop detection by counting to allow
/// at least 100 hops.
pub const RECEIVED_LINES_MAX: usize = 100;

/// Depth of nested comments, RFC 5322 3.2.2, which sets no end. Deeper lines are unreadable.
pub const COMMENT_DEPTH_MAX: usize = 16;

/// Octets of a line kept as evidence or as ignored: every line observed in practice fits whole, and
/// a hundred hostile ones stay small.
pub const HEADER_SHOWN_OCTETS_MAX: usize = 1024;

/// Octets of one catalogue file; the largest shipped one has 385 kB.
pub const CATALOGUE_OCTETS_MAX: usize = 16 * 1024 * 1024;
