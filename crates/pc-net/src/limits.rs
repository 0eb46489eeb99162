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
/// Networks whose new connections are counted by one listener: some MB.
pub const NETWORKS_MAX: usize = 100_000;
/// Octets of a PROXY header behind its first 16. Its text, section 2.2: senders keep below 536 octets, so that it fits the
/// smallest segment that everybody takes.
pub const PROXY_REST_OCTETS_MAX: usize = 520;
/// How long a balancer may take for its header; it sends it with the connection. The text, section 2: at least 3 s,
/// for a lost segment.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
