use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use pc_enforce::{
    Counts, Cycle, Demand, EsuOnly, Floor, FloorVersion, ServerRecord, Shown, Standing, Wanted,
};
use pc_exchange::{Catalogue, Form, Judgement};
use pc_types::{ServerId, SignedDuration};

use super::*;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policy(mode: Mode) -> Policy {
    Policy { mode, ..Policy::new("edge.example.org".parse().unwrap()) }
}

/// A server that owes since `opened`.
pub(crate) fn owing(opened: &str) -> ServerRecord {
    let address = "198.51.100.25".parse().unwrap();
    let name = "mail.example.net".parse().unwrap();
    ServerRecord {
        id: ServerId::derive(address, Some(&name)),
        address,
        greeting_name: Some(name),
        tenant: Some("example".into()),
        kind: pc_enforce::ConnectorKind::Internet,
        connector: None,
        first_seen: at(opened),
        last_seen: at(opened),
        standing: Standing::Owing {
            code: "security_update_missing".into(),
            text: "Exchange Server 2016 CU23 lacks the security update CU23 Oct25SU of 2025-10-14, 79 days old".into(),
            install: "Exchange Server 2016 CU23 Oct25SU, build 15.1.2507.61, KB5066368".into(),
        },
        shown: Some(Shown {
            verdict: "vulnerable".into(),
            product: Some("2016".into()),
            build: Some("15.1.2507.31".into()),
            update: Some("CU23 Aug23SUv2".into()),
            header: Some("from mail.example.net (10.0.0.5) by mail.example.net with Microsoft SMTP Server id 15.1.2507.31".into()),
            reason: "topmost line".into(),
            interior: Vec::new(),
            at: at(opened),
        }),
        run: None,
        conflict_since: None,
        attestation_contradicted_since: None,
        cycle: Some(Cycle { opened_at: at(opened), carried_seconds: 0, suspended_at: None }),
        served_seconds: 0,
        met_floor: None,
        released_at: None,
        last_probe_at: None,
        exemption: None,
        counts: Counts::default(),
    }
}

/// What is told of [`owing`] in its second stage.
pub(crate) fn stage_begun() -> Notice {
    let record = ServerRecord { last_seen: at("2026-12-24T10:00:00Z"), ..owing("2026-11-23T10:00:00Z") };
    let notices = ladder_notices(&policy(Mode::Enforce), &record, &[], at("2026-12-24T10:00:00Z"));
    notices.into_iter().last().unwrap().notice
}

/// Looks every hour from `from` to `until`; what is told for the first time, with the hour. `change` makes the
/// record what it is at that hour.
fn told(
    policy: &Policy,
    (from, until): (&str, &str),
    mut change: impl FnMut(Timestamp) -> (ServerRecord, Vec<Pause>),
) -> Vec<String> {
    let (mut now, mut known, mut lines) = (at(from), BTreeSet::new(), Vec::new());
    while now < at(until) {
        let (record, pauses) = change(now);
        let mut notices = ladder_notices(policy, &record, &pauses, now);
        notices.extend(floor_notice(policy, &record, below, Entitlement::default(), now));
        for Keyed { key, notice } in notices {
            if known.insert(key) {
                let what = match &notice {
                    Notice::StageAhead { stage, .. } => format!(" {} on {}", stage.number, stage.at),
                    Notice::StageBegun { server } => format!(" {}", server.stage.unwrap().number),
                    Notice::FloorAhead { version, at, .. } => format!(" {version} on {at}"),
                    _ => String::new(),
                };
                lines.push(format!("{now} {}{what}", notice.code()));
            }
        }
        now += SignedDuration::from_hours(1);
    }
    lines
}

fn below(build: Build, date: Date) -> Judgement {
    CATALOGUE.judge_build(build, Form::Smtp, date)
}

/// The floor of the tests: what everybody meets, then one of October 2025, announced five weeks ahead.
fn raised_floor() -> Arc<Floor> {
    let version = |version, announced: Option<&str>, effective: Option<&str>, build: &str| FloorVersion {
        version,
        announced: announced.map(|day| day.parse().unwrap()),
        effective: effective.map(|day| day.parse().unwrap()),
        demand: Demand { wanted: Wanted::Builds(vec![build.parse().unwrap()]), esu_only: EsuOnly::Owed },
    };
    let versions = vec![
        version(1, None, None, "15.1.2507.31"),
        version(2, Some("2026-05-01"), Some("2026-06-05"), "15.1.2507.61"),
    ];
    Arc::new(Floor::new("own", versions).unwrap())
}

