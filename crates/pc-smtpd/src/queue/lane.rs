//! The loop of one target.

use std::sync::Arc;

use pc_net::Stop;
use pc_queue::{Attempt, Gate, GateState, due_at_latest};
use pc_types::Timestamp;
use tokio::task::JoinSet;

use super::attempt;
use super::{Lane, LaneState, Queue};
use crate::limits::SPOOL_EXPIRED_AT_ONCE_MAX;

/// Offers what is due until `stop`.
pub(super) async fn run(queue: Arc<Queue>, lane: Arc<Lane>, mut stop: Stop) {
    let mut attempts = JoinSet::new();
    let Some(mut returned) = lane.upstream.as_ref().map(|upstream| upstream.returned()) else { return };
    while !stop.is_stopped() {
        let next = start_due(&queue, &lane, &mut attempts);
        expire_unasked(&queue, &lane).await;
        tokio::select! {
            () = stop.stopped() => break,
            () = lane.wake.notified() => {}
            // A host that is back is known to be so: nobody waits for the end of the pause.
            Ok(()) = returned.changed() => {
                let _ = queue.change_gate(&lane.name, Gate::reopened);
            }
            () = queue.clock.wait_until(next.unwrap_or(Timestamp::MAX)), if next.is_some() => {}
            Some(_) = attempts.join_next(), if !attempts.is_empty() => {}
        }
    }
    // An attempt that is cut leaves its message in the spool; one that ends leaves no doubt.
    let ended = async { while attempts.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(crate::limits::DRAIN_TIMEOUT, ended).await;
}

/// Starts as much as may be under way; returns when to look again, if time alone decides.
fn start_due(queue: &Arc<Queue>, lane: &Arc<Lane>, attempts: &mut JoinSet<()>) -> Option<Timestamp> {
    let now = queue.clock.now();
    let mut state = lane.lock();
    let seats = match state.gate.state(now) {
        GateState::Held => return None,
        GateState::Open => queue.settings.parallel_max,
        GateState::Probe => 1,
        GateState::Shut(until) => return Some(until),
    };
    bring_near(&mut state, now);
    while attempts.len() < seats {
        let ((due, ..), ()) = state.waiting.first_key_value()?;
        if *due > now {
            return Some(*due);
        }
        let ((_, _, id), ()) = state.waiting.pop_first()?;
        let Some(message) = state.messages.get(&id).cloned() else { continue };
        state.running.insert(id.clone());
        attempts.spawn(attempt::run(Arc::clone(queue), Arc::clone(lane), id, message));
    }
    None
}

/// Moves up what a clock that ran ahead has put off.
fn bring_near(state: &mut LaneState, now: Timestamp) {
    while let Some(((due, _, id), ())) = state.waiting.last_key_value() {
        let latest = due_at_latest(*due, now);
        if latest == *due {
            return;
        }
        let id = id.clone();
        state.waiting.pop_last();
        if let Some(mut message) = state.messages.remove(&id) {
            message.progress.next_attempt_at = latest;
            state.insert(id, message);
        }
    }
}

/// While a server is not asked, time still runs out for its mail.
async fn expire_unasked(queue: &Arc<Queue>, lane: &Arc<Lane>) {
    let now = queue.clock.now();
    let hours = i64::from(queue.settings.policy.expire_hours);
    let expired: Vec<(String, super::Message)> = {
        let mut state = lane.lock();
        if !matches!(state.gate.state(now), GateState::Shut(_)) {
            return;
        }
        let is_old = |received_at: Timestamp| received_at.as_second() + hours * 3_600 <= now.as_second();
        let keys: Vec<_> = state
            .waiting
            .keys()
            .filter(|(_, received_at, _)| is_old(*received_at))
            .take(SPOOL_EXPIRED_AT_ONCE_MAX)
            .cloned()
            .collect();
        let mut expired = Vec::new();
        for key in keys {
            state.waiting.remove(&key);
            let Some(message) = state.messages.get(&key.2).cloned() else { continue };
            state.running.insert(key.2.clone());
            expired.push((key.2, message));
        }
        expired
    };
    for (id, message) in expired {
        let why = message.progress.last_reply.clone().unwrap_or_else(|| "the server is not available".into());
        attempt::conclude(queue, lane, id, message, Attempt::Unreachable(why).into()).await;
    }
}
