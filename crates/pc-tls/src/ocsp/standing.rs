use pc_types::{SignedDuration, Timestamp};

use super::response::{self, Read};
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
    staple: Vec<u8>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is what is known from here on.
    Kept(Answer),
    /// It is the one that is known: the responder has no newer one yet.
    Same,
    /// The responder does not know the certificate: what was known before goes on to count.
    Unknown,
}

impl Standing {
    /// Nothing known yet: asked at once.
    pub fn nothing(now: Timestamp) -> Self {
        Self { kept: None, failures: 0, next: now }
    }

    /// With what was kept of an earlier answer, if it still counts; where half of its time is over, it is asked for at once. A
    /// revocation is known beyond its time, or an older good answer could be played back.
    pub fn resumed(inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Self {
        match response::read(inquiry, octets, now) {
            Ok(Read { answer, staple }) if is_known(&answer, now) => {
                Self { kept: Some(Kept { answer, staple }), failures: 0, next: half_time(&answer) }
            }
            Ok(_) | Err(_) => Self::nothing(now),
        }
    }

    /// Takes what a responder answered.
    ///
    /// # Errors
    /// It is not believed; asked again as after every failure.
    pub fn take(&mut self, inquiry: &Inquiry, octets: &[u8], now: Timestamp) -> Result<Taken, OcspError> {
        let judged = response::judge(inquiry, octets, now).and_then(|read| match &self.kept {
            // Whoever sits in between may have kept a good answer from before a revocation.
            Some(kept) if is_played_back(&read.answer, &kept.answer) => {
                Err(OcspError::Older(read.answer.this_update))
            }
            _ => Ok(read),
        });
        match judged {
            Ok(Read { answer, .. }) if answer.status == Status::Unknown => {
                self.fail(now);
                Ok(Taken::Unknown)
            }
            Ok(Read { answer, .. }) if self.answer() == Some(&answer) => {
                self.fail(now);
                Ok(Taken::Same)
            }
            Ok(Read { answer, staple }) => {
                let soonest = later(now, OCSP_ASK_AGAIN_MIN);
                self.kept = Some(Kept { answer, staple });
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
        is_good.then_some(kept.staple.as_slice())
    }

    /// The last answer that was believed, in the form that may be kept.
    pub fn kept(&self) -> Option<&[u8]> {
        self.kept.as_ref().map(|kept| kept.staple.as_slice())
    }

    /// The last answer that was believed.
    pub fn answer(&self) -> Option<&Answer> {
        self.kept.as_ref().map(|kept| &kept.answer)
    }

    /// Whether the responder is to be asked at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // Nothing is put off for so long: the clock was ahead, and was set back.
        let furthest = later(later(now, OCSP_ASK_AGAIN_MAX), OCSP_RETRY_MAX);
        self.next <= now || self.next > furthest
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

fn is_known(answer: &Answer, now: Timestamp) -> bool {
    match answer.status {
        Status::Good => now < answer.usable_until,
        Status::Revoked { .. } => true,
        Status::Unknown => false,
    }
}

fn is_played_back(answer: &Answer, known: &Answer) -> bool {
    let undoes = matches!(known.status, Status::Revoked { .. }) && answer.status == Status::Good;
    answer.this_update < known.this_update || (undoes && answer.this_update == known.this_update)
}

/// Between the beginning and the end of an answer, and not later than [`OCSP_ASK_AGAIN_MAX`] after its beginning.
fn half_time(answer: &Answer) -> Timestamp {
    let half = answer.usable_until.duration_since(answer.this_update) / 2;
    later(answer.this_update, half.min(OCSP_ASK_AGAIN_MAX))
}

fn later(moment: Timestamp, delay: SignedDuration) -> Timestamp {
    moment.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_or_undoes_a_revocation_of_the_same_second_is_played_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let answer = |status, second| Answer { status, this_update: at(second), usable_until: at(3_600) };
        let revoked = |second| answer(Status::Revoked { at: at(0), reason: "keyCompromise" }, second);
        let good = |second| answer(Status::Good, second);
        for (answer, known, is_so) in [
            (good(9), good(10), true),
            (good(10), good(10), false),
            (good(10), revoked(10), true),
            (good(11), revoked(10), false),
            (revoked(10), good(10), false),
            (revoked(10), revoked(10), false),
            (revoked(9), revoked(10), true),
        ] {
            assert_eq!(is_played_back(&answer, &known), is_so, "{answer:?} {known:?}");
        }
        assert!(is_known(&revoked(10), at(4_000)) && !is_known(&good(10), at(4_000)));
    }
}
