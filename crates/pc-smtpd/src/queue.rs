//! # Purpose
//! Mail that the server behind could not take at once: takes custody of it in the spool, offers it
//! again until every recipient has been answered for, and tells the sender or the operator.
//!
//! # Trust
//! As for mail on its way through: what is spooled was screened and judged before.
//!
//! # Standards
//! RFC 5321 4.5.4.1 and 6.1.
//!
//! # Invariants
//! One task a target (a lane) decides what is tried; a message is in one lane and is tried by one
//! attempt at a time. What an attempt changed is on the disk before the next step. A fault or panic
//! over one message costs that message only. A failure is told to the sender where its connector
//! or SPF proves it and a way out is configured; else the message stays, set aside for the operator.
//!
//! # See also
//! `pc_queue`, which decides; `pc_store::spool`, which keeps.

mod aside;
mod attempt;
mod history;
mod lane;
mod operator;
mod report;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pc_net::{Clock, Stop};
use pc_queue::{Entry, Gate, GateState, Policy, Progress};
use pc_smtp::Envelope;
use pc_smtp::custody::Persisted;
use pc_store::spool::{Content, Spool};
use pc_store::{DeliveryRow, Writer};
use pc_telemetry::Event;
use pc_types::{Domain, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::upstream::{Fault, ListedHost, Upstream};
pub use aside::NOTICE_MARK;
pub(crate) use report::Owed;
use report::ReportNumbers;

/// When mail goes through the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolMode {
    /// Every message.
    Always,
    /// Never: the sender keeps what the server behind cannot take.
    Off,
    /// When the server behind cannot be reached, breaks off, or is held.
    WhenDown,
}

/// Settings of the queue.
pub struct QueueSettings {
    /// When mail goes through it.
    pub mode: SpoolMode,
    /// How long mail is kept.
    pub policy: Policy,
    /// Attempts at once, for each target.
    pub parallel_max: usize,
    /// Octets it holds at most.
    pub octets_max: u64,
    /// The target that takes reports to senders outside; without it failures wait for the operator.
    pub reports_via: Option<String>,
    /// In reports.
    pub node_name: Domain,
}

/// All spooled mail.
pub struct Queue {
    spool: Spool,
    settings: QueueSettings,
    clock: Clock,
    lanes: BTreeMap<String, Arc<Lane>>,
    octets: AtomicU64,
    reports: ReportNumbers,
    changed: watch::Sender<u64>,
    writer: Writer,
}

/// The mail of one target.
struct Lane {
    name: String,
    /// `None` for a target that the configuration does not name any more.
    upstream: Option<Arc<Upstream>>,
    state: Mutex<LaneState>,
    wake: Notify,
}

#[derive(Default)]
struct LaneState {
    gate: Gate,
    messages: HashMap<String, Message>,
    /// Due moment, order of arrival, id: what is tried, first things first.
    waiting: BTreeMap<(Timestamp, Timestamp, String), ()>,
    running: HashSet<String>,
}

/// What is kept in memory of a message.
#[derive(Clone, Debug)]
struct Message {
    received_at: Timestamp,
    octets: u64,
    progress: Progress,
    sender: String,
}

/// A spooled message, for listings.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// Its trace id.
    pub id: String,
    /// Where it goes.
    pub target: String,
    /// `waiting`, `trying`, `held`, `aside`.
    pub state: &'static str,
    /// Since when.
    pub received_at: Timestamp,
    /// Empty for the null path.
    pub reverse_path: String,
    /// Of the message.
    pub octets: u64,
    /// Recipients still to be answered for, and all.
    pub recipients_pending: usize,
    /// All of them.
    pub recipients: usize,
    /// Attempts that got an answer.
    pub attempts: u32,
    /// When it is tried next; not for held ones, nor those of a held target.
    pub next_attempt_at: Option<Timestamp>,
    /// What was said last, or why it was set aside.
    pub last_reply: Option<String>,
}