fn met(record: ServerRecord, released_at: Option<&str>) -> ServerRecord {
    ServerRecord { standing: Standing::Met, cycle: None, released_at: released_at.map(at), ..record }
}

#[test]
fn a_cycle_of_ninety_days_tells_each_stage_before_and_when_it_begins() {
    let lines = told(&policy(Mode::Enforce), ("2026-01-01T00:00:00Z", "2026-04-20T00:00:00Z"), |now| {
        (ServerRecord { last_seen: now, ..owing("2026-01-01T00:00:00Z") }, Vec::new())
    });
    assert_eq!(
        lines,
        [
            "2026-01-01T00:00:00Z server_owing",
            "2026-01-24T00:00:00Z stage_ahead 2 on 2026-01-31T00:00:00Z",
            "2026-01-30T00:00:00Z stage_ahead 2 on 2026-01-31T00:00:00Z",
            "2026-01-31T00:00:00Z stage_begun 2",
            "2026-02-03T00:00:00Z stage_ahead 3 on 2026-02-10T00:00:00Z",
            "2026-02-09T00:00:00Z stage_ahead 3 on 2026-02-10T00:00:00Z",
            "2026-02-10T00:00:00Z stage_begun 3",
            "2026-02-13T00:00:00Z stage_ahead 4 on 2026-02-20T00:00:00Z",
            "2026-02-19T00:00:00Z stage_ahead 4 on 2026-02-20T00:00:00Z",
            "2026-02-20T00:00:00Z stage_begun 4",
            "2026-02-23T00:00:00Z stage_ahead 5 on 2026-03-02T00:00:00Z",
            "2026-03-01T00:00:00Z stage_ahead 5 on 2026-03-02T00:00:00Z",
            "2026-03-02T00:00:00Z stage_begun 5",
            "2026-03-05T00:00:00Z stage_ahead 6 on 2026-03-12T00:00:00Z",
            "2026-03-11T00:00:00Z stage_ahead 6 on 2026-03-12T00:00:00Z",
            "2026-03-12T00:00:00Z stage_begun 6",
            "2026-03-15T00:00:00Z stage_ahead 7 on 2026-03-22T00:00:00Z",
            "2026-03-21T00:00:00Z stage_ahead 7 on 2026-03-22T00:00:00Z",
            "2026-03-22T00:00:00Z stage_begun 7",
            "2026-03-25T00:00:00Z stage_ahead 8 on 2026-04-01T00:00:00Z",
            "2026-03-31T00:00:00Z stage_ahead 8 on 2026-04-01T00:00:00Z",
            "2026-04-01T00:00:00Z stage_begun 8",
        ]
    );
}

#[test]
fn pause_exemption_release_and_raise_are_told_on_their_days() {
    // Granted on 5 February, five days before stage 3 and after the reminder of it.
    let pause = Pause { from: at("2026-02-05T00:00:00Z"), until: at("2026-02-15T00:00:00Z") };
    let exemption = Exemption { reason: "r".into(), owner: "o".into(), until: at("2026-03-28T00:00:00Z") };
    let policy = Policy { floor: raised_floor(), ..policy(Mode::Enforce) };
    let lines = told(&policy, ("2026-01-01T00:00:00Z", "2026-06-06T00:00:00Z"), |now| {
        let mut record = ServerRecord { last_seen: now, ..owing("2026-01-01T00:00:00Z") };
        if at("2026-03-04T00:00:00Z") <= now {
            record.exemption = Some(exemption.clone());
        }
        if at("2026-04-02T10:00:00Z") <= now {
            record = met(record, Some("2026-04-02T10:00:00Z"));
        }
        let is_granted = pause.from <= now;
        (record, is_granted.then_some(pause).into_iter().collect())
    });
    assert_eq!(
        lines,
        [
            "2026-01-01T00:00:00Z server_owing",
            "2026-01-24T00:00:00Z stage_ahead 2 on 2026-01-31T00:00:00Z",
            "2026-01-30T00:00:00Z stage_ahead 2 on 2026-01-31T00:00:00Z",
            "2026-01-31T00:00:00Z stage_begun 2",
            "2026-02-03T00:00:00Z stage_ahead 3 on 2026-02-10T00:00:00Z",
            // The pause has moved the day that was told before.
            "2026-02-13T00:00:00Z stage_ahead 3 on 2026-02-20T00:00:00Z",
            "2026-02-19T00:00:00Z stage_ahead 3 on 2026-02-20T00:00:00Z",
            "2026-02-20T00:00:00Z stage_begun 3",
            "2026-02-23T00:00:00Z stage_ahead 4 on 2026-03-02T00:00:00Z",
            "2026-03-01T00:00:00Z stage_ahead 4 on 2026-03-02T00:00:00Z",
            "2026-03-02T00:00:00Z stage_begun 4",
            // The exemption has silenced stage 5; its end is what brings the next one.
            "2026-03-21T00:00:00Z stage_ahead 6 on 2026-03-28T00:00:00Z",
            "2026-03-27T00:00:00Z stage_ahead 6 on 2026-03-28T00:00:00Z",
            "2026-03-28T00:00:00Z stage_ahead 7 on 2026-04-01T00:00:00Z",
            "2026-03-28T00:00:00Z stage_begun 6",
            "2026-03-31T00:00:00Z stage_ahead 7 on 2026-04-01T00:00:00Z",
            "2026-04-01T00:00:00Z stage_begun 7",
            "2026-04-02T10:00:00Z server_released",
            "2026-05-01T00:00:00Z floor_ahead 2 on 2026-06-05T00:00:00Z",
            "2026-05-29T00:00:00Z floor_ahead 2 on 2026-06-05T00:00:00Z",
        ]
    );
}

