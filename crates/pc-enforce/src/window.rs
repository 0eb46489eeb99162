use pc_types::{ServerId, SignedDuration, Timestamp, sha256};

use crate::limits::MINUTES_PER_HOUR;
use crate::schedule::Stage;

/// What holds at a moment inside the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Mail is blocked until then.
    Block {
        /// First moment after the window.
        ends_at: Timestamp,
    },
    /// Mail passes.
    Open,
    /// Mail is deferred until then.
    Throttle {
        /// First moment after the window.
        ends_at: Timestamp,
    },
}

/// The minute of every UTC hour at which a server's windows begin. Anyone can recompute it: the
/// first eight octets of SHA-256 over `window|` and the server id, as a big-endian number, modulo
/// 60. The block window comes first, the throttle window follows at once; both wrap around the hour.
pub fn start_minute(id: &ServerId) -> u8 {
    let digest = sha256(format!("window|{id}").as_bytes());
    let number = digest.iter().take(8).fold(0u64, |number, octet| (number << 8) | u64::from(*octet));
    u8::try_from(number % u64::from(MINUTES_PER_HOUR)).unwrap_or(0)
}

/// The window of a server in `stage` at `now`.
pub(crate) fn window(id: &ServerId, stage: Stage, now: Timestamp) -> Window {
    let second_of_hour = now.as_second().rem_euclid(SECONDS_PER_HOUR);
    let start = i64::from(start_minute(id)) * SECONDS_PER_MINUTE;
    // Seconds since the block window of this hour, or of the one before, began.
    let since_start = (second_of_hour - start).rem_euclid(SECONDS_PER_HOUR);
    let block_ends = i64::from(stage.block_minutes) * SECONDS_PER_MINUTE;
    let throttle_ends = block_ends + i64::from(stage.throttle_minutes) * SECONDS_PER_MINUTE;
    let ends_at = |end: i64| {
        let left = SignedDuration::from_secs(end - since_start);
        let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
        whole.saturating_add(left).unwrap_or(Timestamp::MAX)
    };
    if since_start < block_ends {
        Window::Block { ends_at: ends_at(block_ends) }
    } else if since_start < throttle_ends {
        Window::Throttle { ends_at: ends_at(throttle_ends) }
    } else {
        Window::Open
    }
}

const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3_600;
