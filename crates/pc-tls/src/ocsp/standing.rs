use pc_types::{SignedDuration, Timestamp};

use super::{Answer, Inquiry, OcspError, Status};
use crate::limits::{OCSP_ASK_AGAIN_MAX, OCSP_ASK_AGAIN_MIN, OCSP_RETRY_FIRST, OCSP_RETRY_MAX};

/// What is known of one certificate, and when its responder is asked again.
#[derive(Clone, Debug)]
pub struct Standing {
    kept: Option<Kept>,
    failures: u32,
    next: Timestamp,
}

#[derive(Clone, Debug)]
struct Kept {
    answer: Answer,
    octets: Vec<u8>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is what is known from here on.
    Kept(Answer),
    /// The responder does not know the certificate: what was known before goes on to count.
    Unknown,
}

impl Standing {
    /// Nothing known yet: asked at once.
    pub fn nothing(now: Timestamp) -> Self {
        Self { kept: None, failures: 0, next: now }
    }

    /// With what was kept of an earlier answer, if it still counts; where half of its time is over, it is asked for at once.
    pub fn resumed(inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Self {
        match inquiry.judge(octets, now) {
            Ok(answer) if answer.status != Status::Unknown => {
                let kept = Some(Kept { answer, octets: octets.to_vec() });
                Self { kept, failures: 0, next: half_time(&answer) }
            }
            Ok(_) | Err(_) => Self::nothing(now),
        }
    }

    /// Takes what a responder answered.
    ///
    /// # Errors
    /// It is not believed; asked again as after every failure.
    pub fn take(&mut self, inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Result<Taken, OcspError> {
        let judged = inquiry.judge(octets, now).and_then(|answer| match &self.kept {
            // Whoever sits in between may have kept a good answer from before a revocation.
            Some(kept) if answer.this_update < kept.answer.this_update => {
                Err(OcspError::Older(answer.this_update))
            }
            _ => Ok(answer),
        });
        match judged {
            Ok(answer) if answer.status == Status::Unknown => {
                self.fail(now);
                Ok(Taken::Unknown)
            }
            Ok(answer) => {
                let soonest = later(now, OCSP_ASK_AGAIN_MIN);
                self.kept = Some(Kept { answer, octets: octets.to_vec() });
                self.failures = 0;
                self.next = half_time(&answer).max(soonest);
                Ok(Taken::Kept(answer))
            }
            Err(error) => {
                self.fail(now);
                Err(error)
            }
        }
    }

    /// Notes that there was no answer: asked again after a delay that doubles.
    pub fn fail(&mut self, now: Timestamp) {
        let mut delay = OCSP_RETRY_FIRST;
        for _ in 0..self.failures {
            delay = (delay * 2).min(OCSP_RETRY_MAX);
        }
        self.failures = self.failures.saturating_add(1);
        self.next = later(now, delay);
    }

    /// What may be stapled at `now`.
    pub fn staple(&self, now: Timestamp) -> Option<&[u8]> {
        let kept = self.kept.as_ref()?;
        let is_good = kept.answer.status == Status::Good && now < kept.answer.usable_until;
        is_good.then_some(kept.octets.as_slice())
    }

    /// The last answer that was believed.
    pub fn answer(&self) -> Option<&Answer> {
        self.kept.as_ref().map(|kept| &kept.answer)
    }

    /// Whether the responder is to be asked at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next <= now
    }

    /// When it is asked again.
    pub fn asks_at(&self) -> Timestamp {
        self.next
    }

    /// When something changes of itself after `now`: a staple that ends.
    pub fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.staple(now).and_then(|_| self.answer()).map(|answer| answer.usable_until)
    }
}

/// Between the beginning and the end of an answer, and not later than [`OCSP_ASK_AGAIN_MAX`] after its beginning.
fn half_time(answer: &Answer) -> Timestamp {
    let half = answer.usable_until.duration_since(answer.this_update) / 2;
    later(answer.this_update, half.min(OCSP_ASK_AGAIN_MAX))
}

fn later(moment: Timestamp, delay: SignedDuration) -> Timestamp {
    moment.saturating_add(delay).unwrap_or(Timestamp::MAX)
}
