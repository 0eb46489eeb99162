use pc_enforce::{Exemption, Mode, Pause, Policy, Position, ServerRecord, StageDate, Standing, position};
use pc_exchange::{Entitlement, Judgement};
use pc_types::{Build, Date, Timestamp, time};

use crate::limits::{AHEAD_DAYS, RELEASE_TOLD_DAYS};
use crate::notice::{Acts, FloorFacts, Lack, Notice, ServerFacts, StageFacts};

/// A notice that somebody should have been told by now, with what makes it the same as another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyed {
    /// Names server, cycle, stage and what is told: two looks at one state give one key.
    pub key: String,
    /// What is told.
    pub notice: Notice,
}

/// What is to be told of a server's ladder at `now`. Only what still matters: a stage that is over and a reminder of
/// what has begun are left out, so that a node which was away for long tells where things stand and no more.
pub fn ladder_notices(
    policy: &Policy,
    record: &ServerRecord,
    pauses: &[Pause],
    now: Timestamp,
) -> Vec<Keyed> {
    let position = position(policy, record, pauses, now);
    let facts = || Box::new(server_facts(policy, record, &position, pauses, now));
    let id = &record.id;
    match (&record.standing, record.cycle) {
        // Good news is no news for long; a mode in which nothing counts has none.
        (Standing::Met, None) if policy.mode != Mode::Off => {
            let told_until = |at| time::add_days(at, RELEASE_TOLD_DAYS);
            let recent = record.released_at.filter(|at| *at <= now && now < told_until(*at));
            let released = recent.map(|at| Keyed {
                key: format!("{id} released {}", at.as_second()),
                notice: Notice::ServerReleased { server: facts(), at },
            });
            released.into_iter().collect()
        }
        // One that stands still has no dates until the server is heard again.
        (Standing::Owing { .. }, Some(cycle)) if cycle.suspended_at.is_none() => {
            let Some(current) = current_date(&position) else { return Vec::new() };
            let run =
                format!("{id} {} {}", cycle.opened_at.as_second(), mode_word(policy.mode_for(record, now)));
            let exemption = record.exemption.as_ref().filter(|exemption| now < exemption.until);
            let mut due = Vec::new();
            // A roll-out that has reached it begins its ladder anew.
            let first = position.stage_dates.first().map_or(cycle.opened_at, |date| date.at);
            let opened_at = cycle.opened_at.max(first);
            let begun = current.at.max(opened_at);
            if let Some((next, days)) = ahead(&position, exemption, begun, now) {
                let (number, date) = (next.stage.number, time::date_of(next.at));
                due.push(Keyed {
                    // With the day: a pause that moves it is told, and the same day is not told twice.
                    key: format!("{run} ahead {number} {days} {date}"),
                    notice: Notice::StageAhead { server: facts(), stage: stage_facts(next) },
                });
            }
            // Last: of what is told at once, it says how things stand.
            if exemption.is_none() {
                let number = current.stage.number;
                due.push(if current.at <= opened_at {
                    Keyed { key: format!("{run} owing"), notice: Notice::ServerOwing { server: facts() } }
                } else {
                    let key = format!("{run} stage {number}");
                    Keyed { key, notice: Notice::StageBegun { server: facts() } }
                });
            }
            due
        }
        _ => Vec::new(),
    }
}

/// What is to be told of the next version of the floor: a server that owes nothing and will be below it hears that
/// when the version is announced, and again a week before it holds. `judge` says what a build is on a day.
pub fn floor_notice(
    policy: &Policy,
    record: &ServerRecord,
    judge: impl FnOnce(Build, Date) -> Judgement,
    entitlement: Entitlement,
    now: Timestamp,
) -> Option<Keyed> {
    let today = time::date_of(now);
    let next = policy.floor.next(today).filter(|next| next.announced.is_none_or(|at| at <= today))?;
    let effective = next.effective?;
    let at = time::start_of(effective);
    let is_silent = time::add_days(record.last_seen, i64::from(policy.decay_days)) <= now;
    let is_exempt = record.exemption.as_ref().is_some_and(|exemption| at < exemption.until);
    if policy.mode == Mode::Off || record.standing != Standing::Met || is_silent || is_exempt {
        return None;
    }
    let build: Build = record.shown.as_ref()?.build.as_deref()?.parse().ok()?;
    let judged = policy.floor.judge(&judge(build, effective), entitlement, effective);
    let lack = lack(&judged.standing)?;
    let position = position(policy, record, &[], now);
    let [_, week] = AHEAD_DAYS;
    let when = if now < time::add_days(at, -week) { "announced" } else { "soon" };
    let floor = policy.floor.name().to_owned();
    Some(Keyed {
        key: format!(
            "{} floor {floor} {} {when} {}",
            record.id,
            next.version,
            mode_word(policy.mode_for(record, now))
        ),
        notice: Notice::FloorAhead {
            server: Box::new(server_facts(policy, record, &position, &[], now)),
            floor,
            version: next.version,
            at,
            lack,
        },
    })
}