/// A target's lane, for listings.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedTarget {
    /// Its name.
    pub name: String,
    /// `open`, `probe`, `shut`, `held`.
    pub state: &'static str,
    /// Not asked before.
    pub shut_until: Option<Timestamp>,
    /// Why it is held.
    pub hold: Option<String>,
    /// Messages in the spool.
    pub messages: usize,
    /// The target stands in the configuration.
    pub configured: bool,
    /// How its hosts are.
    pub hosts: Vec<ListedHost>,
}

impl Queue {
    /// Reads what the spool holds. Blocks.
    ///
    /// # Errors
    /// The file system's, when the folder cannot be read at all. A single message that cannot be read
    /// is left where it is, and told.
    pub async fn open(
        spool: Spool,
        settings: QueueSettings,
        upstreams: &[Arc<Upstream>],
        clock: Clock,
        writer: Writer,
    ) -> io::Result<Arc<Self>> {
        let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
        for upstream in upstreams {
            let name = upstream.name().to_owned();
            lanes.insert(name.clone(), Lane::new(name, Some(Arc::clone(upstream))));
        }
        let held: BTreeMap<String, String> = match spool.note()? {
            Some(note) => serde_json::from_slice(&note).map_err(io::Error::other)?,
            None => BTreeMap::new(),
        };
        let mut octets = 0;
        for id in spool.ids()? {
            match load(&spool, &id).await {
                Ok((entry, message)) => {
                    octets += message.octets;
                    aside::remind(&writer, &id, &entry.target, &message, clock.now());
                    let lane = lanes
                        .entry(entry.target.clone())
                        .or_insert_with(|| Lane::new(entry.target.clone(), None));
                    lane.lock().insert(id, message);
                }
                Err(error) => Event::SpoolUnreadable { id: &id, error: &error.to_string() }.emit(),
            }
        }
        for (name, reason) in held {
            let lane = lanes.entry(name.clone()).or_insert_with(|| Lane::new(name, None));
            lane.lock().gate = Gate::default().held(&reason);
        }
        let lanes = lanes.into_iter().map(|(name, lane)| (name, Arc::new(lane))).collect();
        let (octets, reports) = (AtomicU64::new(octets), ReportNumbers::new(clock.now()));
        let changed = watch::Sender::new(0);
        Ok(Arc::new(Self { spool, settings, clock, lanes, octets, reports, changed, writer }))
    }

    /// Offers what is due until `stop`, then lets attempts under way end.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut lanes = JoinSet::new();
        for lane in self.lanes.values() {
            if lane.upstream.is_none() {
                Event::SpoolTargetMissing { target: &lane.name, messages: lane.lock().messages.len() }.emit();
                continue;
            }
            lanes.spawn(lane::run(Arc::clone(&self), Arc::clone(lane), stop.clone()));
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Returns once `condition` holds; it is asked again after each change of the queue.
    pub async fn wait_for(&self, condition: impl Fn(&Self) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.changed.subscribe().wait_for(|_| condition(self)).await;
    }

    /// Notes in the trace what happened to a message; what happens to a report stands with the message it is about,
    /// and leaves that one's outcome alone.
    fn note(&self, id: &str, code: &'static str, detail: String, outcome: Option<&'static str>) {
        let about = report::reported_message(id);
        let (code, detail) = match about {
            Some(_) => ("report", format!("{code} {detail}")),
            None => (code, detail),
        };
        self.writer.delivery(DeliveryRow {
            trace_id: about.unwrap_or(id).to_owned(),
            at: self.clock.now(),
            code: code.into(),
            detail,
            outcome: outcome.filter(|_| about.is_none()).map(Into::into),
        });
    }

    fn touch(&self, lane: &Lane) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        lane.wake.notify_one();
    }

    /// Whether mail for `target` is spooled without asking it.
    pub fn takes_at_once(&self, target: &str) -> bool {
        match (self.settings.mode, self.lanes.get(target)) {
            (SpoolMode::Off, _) | (_, None) => false,
            (SpoolMode::Always, Some(_)) => true,
            (SpoolMode::WhenDown, Some(lane)) => {
                matches!(lane.lock().gate.state(self.clock.now()), GateState::Held | GateState::Shut(_))
            }
        }
    }