#[test]
fn nothing_is_told_of_what_is_unknown_silent_suspended_or_long_over() {
    let now = at("2026-02-01T00:00:00Z");
    let fresh = ServerRecord { last_seen: now, ..owing("2026-01-01T00:00:00Z") };
    let due = |mode, record: &ServerRecord| ladder_notices(&policy(mode), record, &[], now).len();
    assert_eq!(due(Mode::Enforce, &fresh), 1);
    assert_eq!(due(Mode::Off, &fresh), 0);
    let unknown = Standing::Unknown { code: "conflict".into(), text: "t".into() };
    assert_eq!(due(Mode::Enforce, &ServerRecord { standing: unknown, cycle: None, ..fresh.clone() }), 0);
    assert_eq!(due(Mode::Enforce, &owing("2026-01-01T00:00:00Z")), 0, "silent for 31 days");
    let suspended = fresh.cycle.map(|cycle| Cycle { suspended_at: Some(now), ..cycle });
    assert_eq!(due(Mode::Enforce, &ServerRecord { cycle: suspended, ..fresh.clone() }), 0);
    assert_eq!(due(Mode::Enforce, &met(fresh.clone(), Some("2026-01-31T00:00:00Z"))), 1);
    assert_eq!(due(Mode::Enforce, &met(fresh.clone(), Some("2026-01-20T00:00:00Z"))), 0);
    assert_eq!(due(Mode::Enforce, &met(fresh, None)), 0);
}

#[test]
fn a_relapse_tells_the_stage_that_it_goes_on_in_and_a_ladder_that_begins_to_act_is_told_anew() {
    let now = at("2026-02-01T00:00:00Z");
    let mut record = ServerRecord { last_seen: now, ..owing("2026-02-01T00:00:00Z") };
    record.cycle = record.cycle.map(|cycle| Cycle { carried_seconds: 45 * 86_400, ..cycle });
    let told = |mode| ladder_notices(&policy(mode), &record, &[], now);
    let notices = told(Mode::Report);
    let [Keyed { notice: Notice::ServerOwing { server }, .. }] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert_eq!((server.stage.unwrap().number, server.acts), (3, Acts::Report));
    assert_eq!(server.ahead.first().unwrap().at, at("2026-02-06T00:00:00Z"));
    assert_ne!(notices[0].key, told(Mode::Enforce)[0].key);
}

#[test]
fn without_an_end_of_a_stop_there_are_no_dates() {
    let now = at("2026-01-20T00:00:00Z");
    let stop = Pause { from: at("2026-01-10T00:00:00Z"), until: Timestamp::MAX };
    let record = ServerRecord { last_seen: now, ..owing("2026-01-01T00:00:00Z") };
    let notices = ladder_notices(&policy(Mode::Enforce), &record, &[stop], now);
    let [Keyed { notice, .. }] = notices.as_slice() else { panic!("{notices:?}") };
    let server = notice.server().unwrap();
    assert_eq!((server.ahead.as_slice(), server.paused_until), (&[][..], Some(Timestamp::MAX)));
    assert_eq!(Notice::from_json(&notice.to_json()).as_ref(), Some(notice));
}
