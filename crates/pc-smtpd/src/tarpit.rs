//! Delays the replies to a client that is over its limit of errors or unknown recipients, so that going on costs
//! it time. Each delay costs us a connection, so they are few; beyond that the client is sent away.

use std::time::Duration;

use pc_net::Stop;
use tokio::sync::Semaphore;

/// The places for clients that wait.
#[derive(Debug)]
pub struct Tarpit {
    pause: Duration,
    places: Semaphore,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delayed {
    /// The client waited for it.
    Done,
    /// There is no place to wait in.
    Full,
}

impl Tarpit {
    /// Delays each reply by `pause`, for `places` clients at once. A pause of zero delays none.
    pub fn new(pause: Duration, places: usize) -> Self {
        Self { pause, places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)) }
    }

    /// Whether replies are delayed at all.
    pub(crate) fn is_open(&self) -> bool {
        !self.pause.is_zero()
    }

    /// Waits, but not beyond `stop`.
    pub(crate) async fn delay(&self, stop: &mut Stop) -> Delayed {
        let Ok(_place) = self.places.try_acquire() else { return Delayed::Full };
        tokio::select! {
            () = stop.stopped() => {}
            () = tokio::time::sleep(self.pause) => {}
        }
        Delayed::Done
    }
}

#[cfg(test)]
mod tests {
    use pc_net::Stopper;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reply_waits_and_the_place_is_given_back() {
        let (_stopper, mut stop) = Stopper::new();
        let tarpit = Tarpit::new(Duration::from_secs(20), 1);
        let started = Instant::now();
        for _ in 0..3 {
            assert_eq!(tarpit.delay(&mut stop).await, Delayed::Done);
        }
        assert_eq!(started.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_does_not_wait() {
        let (_stopper, mut stop) = Stopper::new();
        let (mut second, mut third) = (stop.clone(), stop.clone());
        let tarpit = Tarpit::new(Duration::from_secs(20), 2);
        let all = tokio::join!(tarpit.delay(&mut stop), tarpit.delay(&mut second), tarpit.delay(&mut third));
        assert_eq!(all, (Delayed::Done, Delayed::Done, Delayed::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopping_node_does_not_wait_for_them() {
        let (stopper, mut stop) = Stopper::new();
        let tarpit = Tarpit::new(Duration::from_secs(20), 1);
        let started = Instant::now();
        stopper.stop();
        assert_eq!(tarpit.delay(&mut stop).await, Delayed::Done);
        assert_eq!(started.elapsed().as_secs(), 0);
    }
}
