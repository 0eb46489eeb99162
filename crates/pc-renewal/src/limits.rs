//! Every bound of this crate, with its source.

use pc_types::SignedDuration;

/// The first delay after a fault that may pass by itself: no connection, an error of the server.
pub const DELAY_FIRST_TRANSIENT: SignedDuration = SignedDuration::from_mins(1);

/// The first delay after a refusal. Let's Encrypt lets five validations of a name fail in an hour; four in the first hour
/// leave one for the operator.
pub const DELAY_FIRST_REFUSED: SignedDuration = SignedDuration::from_mins(15);

/// The first delay after a rate limit that names none.
pub const DELAY_FIRST_RATE_LIMITED: SignedDuration = SignedDuration::from_hours(1);

/// No delay grows beyond it.
pub const DELAY_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A Retry-After (RFC 8555 6.6) counts up to here: the longest windows of public authorities are a week.
pub const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Between one certificate and the next. An authority whose certificates are due at once, by a wrong clock or lifetime,
/// is not asked in a loop.
pub const ISSUE_INTERVAL_MIN: SignedDuration = SignedDuration::from_hours(1);

/// What a certificate that was issued must have left. Private authorities go down to a day, public ones to six days; with less
/// than this a renewal could not fail twice before the end.
pub const ISSUED_LEFT_MIN: SignedDuration = SignedDuration::from_hours(6);

/// Octets of a text that an authority gave, as it is kept and shown.
pub const TEXT_OCTETS_MAX: usize = 600;

/// Octets of the file that holds what came of the last attempts.
pub const FILE_OCTETS_MAX: usize = 64 * 1024;
