use pc_types::{Domain, SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind};
use crate::limits::{DELAY_MAX, FILE_OCTETS_MAX, RETRY_AFTER_MAX};
use crate::plan::{Held, later};

/// What came of asking, kept across restarts so that a node which starts again and again does not ask as often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The authority and the names they were for; others begin anew.
    #[serde(rename = "for")]
    subject: String,
    /// Failures since the last certificate.
    pub failures: u32,
    /// The last of them.
    pub last_failure: Option<FailedAttempt>,
    /// Nothing is asked before.
    pub not_before: Option<Timestamp>,
    /// When the last certificate came.
    pub issued_at: Option<Timestamp>,
}

/// One that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When.
    pub at: Timestamp,
    /// Stable word.
    pub code: String,
    /// For the operator, with the remedy.
    pub text: String,
}

impl Attempts {
    /// None so far, for `names` at `directory`.
    pub fn none(directory: &str, names: &[Domain]) -> Self {
        let names: Vec<&str> = names.iter().map(Domain::as_str).collect();
        Self { subject: format!("{directory} {}", names.join(" ")), ..Self::default() }
    }

    /// Those of a file, if they are for the same; none otherwise. A file that cannot be read costs the memory of a delay
    /// and no certificate.
    pub fn read(text: &str, directory: &str, names: &[Domain]) -> Self {
        let none = Self::none(directory, names);
        let read: Option<Self> =
            (text.len() <= FILE_OCTETS_MAX).then(|| serde_json::from_str(text).ok()).flatten();
        read.filter(|read| read.subject == none.subject).unwrap_or(none)
    }

    /// For the file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// After a certificate came.
    #[must_use]
    pub fn issued(self, now: Timestamp) -> Self {
        Self { subject: self.subject, issued_at: Some(now), ..Self::default() }
    }

    /// After the certificate that is held went into service. What the authority asks to wait for stays.
    #[must_use]
    pub fn served(self) -> Self {
        match &self.last_failure {
            Some(last) if last.code == FailureKind::Certificate.code() => {
                Self { failures: 0, last_failure: None, not_before: None, ..self }
            }
            _ => self,
        }
    }

    /// After a failure. A certificate that ends soon shortens the delay, never below its first; a limit that the authority
    /// names is kept in any case.
    #[must_use]
    pub fn failed(self, failure: &Failure, held: Option<&Held>, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let mut delay = delay(failure.kind, failures);
        if let Some(held) = held {
            let left = held.not_after.duration_since(now).max(SignedDuration::ZERO);
            delay = delay.min(failure.kind.delay_first().max(left / 4));
        }
        if let Some(retry_after) = failure.retry_after {
            delay = delay.max(retry_after.min(RETRY_AFTER_MAX));
        }
        let last =
            FailedAttempt { at: now, code: failure.kind.code().to_owned(), text: failure.text.clone() };
        Self { failures, last_failure: Some(last), not_before: Some(later(now, delay)), ..self }
    }
}

/// Twice as long after each failure in a row, up to [`DELAY_MAX`].
fn delay(kind: FailureKind, failures: u32) -> SignedDuration {
    let mut delay = kind.delay_first();
    for _ in 1..failures {
        if delay >= DELAY_MAX {
            break;
        }
        delay *= 2;
    }
    delay.min(DELAY_MAX)
}
