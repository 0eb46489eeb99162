use std::net::IpAddr;

use pc_types::{Domain, ServerId, SignedDuration, Timestamp};

use crate::connector::ConnectorMatch;
use crate::floor::Judged;
use crate::position::{Pause, is_decayed, resumed, served_seconds};
use crate::record::{Counts, Cycle, Run, RunOf, ServerRecord, Shown, Standing};
use crate::rollout::ConnectorKind;
use crate::{Mode, Policy};

/// What one message showed of the server that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The server.
    pub id: ServerId,
    /// Where it connected from.
    pub address: IpAddr,
    /// How it greeted.
    pub greeting_name: Option<Domain>,
    /// The organisation whose connector it came by.
    pub tenant: Option<String>,
    /// What kind of connector that was.
    pub kind: ConnectorKind,
    /// Which one that was, and why.
    pub connector: ConnectorMatch,
    /// What the evidence means.
    pub judged: Judged,
    /// What it showed.
    pub shown: Shown,
}

/// What a sighting changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its messages contradict each other: nothing is opened until they agree.
    Conflicting,
    /// The first connection ever, or the first after the row was forgotten.
    Discovered,
    /// It owes something: the ladder begins.
    Opened,
    /// What is asked came up above what it shows, by a floor, a later update or revised facts: the ladder begins.
    Raised,
    /// It owes again: the ladder goes on where it was left.
    Relapsed,
    /// One good sighting: the ladder ends.
    Released,
}

impl Effect {
    /// Stable word.
    pub fn code(self) -> &'static str {
        match self {
            Self::Conflicting => "conflicting",
            Self::Discovered => "discovered",
            Self::Opened => "opened",
            Self::Raised => "raised",
            Self::Relapsed => "relapsed",
            Self::Released => "released",
        }
    }
}

/// Notes a connection of a server that got as far as MAIL, whatever becomes of it.
pub fn seen(
    policy: &Policy,
    record: Option<ServerRecord>,
    id: &ServerId,
    address: IpAddr,
    now: Timestamp,
) -> ServerRecord {
    let mut record = match record {
        Some(record) if is_decayed(policy, &record, now) => forgotten(record),
        Some(record) => record,
        None => new_record(id, address, now),
    };
    suspend_if_off(policy, &mut record);
    record.last_seen = record.last_seen.max(now);
    record.counts.transactions += 1;
    record
}

/// Takes in what a message showed.
pub fn observe(
    policy: &Policy,
    record: Option<ServerRecord>,
    sighting: Sighting,
    pauses: &[Pause],
) -> (ServerRecord, Vec<Effect>) {
    let now = sighting.shown.at;
    let mut effects = Vec::new();
    let mut record = match record {
        Some(record) if is_decayed(policy, &record, now) => forgotten(record),
        Some(record) => record,
        None => {
            let mut record = new_record(&sighting.id, sighting.address, now);
            record.counts.transactions = 1;
            record
        }
    };
    suspend_if_off(policy, &mut record);
    if policy.mode != Mode::Off {
        record.cycle = record.cycle.map(|cycle| resumed(policy.counted(cycle, &record, now), pauses, now));
    }
    if record.shown.is_none() {
        effects.push(Effect::Discovered);
    }
    record.last_seen = record.last_seen.max(now);
    record.tenant = sighting.tenant;
    record.kind = sighting.kind;
    record.connector = Some(sighting.connector);
    if sighting.greeting_name.is_some() {
        record.greeting_name = sighting.greeting_name;
    }
    let build = record.shown.as_ref().and_then(|shown| shown.build.as_ref());
    let change = if build.is_some() && build == sighting.shown.build.as_ref() {
        Change::Nothing
    } else {
        Change::Server
    };
    effects.extend(settle(policy, &mut record, sighting.judged, change, pauses, now));
    record.shown = Some(sighting.shown);
    (record, effects)
}

/// What may have changed since the server was judged before, beside the floor and the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// What is known about its build.
    Facts,
    /// It shows the build it showed before.
    Nothing,
    /// No message came: what it showed last is judged again.
    Rejudged,
    /// It shows another build.
    Server,
}

