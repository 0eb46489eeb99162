//! # Purpose
//! What becomes of a webhook after a try.
//!
//! # Standards
//! Standard Webhooks 1.0: the schedule of tries, 2xx as success, 410 to disable, 429 and 502 to 504 to slow down. RFC 9110
//! 10.2.3 for Retry-After, which can put a try off and never bring it forward.

use pc_types::{SignedDuration, Timestamp, time};

use crate::limits::{RECEIVER_REST_SECONDS, RETRY_AFTER_SECONDS_MAX, RETRY_SECONDS};

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryEnd {
    /// The receiver answered.
    Answered {
        /// Its status.
        status: u16,
        /// The field of this name.
        retry_after: Option<String>,
    },
    /// It did not: why.
    Failed(String),
}

/// Where a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookState {
    /// 2xx.
    Delivered,
    /// Not sent: its receiver had said that it is gone.
    Disabled,
    /// All tries failed.
    GivenUp,
    /// 410: the receiver wants no more.
    Gone,
    /// A try failed, another one is to come.
    Retrying,
}

impl WebhookState {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Disabled => "disabled",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
            Self::Retrying => "retrying",
        }
    }
}

/// What follows from a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Where the webhook stands.
    pub state: WebhookState,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// Until when its receiver is left alone altogether.
    pub rest_until: Option<Timestamp>,
    /// What the receiver said, in words.
    pub answer: String,
}

/// What follows from the try that ended at `now`, the `tries`-th of this webhook, counted from 1. `jitter` is 0 to 1,000 and
/// lengthens the wait by up to a tenth, so that receivers do not hear all that failed together at once.
pub fn after_try(end: &TryEnd, tries: u32, jitter: u16, now: Timestamp) -> Tried {
    let (status, retry_after) = match end {
        TryEnd::Answered { status, retry_after } => (Some(*status), retry_after.as_deref()),
        TryEnd::Failed(_) => (None, None),
    };
    let answer = answer(end);
    match status {
        Some(200..=299) => {
            return Tried { state: WebhookState::Delivered, next_at: None, rest_until: None, answer };
        }
        Some(410) => return Tried { state: WebhookState::Gone, next_at: None, rest_until: None, answer },
        _ => {}
    }
    let is_busy = matches!(status, None | Some(429 | 502..=504));
    let asked = retry_after.filter(|_| is_busy).and_then(|text| asked_wait(text, now));
    let wait = usize::try_from(tries).ok().and_then(|tries| RETRY_SECONDS.get(tries.saturating_sub(1)));
    let next_at = wait.map(|wait| {
        let longer = wait.saturating_mul(i64::from(jitter.min(1_000))) / 10_000;
        after(now, wait.saturating_add(longer).max(asked.unwrap_or(0)))
    });
    let rest = asked.or_else(|| is_busy.then_some(RECEIVER_REST_SECONDS)).map(|seconds| after(now, seconds));
    // One that is to be tried sooner ends the rest; what the receiver asked for is kept.
    let rest_until = match (rest, next_at, asked) {
        (Some(rest), Some(next), None) => Some(rest.min(next)),
        (rest, _, _) => rest,
    };
    let state = if next_at.is_some() { WebhookState::Retrying } else { WebhookState::GivenUp };
    Tried { state, next_at, rest_until, answer }
}

fn answer(end: &TryEnd) -> String {
    match end {
        TryEnd::Answered { status: status @ 300..=399, .. } => {
            format!("{status}, a redirect, which is not followed; set url to where it leads if that is right")
        }
        TryEnd::Answered { status, .. } => status.to_string(),
        TryEnd::Failed(why) => why.clone(),
    }
}

