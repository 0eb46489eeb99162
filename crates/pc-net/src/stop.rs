use tokio::sync::watch;

/// Tells every holder of a [`Stop`] that the process ends.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// A pair of both ends.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(receiver))
    }

    /// Says so.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once the process ends, also when the [`Stopper`] was dropped.
    pub async fn stopped(&mut self) {
        // An error means that the sender is gone, which ends us as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Whether the process ends.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}