    /// Whether every message is spooled, so that nobody is asked before it is taken.
    pub(crate) fn takes_always(&self) -> bool {
        self.settings.mode == SpoolMode::Always
    }

    /// Whether mail for `target` is spooled when it failed.
    pub fn takes(&self, target: &str) -> bool {
        self.settings.mode != SpoolMode::Off && self.lanes.contains_key(target)
    }

    /// Takes custody of a message.
    ///
    /// # Errors
    /// The file system's, `StorageFull` above the limit; the message is then not in the spool.
    pub async fn commit(&self, entry: Entry, envelope: &Envelope, content: Content) -> io::Result<Persisted> {
        let progress = Progress::new(&entry);
        self.commit_as(entry, envelope, content, progress).await
    }

    async fn commit_as(
        &self,
        entry: Entry,
        envelope: &Envelope,
        content: Content,
        progress: Progress,
    ) -> io::Result<Persisted> {
        let lane = self.lanes.get(&entry.target).ok_or(io::ErrorKind::NotFound)?;
        if self.octets.load(Ordering::Relaxed) >= self.settings.octets_max {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool holds as much as it may"));
        }
        let line = entry.to_line().map_err(io::Error::other)?;
        let (persisted, octets) = self.spool.commit(&entry.id, line, content).await?;
        let message = Message {
            received_at: entry.received_at,
            octets,
            progress,
            sender: envelope.reverse_path.to_string(),
        };
        self.octets.fetch_add(octets, Ordering::Relaxed);
        Event::SpoolTaken { id: &entry.id, target: &lane.name, octets }.emit();
        self.note(&entry.id, "queued", format!("for {}", lane.name), Some("waiting"));
        lane.lock().insert(entry.id, message);
        self.touch(lane);
        Ok(persisted)
    }

    /// Takes custody of a message that is not to be tried, for the operator.
    ///
    /// # Errors
    /// As for [`Queue::commit`].
    pub async fn commit_aside(
        &self,
        entry: Entry,
        envelope: &Envelope,
        content: Content,
        reason: &str,
    ) -> io::Result<Persisted> {
        let progress = Progress { aside: Some(reason.to_owned()), ..Progress::new(&entry) };
        // Before the message, so that no crash between the two leaves one that would be tried.
        let json = serde_json::to_vec(&progress).map_err(io::Error::other)?;
        self.spool.write_progress(&entry.id, json).await?;
        let (id, target) = (entry.id.clone(), entry.target.clone());
        let persisted = self.commit_as(entry, envelope, content, progress).await?;
        self.set_aside(&id, &target, &envelope.reverse_path.to_string(), reason);
        Ok(persisted)
    }

    /// A target could not be reached: it is left alone for a while.
    pub fn target_failed(&self, target: &str, fault: &Fault) {
        if let Some(lane) = self.lanes.get(target).filter(|_| fault.is_of_server()) {
            let mut state = lane.lock();
            state.gate = std::mem::take(&mut state.gate).failed(target, self.clock.now());
            drop(state);
            self.touch(lane);
        }
    }

    /// All messages, oldest first.
    pub fn list(&self) -> Vec<Listed> {
        let now = self.clock.now();
        let mut all: Vec<Listed> = self.lanes.values().flat_map(|lane| lane.list(now)).collect();
        all.sort_by(|a, b| (a.received_at, &a.id).cmp(&(b.received_at, &b.id)));
        all
    }

    /// All targets.
    pub fn targets(&self) -> Vec<ListedTarget> {
        let now = self.clock.now();
        self.lanes.values().map(|lane| lane.listed(now)).collect()
    }

    /// One message with its entry and the beginning of its octets.
    ///
    /// # Errors
    /// `NotFound`, or the file system's.
    pub async fn show(&self, id: &str) -> io::Result<(Listed, Entry)> {
        let listed = self.list().into_iter().find(|listed| listed.id == id).ok_or(io::ErrorKind::NotFound)?;
        let stored = self.spool.read(id).await?;
        let entry = Entry::from_line(&stored.entry).map_err(io::Error::other)?;
        Ok((listed, entry))
    }

