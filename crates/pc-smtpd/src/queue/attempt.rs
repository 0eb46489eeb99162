//! One attempt at one message, and what follows from it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pc_queue::limits::RETRY_FIRST_SECONDS;
use pc_queue::{Answer, Attempt, Entry, Next, Report, after};
use pc_smtp::{Envelope, Reply};
use pc_store::spool::Stored;
use pc_telemetry::Event;
use pc_types::{SignedDuration, Timestamp};

use super::report::OWN_NETWORK;
use super::{Lane, Message, Owed, Queue, aside, history};
use crate::limits::REPORT_ORIGINAL_OCTETS_MAX;
use crate::upstream::{self, Fault, HandOverError, Opened, Upstream};

/// Tries a message once.
pub(super) async fn run(queue: Arc<Queue>, lane: Arc<Lane>, id: String, message: Message) {
    let (tried, pending) = (Arc::clone(&queue), message.progress.pending());
    let (upstream, tried_id) = (lane.upstream.clone(), id.clone());
    // A task of its own: a panic over this message ends here.
    let attempt = tokio::spawn(async move {
        let Some(upstream) = upstream else {
            return Tried::from(Attempt::Unreachable("no such target".into()));
        };
        let stored = match tried.spool.read(&tried_id).await {
            Ok(stored) => stored,
            Err(error) => return unreadable(&error).into(),
        };
        match read_entry(&stored) {
            Ok(read) => {
                let tried = offer(&upstream, &read.1, stored, &pending).await;
                Tried { read: Some(read), ..tried }
            }
            Err(error) => unreadable(&error).into(),
        }
    });
    let tried = attempt.await;
    let tried = tried.unwrap_or_else(|error| Attempt::Failed(format!("a fault of ours: {error}")).into());
    conclude(&queue, &lane, id, message, tried).await;
}

/// A file that cannot be read is the message's fault, but for want of what every message needs.
fn unreadable(error: &io::Error) -> Attempt {
    let why = format!("the spooled file: {error}");
    if pc_net::has_run_out(error) { Attempt::Unreachable(why) } else { Attempt::Failed(why) }
}

/// An attempt, with the words for the trace.
pub(super) struct Tried {
    pub(super) attempt: Attempt,
    /// What the server said to the whole message.
    pub(super) word: String,
    /// What the message is; where it was offered, so that an answer counts whatever becomes of the disk.
    pub(super) read: Option<(Entry, Envelope)>,
}

impl From<Attempt> for Tried {
    fn from(attempt: Attempt) -> Self {
        Self { attempt, word: String::new(), read: None }
    }
}

async fn offer(upstream: &Arc<Upstream>, envelope: &Envelope, stored: Stored, pending: &[usize]) -> Tried {
    let recipients = pending.iter().filter_map(|index| envelope.recipients.get(*index));
    let mut answers: Vec<Option<Answer>> = Vec::new();
    let mut transaction = None;
    for recipient in recipients.clone() {
        let reply = match transaction.take() {
            // Seats are shared by network; the queue is one client among them.
            None => match upstream.open(OWN_NETWORK, envelope, recipient).await {
                Opened::Begun(begun, reply) => {
                    transaction = Some(begun);
                    reply
                }
                // The sender is refused, and with it every recipient.
                Opened::Refused(reply) => {
                    return Attempt::Answered(vec![answer(&reply); pending.len()]).into();
                }
                Opened::Unavailable(fault) => return broke_off(&fault, pending).into(),
            },
            Some(begun) => match upstream::UpstreamTransaction::recipient(begun, recipient).await {
                Ok((begun, reply)) => {
                    transaction = Some(begun);
                    reply
                }
                Err(fault) => return broke_off(&fault, pending).into(),
            },
        };
        answers.push((!reply.is_positive()).then(|| answer(&reply)));
    }
    let Some(transaction) = transaction else { return Attempt::Answered(Vec::new()).into() };
    if transaction.recipients() == 0 {
        transaction.abandon();
        return Attempt::Answered(answers.into_iter().flatten().collect()).into();
    }
    let dsn_offered = transaction.offers_dsn();
    let mut file = stored.file;
    let (end, word) = match transaction.deliver(upstream::Content::spooled(stored.octets, &mut file)).await {
        Ok((_, word)) => (Answer::Delivered { dsn_offered }, word),
        Err(HandOverError::Refused(reply)) => (answer(&reply), reply.summary()),
        Err(HandOverError::Unavailable(fault)) => return broke_off(&fault, pending).into(),
    };
    let answers = answers.into_iter().map(|own| own.unwrap_or_else(|| end.clone())).collect();
    Tried { attempt: Attempt::Answered(answers), word, read: None }
}

/// A server that cannot be reached stops its lane; one that breaks off over a message delays that
/// message.
fn broke_off(fault: &Fault, pending: &[usize]) -> Attempt {
    if fault.is_of_server() {
        return Attempt::Unreachable(fault.to_string());
    }
    Attempt::Answered(vec![Answer::Deferred(format!("451 4.4.2 {fault}")); pending.len()])
}