/// Whether a record can have anything to tell, without a look at pauses and floors.
pub fn may_have_ladder_notices(record: &ServerRecord, now: Timestamp) -> bool {
    let is_recent = |at: Timestamp| now < time::add_days(at, RELEASE_TOLD_DAYS);
    record.cycle.is_some() || record.released_at.is_some_and(is_recent)
}

/// What comes and is near: a harsher stage, or that an exemption ends which a stage waits behind.
fn ahead(
    position: &Position,
    exemption: Option<&Exemption>,
    begun: Timestamp,
    now: Timestamp,
) -> Option<(StageDate, i64)> {
    let next = match exemption {
        None => position.next_stage()?,
        Some(exemption) => {
            let reached = |date: &&StageDate| date.at <= exemption.until;
            let date = position.stage_dates.iter().rev().find(reached)?;
            let holds = date.stage.throttle_minutes > 0 || date.stage.block_minutes > 0;
            holds.then_some(StageDate { stage: date.stage, at: exemption.until })?
        }
    };
    let is_near = |days: &i64| {
        let from = time::add_days(next.at, -days);
        // What began later has told of this date itself.
        begun < from && from <= now && now < next.at
    };
    AHEAD_DAYS.into_iter().find(is_near).map(|days| (next, days))
}

fn current_date(position: &Position) -> Option<StageDate> {
    let stage = position.stage?;
    position.stage_dates.iter().find(|date| date.stage.number == stage.number).copied()
}

fn server_facts(
    policy: &Policy,
    record: &ServerRecord,
    position: &Position,
    pauses: &[Pause],
    now: Timestamp,
) -> ServerFacts {
    let shown = record.shown.as_ref();
    // Behind a pause that nobody has ended yet there are no dates.
    let later = position.stage_dates.iter().filter(|date| date.at > now && date.at < Timestamp::MAX);
    let running = pauses.iter().filter(|pause| pause.from <= now && now < pause.until);
    let exemption = record.exemption.as_ref().filter(|exemption| now < exemption.until);
    ServerFacts {
        id: record.id.to_string(),
        address: record.address,
        greeting_name: record.greeting_name.as_ref().map(ToString::to_string),
        tenant: record.tenant.clone(),
        product: shown.and_then(|shown| shown.product.clone()),
        build: shown.and_then(|shown| shown.build.clone()),
        update: shown.and_then(|shown| shown.update.clone()),
        header: shown.and_then(|shown| shown.header.clone()),
        shown_at: shown.map(|shown| shown.at),
        lack: lack(&record.standing),
        floor: policy.floor.in_force(time::date_of(now)).map(|version| FloorFacts {
            name: policy.floor.name().to_owned(),
            version: version.version,
            effective: version.effective,
        }),
        acts: if policy.mode_for(record, now) == Mode::Enforce { Acts::Enforce } else { Acts::Report },
        stages: policy.schedule.stages().last().map_or(0, |stage| stage.number),
        stage: current_date(position).map(stage_facts),
        ahead: later.copied().map(stage_facts).collect(),
        paused_until: running.map(|pause| pause.until).max(),
        exempt_until: exemption.map(|exemption| exemption.until),
    }
}

fn stage_facts(date: StageDate) -> StageFacts {
    StageFacts {
        number: date.stage.number,
        throttle_minutes: date.stage.throttle_minutes,
        block_minutes: date.stage.block_minutes,
        at: date.at,
    }
}

fn lack(standing: &Standing) -> Option<Lack> {
    match standing {
        Standing::Owing { code, text, install } => {
            Some(Lack { code: code.clone(), text: text.clone(), install: install.clone() })
        }
        Standing::Met | Standing::NotExchange | Standing::Unknown { .. } => None,
    }
}

/// In keys: a ladder that begins to act is told anew, however long it was watched before.
fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Off => "off",
        Mode::Report => "report",
    }
}

#[cfg(test)]
pub(crate) mod tests;