    fn lane_of(&self, id: &str) -> Option<&Arc<Lane>> {
        self.lanes.values().find(|lane| lane.lock().messages.contains_key(id))
    }
}

async fn load(spool: &Spool, id: &str) -> io::Result<(Entry, Message)> {
    let stored = spool.read(id).await?;
    let entry = Entry::from_line(&stored.entry).map_err(io::Error::other)?;
    let envelope = entry.envelope().map_err(io::Error::other)?;
    let progress = match stored.progress {
        None => Progress::new(&entry),
        Some(json) => match serde_json::from_slice::<Progress>(&json) {
            Ok(progress) if progress.recipients.len() == entry.recipients() => progress,
            // Who has the message already is not known, so nobody gets it unasked.
            _ => {
                let aside = Some("the note of how far it had come is damaged".to_owned());
                Progress { aside, ..Progress::new(&entry) }
            }
        },
    };
    let message = Message {
        received_at: entry.received_at,
        octets: stored.octets,
        progress,
        sender: envelope.reverse_path.to_string(),
    };
    Ok((entry, message))
}

impl Lane {
    fn new(name: String, upstream: Option<Arc<Upstream>>) -> Self {
        Self { name, upstream, state: Mutex::default(), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, now: Timestamp) -> Vec<Listed> {
        let state = self.lock();
        let not_before = match state.gate.state(now) {
            GateState::Held => None,
            GateState::Open | GateState::Probe => Some(Timestamp::MIN),
            GateState::Shut(until) => Some(until),
        };
        let list = state.messages.iter().map(|(id, message)| {
            let progress = &message.progress;
            let word = match progress {
                Progress { aside: Some(_), .. } => "aside",
                Progress { held: true, .. } => "held",
                _ if state.running.contains(id) => "trying",
                _ => "waiting",
            };
            Listed {
                id: id.clone(),
                target: self.name.clone(),
                state: word,
                received_at: message.received_at,
                reverse_path: message.sender.clone(),
                octets: message.octets,
                recipients_pending: progress.pending().len(),
                recipients: progress.recipients.len(),
                attempts: progress.attempts,
                next_attempt_at: not_before
                    .filter(|_| word == "waiting")
                    .map(|not_before| progress.next_attempt_at.max(not_before)),
                last_reply: progress.aside.clone().or_else(|| progress.last_reply.clone()),
            }
        });
        list.collect()
    }

    fn listed(&self, now: Timestamp) -> ListedTarget {
        let state = self.lock();
        let (word, shut_until) = match state.gate.state(now) {
            GateState::Held => ("held", None),
            GateState::Open => ("open", None),
            GateState::Probe => ("probe", None),
            GateState::Shut(until) => ("shut", Some(until)),
        };
        ListedTarget {
            name: self.name.clone(),
            state: word,
            shut_until,
            hold: state.gate.hold().map(str::to_owned),
            messages: state.messages.len(),
            configured: self.upstream.is_some(),
            hosts: self.upstream.as_ref().map_or_else(Vec::new, |upstream| upstream.hosts()),
        }
    }
}

impl LaneState {
    fn insert(&mut self, id: String, message: Message) {
        if !message.progress.held && message.progress.aside.is_none() {
            self.waiting.insert(place(&id, &message), ());
        }
        self.messages.insert(id, message);
    }

    /// Takes a message that nobody is trying, for the caller alone, until [`LaneState::put_back`].
    fn take_out(&mut self, id: &str) -> io::Result<Message> {
        if self.running.contains(id) {
            let text = "the message is being tried at this moment; try again in a minute";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let message = self.messages.remove(id).ok_or(io::ErrorKind::NotFound)?;
        self.waiting.remove(&place(id, &message));
        self.running.insert(id.to_owned());
        Ok(message)
    }

    fn put_back(&mut self, id: String, message: Message) {
        self.running.remove(&id);
        self.insert(id, message);
    }
}

fn place(id: &str, message: &Message) -> (Timestamp, Timestamp, String) {
    (message.progress.next_attempt_at, message.received_at, id.to_owned())
}

#[cfg(test)]
mod tests;