fn answer(reply: &Reply) -> Answer {
    if reply.is_permanent() { Answer::Refused(reply.summary()) } else { Answer::Deferred(reply.summary()) }
}

/// Writes down what an attempt led to and carries it out.
pub(super) async fn conclude(
    queue: &Arc<Queue>,
    lane: &Arc<Lane>,
    id: String,
    mut message: Message,
    tried: Tried,
) {
    let Tried { attempt, word, read } = tried;
    let now = queue.clock.now();
    {
        let mut state = lane.lock();
        let gate = std::mem::take(&mut state.gate);
        state.gate = match &attempt {
            Attempt::Answered(_) => gate.succeeded(),
            Attempt::Failed(_) => gate,
            Attempt::Unreachable(_) => gate.failed(&lane.name, now),
        };
    }
    let entry = match read {
        Some(read) => Ok(read),
        None => queue.spool.read(&id).await.and_then(|stored| read_entry(&stored)),
    };
    let envelope = entry.as_ref().ok().map(|(_, envelope)| envelope);
    let (code, detail) = history::of_attempt(&attempt, &word, envelope, &message.progress.pending());
    Event::SpoolAttempted { id: &id, target: &lane.name, code, detail: &detail }.emit();
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) if pc_net::has_run_out(&error) => {
            message.progress.last_reply = Some(detail);
            let later = now.saturating_add(SignedDuration::from_secs(RETRY_FIRST_SECONDS));
            message.progress.next_attempt_at = later.unwrap_or(Timestamp::MAX);
            // Nobody is woken: what is over would be looked at again at once, and again in vain.
            return lane.lock().put_back(id, message);
        }
        Err(error) => {
            queue.note(&id, code, detail, None);
            message.progress.aside = Some(format!("it cannot be read: {error}"));
            keep(queue, lane, id, message).await;
            return queue.touch(lane);
        }
    };
    let outcome = after(&entry.0, &entry.1, message.progress.clone(), attempt, queue.settings.policy, now);
    let changed = outcome.progress != message.progress;
    message.progress = outcome.progress;
    queue.note(&id, code, detail, None);
    if let Some(report) = &outcome.report
        && send_report(queue, &entry, report, &id).await
    {
        message.progress.told(report);
        queue.note(&id, "reported", "its sender is told".to_owned(), None);
    }
    if let Some(word) = history::outcome(&outcome.next, &message.progress) {
        queue.note(&id, "ended", format!("after {} attempts", message.progress.attempts), Some(word));
    }
    match (outcome.next, message.progress.untold().map(str::to_owned)) {
        // A notice of our own is answered to nobody: what became of it is in the trace.
        (Next::Finished, Some(reply)) if !aside::is_notice(&id) => {
            message.progress.aside = Some(format!("not delivered, and its sender was not told: {reply}"));
            keep(queue, lane, id, message).await;
        }
        (Next::Finished, _) => {
            if let Err(error) = queue.spool.remove(&id).await {
                // It may come up once more after a restart.
                Event::SpoolUnreadable { id: &id, error: &error.to_string() }.emit();
            }
            queue.octets.fetch_sub(message.octets, Ordering::Relaxed);
            let mut state = lane.lock();
            state.running.remove(&id);
            state.messages.remove(&id);
        }
        (Next::Aside(_), _) => keep(queue, lane, id, message).await,
        (Next::Wait, _) if changed => keep(queue, lane, id, message).await,
        (Next::Wait, _) => lane.lock().put_back(id, message),
    }
    queue.touch(lane);
}

fn read_entry(stored: &Stored) -> io::Result<(Entry, Envelope)> {
    let entry = Entry::from_line(&stored.entry).map_err(io::Error::other)?;
    let envelope = entry.envelope().map_err(io::Error::other)?;
    Ok((entry, envelope))
}

/// Writes a message's progress down and gives it back to its lane. A note that cannot be written is
/// kept in memory: at worst a restart offers the message to a recipient once more.
async fn keep(queue: &Arc<Queue>, lane: &Arc<Lane>, id: String, message: Message) {
    if let Some(reason) = &message.progress.aside {
        queue.set_aside(&id, &lane.name, &message.sender, reason);
    }
    let json = serde_json::to_vec(&message.progress).unwrap_or_default();
    if let Err(error) = queue.spool.write_progress(&id, json).await {
        Event::SpoolUnreadable { id: &id, error: &error.to_string() }.emit();
    }
    lane.lock().put_back(id, message);
}

/// Whether the sender is told, or need not be.
async fn send_report(queue: &Arc<Queue>, entry: &(Entry, Envelope), report: &Report, id: &str) -> bool {
    let (entry, envelope) = entry;
    let head = match queue.spool.read(id).await {
        Ok(mut stored) => {
            let mut head = Vec::new();
            let mut beginning = stored.file.by_ref().take(REPORT_ORIGINAL_OCTETS_MAX);
            beginning.read_to_end(&mut head).map(|_| (head, stored.octets))
        }
        Err(error) => Err(error),
    };
    let Ok((head, octets)) = head else { return false };
    let owed = Owed { entry, envelope, report, original: &head, original_octets: octets };
    queue.send_report(owed).await
}
