//! What the operator does with spooled mail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pc_queue::{Gate, Progress, released};

use super::{Message, Queue};

impl Queue {
    /// Holds one message until it is released.
    ///
    /// # Errors
    /// `NotFound`, or the file system's.
    pub async fn hold(self: &Arc<Self>, id: &str) -> io::Result<()> {
        self.change(id, |progress| Progress { held: true, ..progress }).await?;
        self.note(id, "held", "by hand".to_owned(), None);
        Ok(())
    }

    /// Gives a held message, or one that was set aside, back to be tried at once.
    ///
    /// # Errors
    /// `NotFound`, or the file system's.
    pub async fn release(self: &Arc<Self>, id: &str) -> io::Result<()> {
        let now = self.clock.now();
        self.change(id, |progress| released(progress, now)).await?;
        self.note(id, "released", "by hand".to_owned(), Some("waiting"));
        Ok(())
    }

    /// Releases a message and asks its target at once, unless that is held.
    ///
    /// # Errors
    /// `NotFound`, or the file system's.
    pub async fn retry(self: &Arc<Self>, id: &str) -> io::Result<()> {
        let lane = Arc::clone(self.lane_of(id).ok_or(io::ErrorKind::NotFound)?);
        self.release(id).await?;
        self.change_gate(&lane.name, Gate::reopened)
    }

    /// Tries everything that waits for a target at once, unless the target is held.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn retry_target(&self, target: &str) -> io::Result<()> {
        let lane = self.lanes.get(target).ok_or(io::ErrorKind::NotFound)?;
        let now = self.clock.now();
        let mut state = lane.lock();
        let waiting: Vec<String> =
            std::mem::take(&mut state.waiting).into_keys().map(|(.., id)| id).collect();
        for id in waiting {
            let Some(mut message) = state.messages.remove(&id) else { continue };
            message.progress.next_attempt_at = now;
            state.insert(id, message);
        }
        drop(state);
        self.change_gate(target, Gate::reopened)
    }

    /// Removes a message for good.
    ///
    /// # Errors
    /// `NotFound`, `ResourceBusy` while it is tried, or the file system's.
    pub async fn remove(self: &Arc<Self>, id: &str) -> io::Result<()> {
        let lane = Arc::clone(self.lane_of(id).ok_or(io::ErrorKind::NotFound)?);
        let message = lane.lock().take_out(id)?;
        let (queue, id) = (Arc::clone(self), id.to_owned());
        to_its_end(async move {
            if let Err(error) = queue.spool.remove(&id).await {
                lane.lock().put_back(id, message);
                return Err(error);
            }
            queue.octets.fetch_sub(message.octets, Ordering::Relaxed);
            lane.lock().running.remove(&id);
            queue.note(&id, "removed", "by hand".to_owned(), Some("removed"));
            queue.touch(&lane);
            Ok(())
        })
        .await
    }

    /// Holds all mail of a target, also over a restart.
    ///
    /// # Errors
    /// `NotFound`, or the file system's; then it is held until the restart.
    pub async fn hold_target(&self, target: &str, reason: &str) -> io::Result<()> {
        self.change_gate(target, |gate| gate.held(reason))?;
        self.write_holds().await
    }

    /// Ends a target's hold, and asks it at once.
    ///
    /// # Errors
    /// `NotFound`, or the file system's; then it is released until the restart.
    pub async fn release_target(&self, target: &str) -> io::Result<()> {
        self.change_gate(target, Gate::released)?;
        self.write_holds().await
    }

    async fn write_holds(&self) -> io::Result<()> {
        let held: BTreeMap<&str, String> = self
            .lanes
            .values()
            .filter_map(|lane| Some((lane.name.as_str(), lane.lock().gate.hold()?.to_owned())))
            .collect();
        self.spool.write_note(serde_json::to_vec(&held).map_err(io::Error::other)?).await
    }

    pub(super) fn change_gate(&self, target: &str, change: impl FnOnce(Gate) -> Gate) -> io::Result<()> {
        let lane = self.lanes.get(target).ok_or(io::ErrorKind::NotFound)?;
        let mut state = lane.lock();
        state.gate = change(std::mem::take(&mut state.gate));
        drop(state);
        self.touch(lane);
        Ok(())
    }

    async fn change(self: &Arc<Self>, id: &str, change: impl FnOnce(Progress) -> Progress) -> io::Result<()> {
        let lane = Arc::clone(self.lane_of(id).ok_or(io::ErrorKind::NotFound)?);
        let before = lane.lock().take_out(id)?;
        let after = Message { progress: change(before.progress.clone()), ..before.clone() };
        let (queue, id) = (Arc::clone(self), id.to_owned());
        to_its_end(async move {
            let written = match serde_json::to_vec(&after.progress) {
                Ok(json) => queue.spool.write_progress(&id, json).await,
                Err(error) => Err(io::Error::other(error)),
            };
            lane.lock().put_back(id, if written.is_ok() { after } else { before });
            queue.touch(&lane);
            written
        })
        .await
    }
}

/// Does something to a message that was taken out of its lane. Whoever asked for it may go away meanwhile; left half
/// done, nobody would try the message again.
async fn to_its_end(work: impl Future<Output = io::Result<()>> + Send + 'static) -> io::Result<()> {
    tokio::spawn(work).await.map_err(io::Error::other)?
}