/// Takes in a judgement, of a message or of what is known already.
pub(crate) fn settle(
    policy: &Policy,
    record: &mut ServerRecord,
    judged: Judged,
    change: Change,
    pauses: &[Pause],
    now: Timestamp,
) -> Option<Effect> {
    match judged.standing {
        Standing::Met => {
            let mut effect = record.cycle.is_some().then_some(Effect::Released);
            if effect.is_some() {
                record.served_seconds = served_seconds(record, pauses, now);
                record.cycle = None;
                record.released_at = Some(now);
            } else if counts(change) && contradicts(record) {
                effect = record.conflict_since.is_none().then_some(Effect::Conflicting);
                record.conflict_since.get_or_insert(now);
            }
            if counts(change) {
                continue_run(record, RunOf::Met, Origin::Server, now);
            } else {
                // What the messages before showed means something else from here on: they contradict nothing.
                record.run = record.run.filter(|run| run.of == RunOf::Met);
            }
            if is_proven(policy, record, now) {
                record.conflict_since = None;
            }
            record.met_floor = judged.mark;
            record.standing = if record.conflict_since.is_some() { conflicting() } else { Standing::Met };
            effect
        }
        Standing::Owing { .. } => {
            let mut effect = None;
            let is_raise = is_raise(record, &judged, change);
            if counts(change) {
                let origin = if is_raise { Origin::Raise } else { Origin::Server };
                continue_run(record, RunOf::Owing, origin, now);
            }
            // A build that the server showed before and shows again was proven then.
            let opens = (is_raise && change != Change::Server) || is_proven(policy, record, now);
            let is_raise = is_raise || record.run.is_some_and(|run| run.of == RunOf::Owing && run.raised);
            if opens {
                record.conflict_since = None;
            }
            if opens && record.cycle.is_none() && policy.mode != Mode::Off {
                let carried_seconds = if is_raise { 0 } else { record.served_seconds };
                record.cycle = Some(Cycle { opened_at: now, carried_seconds, suspended_at: None });
                effect = Some(match (is_raise, carried_seconds) {
                    (true, _) => Effect::Raised,
                    (false, 0) => Effect::Opened,
                    (false, _) => Effect::Relapsed,
                });
            }
            record.standing = if record.conflict_since.is_some() { conflicting() } else { judged.standing };
            effect
        }
        // Neither opens nor releases: a header that was stripped or garbled on purpose must not pay,
        // and one that was garbled by accident must not harm. What was proven before stays.
        Standing::NotExchange | Standing::Unknown { .. } => {
            if record.cycle.is_none() {
                record.standing = judged.standing;
            }
            None
        }
    }
}

/// Whether the judgement is that of a message, and not of what is known already.
fn counts(change: Change) -> bool {
    matches!(change, Change::Nothing | Change::Server)
}

/// Why a run begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Raise,
    Server,
}

fn continue_run(record: &mut ServerRecord, of: RunOf, origin: Origin, now: Timestamp) {
    record.run = Some(match record.run {
        Some(run) if run.of == of => Run { sightings: run.sightings.saturating_add(1), ..run },
        _ => Run { of, since: now, sightings: 1, raised: origin == Origin::Raise },
    });
}

/// Whether the run is long enough for a row to be opened by it, or a contradiction to be settled.
fn is_proven(policy: &Policy, record: &ServerRecord, now: Timestamp) -> bool {
    let hours = SignedDuration::from_hours(i64::from(policy.open_hours));
    record.run.is_some_and(|run| {
        run.sightings >= policy.open_sightings.max(1) && now.duration_since(run.since) >= hours
    })
}

/// A good message after bad ones is an update. After bad ones that came after good ones it is a sign of two servers behind
/// one name, or of one that stamps what is not so.
fn contradicts(record: &ServerRecord) -> bool {
    let has_met = record.met_floor.is_some() || record.released_at.is_some();
    has_met && record.run.is_some_and(|run| run.of == RunOf::Owing)
}

fn conflicting() -> Standing {
    Standing::Unknown {
        code: "conflicting_builds".to_owned(),
        text: "Its messages contradict each other: some show an updated server and some one that owes. There may be several \
               servers behind one name, or one that stamps old builds; nothing is held until they agree."
            .to_owned(),
    }
}

/// Whether what is asked came up and not the server down: facts were revised; or it shows what was good enough before a
/// later update was owed or another floor held; or it shows another build, which met the version that it met last.
fn is_raise(record: &ServerRecord, judged: &Judged, change: Change) -> bool {
    if record.standing != Standing::Met {
        return false;
    }
    if change != Change::Server {
        return true;
    }
    let Some((met, mark)) = record.met_floor.as_ref().zip(judged.mark.as_ref()) else { return false };
    met.floor == mark.floor
        && met.version < mark.version
        && judged.meets_earlier.is_some_and(|earlier| earlier >= met.version)
}

/// In mode off nothing counts: a cycle stands still from the last connection before. No record tells
/// when the mode was set, so the clock of a server that never connects meanwhile runs on until it
/// decays.
fn suspend_if_off(policy: &Policy, record: &mut ServerRecord) {
    if let (Mode::Off, Some(cycle)) = (policy.mode, record.cycle.as_mut()) {
        cycle.suspended_at.get_or_insert(record.last_seen);
    }
}

fn new_record(id: &ServerId, address: IpAddr, now: Timestamp) -> ServerRecord {
    ServerRecord {
        id: id.clone(),
        address,
        greeting_name: None,
        tenant: None,
        kind: ConnectorKind::default(),
        connector: None,
        first_seen: now,
        last_seen: now,
        standing: nothing_shown(),
        shown: None,
        run: None,
        conflict_since: None,
        attestation_contradicted_since: None,
        cycle: None,
        served_seconds: 0,
        met_floor: None,
        released_at: None,
        last_probe_at: None,
        exemption: None,
        counts: Counts::default(),
    }
}

fn nothing_shown() -> Standing {
    Standing::Unknown {
        code: "no_message".to_owned(),
        text: "No message with a readable header has come from this server yet.".to_owned(),
    }
}

/// A silent server starts anew; what an operator decided about it stays.
fn forgotten(record: ServerRecord) -> ServerRecord {
    ServerRecord {
        standing: nothing_shown(),
        run: None,
        conflict_since: None,
        attestation_contradicted_since: None,
        cycle: None,
        served_seconds: 0,
        met_floor: None,
        released_at: None,
        last_probe_at: None,
        shown: None,
        ..record
    }
}
