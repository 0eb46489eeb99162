use std::net::IpAddr;

use pc_types::{Domain, ServerId, Timestamp};

use crate::floor::Judged;
use crate::position::{Pause, is_decayed, resumed, served_seconds};
use crate::record::{Counts, Cycle, ServerRecord, Shown, Standing};
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
    /// What the evidence means.
    pub judged: Judged,
    /// What it showed.
    pub shown: Shown,
}

/// What a sighting changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The first connection ever, or the first after the row was forgotten.
    Discovered,
    /// It owes something: the ladder begins.
    Opened,
    /// What is asked came up above what it shows, by a floor or by revised facts: the ladder begins.
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
        record.cycle = record.cycle.map(|cycle| resumed(cycle, pauses, now));
    }
    if record.shown.is_none() {
        effects.push(Effect::Discovered);
    }
    record.last_seen = record.last_seen.max(now);
    record.tenant = sighting.tenant;
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
            let effect = record.cycle.is_some().then_some(Effect::Released);
            if effect.is_some() {
                record.served_seconds = served_seconds(record, pauses, now);
                record.cycle = None;
                record.released_at = Some(now);
            }
            record.met_floor = judged.mark;
            record.standing = Standing::Met;
            effect
        }
        Standing::Owing { .. } => {
            let mut effect = None;
            if record.cycle.is_none() && policy.mode != Mode::Off {
                let is_raise = is_raise(record, &judged, change);
                let carried_seconds = if is_raise { 0 } else { record.served_seconds };
                record.cycle = Some(Cycle { opened_at: now, carried_seconds, suspended_at: None });
                effect = Some(match (is_raise, carried_seconds) {
                    (true, _) => Effect::Raised,
                    (false, 0) => Effect::Opened,
                    (false, _) => Effect::Relapsed,
                });
            }
            record.standing = judged.standing;
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

/// Whether what is asked came up and not the server down: facts were revised; or what it shows met the
/// version that it met last; or, under another floor, it shows what it showed then.
fn is_raise(record: &ServerRecord, judged: &Judged, change: Change) -> bool {
    if record.standing != Standing::Met {
        return false;
    }
    if change == Change::Facts {
        return true;
    }
    let Some((met, mark)) = record.met_floor.as_ref().zip(judged.mark.as_ref()) else { return false };
    if met.floor != mark.floor {
        return change == Change::Nothing;
    }
    met.version < mark.version && judged.meets_earlier.is_some_and(|earlier| earlier >= met.version)
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
        first_seen: now,
        last_seen: now,
        standing: nothing_shown(),
        shown: None,
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
        cycle: None,
        served_seconds: 0,
        met_floor: None,
        released_at: None,
        last_probe_at: None,
        shown: None,
        ..record
    }
}
