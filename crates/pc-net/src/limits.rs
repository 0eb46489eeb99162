//! Bounds of accepting.

use std::time::Duration;

/// Pause after a failed accept; Stalwart once spun at full load on EMFILE without one.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long an overfull listener tries to write its refusal.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Pending connections the kernel keeps for a listener.
pub const BACKLOG: u32 = 1_024;
/// A wait for a moment of the system's time looks at the clock again after this.
pub const CLOCK_STEP: Duration = Duration::from_secs(60);