/// RFC 9110 10.2.3: seconds, or a date.
fn asked_wait(text: &str, now: Timestamp) -> Option<i64> {
    let seconds = match text.trim().parse::<u32>() {
        Ok(seconds) => i64::from(seconds),
        Err(_) => time::from_http_date(text.trim())?.as_second().saturating_sub(now.as_second()),
    };
    Some(seconds.clamp(0, RETRY_AFTER_SECONDS_MAX))
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn answered(status: u16, retry_after: Option<&str>) -> TryEnd {
        TryEnd::Answered { status, retry_after: retry_after.map(str::to_owned) }
    }

    fn seconds(moment: Option<Timestamp>) -> Option<i64> {
        moment.map(|moment| moment.as_second() - now().as_second())
    }

    #[test]
    fn tries_follow_the_schedule_of_standard_webhooks_and_end() {
        let waits: Vec<Option<i64>> =
            (1..=11).map(|tries| seconds(after_try(&answered(500, None), tries, 0, now()).next_at)).collect();
        let hours = |hours: i64| Some(hours * 3600);
        let want = [
            Some(5),
            Some(300),
            Some(1800),
            hours(2),
            hours(5),
            hours(10),
            hours(14),
            hours(20),
            hours(24),
            None,
            None,
        ];
        assert_eq!(waits, want);
        assert_eq!(after_try(&answered(500, None), 9, 0, now()).state, WebhookState::Retrying);
        assert_eq!(after_try(&answered(500, None), 10, 0, now()).state, WebhookState::GivenUp);
    }

    #[test]
    fn jitter_lengthens_a_wait_by_a_tenth_at_most() {
        for (jitter, want) in [(0, 7200), (500, 7560), (1000, 7920), (u16::MAX, 7920)] {
            assert_eq!(seconds(after_try(&answered(500, None), 4, jitter, now()).next_at), Some(want));
        }
    }

    #[test]
    fn only_2xx_is_success_and_only_410_is_gone() {
        for (status, want) in [
            (199, WebhookState::Retrying),
            (200, WebhookState::Delivered),
            (204, WebhookState::Delivered),
            (299, WebhookState::Delivered),
            (301, WebhookState::Retrying),
            (308, WebhookState::Retrying),
            (400, WebhookState::Retrying),
            (404, WebhookState::Retrying),
            (410, WebhookState::Gone),
            (500, WebhookState::Retrying),
        ] {
            let tried = after_try(&answered(status, None), 1, 0, now());
            assert_eq!(tried.state, want, "{status}");
            assert_eq!(tried.next_at.is_some(), want == WebhookState::Retrying, "{status}");
        }
        assert!(after_try(&answered(302, None), 1, 0, now()).answer.contains("not followed"));
    }

    #[test]
    fn a_busy_receiver_is_left_alone_for_as_long_as_it_asks_up_to_a_day() {
        for (status, field, next, rest) in [
            (429, Some("120"), 120, Some(120)),
            (503, Some("Mon, 23 Nov 2026 11:00:00 GMT"), 3600, Some(3600)),
            (503, Some("0"), 5, Some(0)),
            (503, Some("99999999"), 86_400, Some(86_400)),
            (503, Some("Mon, 23 Nov 2020 11:00:00 GMT"), 5, Some(0)),
            (503, Some("soon"), 5, Some(5)),
            (503, Some("-5"), 5, Some(5)),
            (429, None, 5, Some(5)),
            // Not what the field is for.
            (500, Some("120"), 5, None),
            (404, Some("120"), 5, None),
        ] {
            let tried = after_try(&answered(status, field), 1, 0, now());
            assert_eq!(
                (seconds(tried.next_at), seconds(tried.rest_until)),
                (Some(next), rest),
                "{status} {field:?}"
            );
        }
    }

    #[test]
    fn a_receiver_that_does_not_answer_rests_for_a_minute_at_most() {
        let failed = TryEnd::Failed("it did not come within 15 seconds".to_owned());
        for (tries, want) in [(1, 5), (2, 60), (9, 60), (10, 60)] {
            assert_eq!(seconds(after_try(&failed, tries, 0, now()).rest_until), Some(want), "{tries}");
        }
    }
}
