use pc_exchange::{Catalogue, Form};
use pc_types::{ServerId, Timestamp, time};

use super::*;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policy(mode: Mode) -> Policy {
    let node_name = "edge.example.org".parse().unwrap();
    // One message opens a row, but in the tests of just that.
    Policy { mode, open_sightings: 1, open_hours: 0, ..Policy::new(node_name) }
}

fn id(number: u32) -> ServerId {
    ServerId::derive(std::net::Ipv4Addr::from_bits(0xC000_0200 + number).into(), None)
}

fn owing() -> Standing {
    Standing::Owing {
        code: "unsupported".into(),
        text: "out of support".into(),
        install: "Exchange SE".into(),
    }
}

fn unknown() -> Standing {
    Standing::Unknown { code: "unreadable".into(), text: "no line".into() }
}

/// A server that is good shows another build than one that owes.
fn sighting(standing: Standing, at: Timestamp) -> Sighting {
    let build = if standing == Standing::Met { "15.1.2507.61" } else { "15.1.2507.39" };
    let shown = Shown {
        verdict: "unsupported".into(),
        product: Some("2016".into()),
        build: Some(build.into()),
        update: None,
        header: None,
        reason: "test".into(),
        interior: Vec::new(),
        at,
    };
    Sighting {
        id: id(1),
        address: "192.0.2.1".parse().unwrap(),
        greeting_name: None,
        tenant: None,
        kind: ConnectorKind::default(),
        connector: ConnectorMatch::none(),
        judged: standing.into(),
        shown,
    }
}

/// A message for nobody who is spared.
const OTHERS: AcceptedRecipients = AcceptedRecipients { held: true, spared: false };

const START: &str = "2026-01-01T00:00:00Z";

/// A server that owes since START, seen a moment ago.
fn opened(policy: &Policy, now: Timestamp) -> ServerRecord {
    let (mut record, effects) = observe(policy, None, sighting(owing(), moment(START)), &[]);
    assert_eq!(effects, [Effect::Discovered, Effect::Opened]);
    record.last_seen = now;
    record
}

fn day(days: i64) -> Timestamp {
    time::add_days(moment(START), days)
}

/// Deterministic numbers for properties; the seed is part of every failure message.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn each_day_from_0_to_100_has_the_stage_of_the_published_table() {
    let expected = |day: i64| match day {
        0..=29 => (1, 0, 0),
        30..=39 => (2, 5, 0),
        40..=49 => (3, 10, 0),
        50..=59 => (4, 20, 0),
        60..=69 => (5, 30, 5),
        70..=79 => (6, 30, 10),
        80..=89 => (7, 30, 20),
        _ => (8, 0, 60),
    };
    let policy = policy(Mode::Enforce);
    for number in 0..=100 {
        let last_second = day(number + 1).checked_sub(pc_types::SignedDuration::from_secs(1)).unwrap();
        for now in [day(number), last_second] {
            let position = position(&policy, &opened(&policy, now), &[], now);
            let stage = position.stage.unwrap();
            assert_eq!(i64::from(position.day), number);
            assert_eq!(
                (stage.number, stage.throttle_minutes, stage.block_minutes),
                expected(number),
                "{now}"
            );
        }
    }
}

#[test]
fn windows_of_an_hour_add_up_and_lie_together_at_a_minute_of_the_server() {
    for number in 0..50 {
        let id = id(number);
        for stage in Schedule::default().stages() {
            let mut kinds = Vec::new();
            for minute in 0..60 {
                let now = moment(START).checked_add(pc_types::SignedDuration::from_mins(minute)).unwrap();
                kinds.push(window::window(&id, *stage, now));
            }
            let blocked = kinds.iter().filter(|kind| matches!(kind, Window::Block { .. })).count();
            let throttled = kinds.iter().filter(|kind| matches!(kind, Window::Throttle { .. })).count();
            assert_eq!(blocked, usize::from(stage.block_minutes));
            assert_eq!(throttled, usize::from(stage.throttle_minutes));
            kinds.rotate_left(usize::from(start_minute(&id)));
            let order = kinds.iter().map(|kind| match kind {
                Window::Block { .. } => 0,
                Window::Throttle { .. } => 1,
                Window::Open => 2,
            });
            assert!(order.is_sorted(), "block, then throttle, then open");
        }
    }
    let minutes: std::collections::BTreeSet<u8> = (0..200).map(|number| start_minute(&id(number))).collect();
    assert!(minutes.len() > 50, "servers differ");
}

#[test]
fn the_end_of_a_window_is_the_first_open_moment() {
    let mut numbers = Numbers(7);
    for _ in 0..2_000 {
        let id = id(u32::try_from(numbers.next(100)).unwrap());
        let stages = Schedule::default();
        let stage = stages.stages()[usize::try_from(numbers.next(7)).unwrap()];
        let now =
            Timestamp::from_second(1_760_000_000 + i64::try_from(numbers.next(10_000_000)).unwrap()).unwrap();
        match window::window(&id, stage, now) {
            Window::Open => {}
            Window::Throttle { ends_at } => {
                assert!(ends_at > now);
                assert_eq!(window::window(&id, stage, ends_at), Window::Open);
            }
            Window::Block { ends_at } => {
                assert!(!matches!(window::window(&id, stage, ends_at), Window::Block { .. }));
            }
        }
    }
}

#[test]
fn replies_read_as_the_contract_says() {
    let policy = Policy { link: Some("https://edge.example.org/e".into()), ..policy(Mode::Enforce) };
    let mut record = opened(&policy, day(35));
    record.last_probe_at = Some(day(36));
    let minute = i64::from(start_minute(&record.id));
    let now = day(35).checked_add(pc_types::SignedDuration::from_mins(minute)).unwrap();
    record.last_probe_at = Some(now);
    let decision = decide(&policy, Some(&record), &[], now);
    let hold = decision.reply_to(ReversePathKind::Mailbox, RecipientRole::Other).unwrap();
    assert_eq!(hold.code, 450);
    let until = (minute + 5) % 60;
    let hour = (minute + 5) / 60;
    assert_eq!(
        hold.text,
        format!(
            "Connecting Exchange server version is out-of-date; connection to edge.example.org throttled for 5 mins/hr. \
             (server {}, stage 2, until {hour:02}:{until:02} UTC) https://edge.example.org/e",
            record.id
        )
    );
    record.last_seen = day(95);
    record.last_probe_at = Some(day(95));
    let decision = decide(&policy, Some(&record), &[], day(95));
    let hold = decision.reply_to(ReversePathKind::Mailbox, RecipientRole::Other).unwrap();
    assert_eq!(hold.code, 550);
    assert!(hold.text.contains("connection to edge.example.org blocked for 60 mins/hr. (server "));
    assert!(hold.text.contains("until updated"));
}

#[test]
fn null_sender_postmaster_and_abuse_never_get_a_5xx() {
    let policy = policy(Mode::Enforce);
    let mut record = opened(&policy, day(95));
    for last_probe_at in [None, Some(day(95))] {
        record.last_probe_at = last_probe_at;
        let decision = decide(&policy, Some(&record), &[], day(95));
        for recipient in [RecipientRole::Contact, RecipientRole::Other, RecipientRole::OutOfScope] {
            for reverse_path in [ReversePathKind::Mailbox, ReversePathKind::Null] {
                let at_rcpt = decision.reply_to(reverse_path, recipient);
                let accepted = AcceptedRecipients {
                    held: recipient == RecipientRole::Other,
                    spared: recipient != RecipientRole::Other,
                };
                let at_end = after_headers(&decision, &owing(), reverse_path, accepted);
                for hold in [at_rcpt, at_end].into_iter().flatten() {
                    assert_eq!(recipient, RecipientRole::Other);
                    assert_eq!(hold.code == 550, reverse_path == ReversePathKind::Mailbox);
                }
            }
        }
    }
}

#[test]
fn temporary_block_replies_defer() {
    let policy = Policy { block_reply: BlockReply::Temporary, ..policy(Mode::Enforce) };
    let mut record = opened(&policy, day(95));
    record.last_probe_at = Some(day(95));
    let hold =
        decide(&policy, Some(&record), &[], day(95)).reply_to(ReversePathKind::Mailbox, RecipientRole::Other);
    let hold = hold.unwrap();
    assert_eq!((hold.code, hold.kind), (450, HoldKind::Block));
    assert!(hold.text.contains("blocked for 60 mins/hr."));
}

#[test]
fn one_good_sighting_releases_at_once_and_a_relapse_goes_on() {
    let policy = policy(Mode::Enforce);
    let record = opened(&policy, day(72));
    let decision = decide(&policy, Some(&record), &[], day(72));
    assert_eq!(after_headers(&decision, &Standing::Met, ReversePathKind::Mailbox, OTHERS), None);
    let (record, effects) = observe(&policy, Some(record), sighting(Standing::Met, day(72)), &[]);
    assert_eq!(effects, [Effect::Released]);
    assert_eq!(decide(&policy, Some(&record), &[], day(72)).action, Action::Pass);
    assert_eq!(position(&policy, &record, &[], day(80)).stage, None);
    let (record, effects) = observe(&policy, Some(record), sighting(owing(), day(82)), &[]);
    assert_eq!(effects, [Effect::Relapsed]);
    let position = position(&policy, &record, &[], day(82));
    assert_eq!((position.day, position.stage.unwrap().number), (72, 6), "resumed, not restarted");
}

#[test]
fn unknown_and_missing_evidence_neither_open_nor_release() {
    let policy = policy(Mode::Enforce);
    for standing in [unknown(), Standing::NotExchange] {
        let (record, effects) = observe(&policy, None, sighting(standing.clone(), day(0)), &[]);
        assert_eq!(effects, [Effect::Discovered]);
        assert_eq!(decide(&policy, Some(&record), &[], day(0)).action, Action::Pass);
        let before = opened(&policy, day(95));
        let (after, effects) =
            observe(&policy, Some(before.clone()), sighting(standing.clone(), day(95)), &[]);
        assert_eq!(effects, []);
        assert_eq!(after.cycle, before.cycle);
        let decision = decide(&policy, Some(&after), &[], day(95));
        assert!(matches!(decision.action, Action::Probe(_)));
        let held = after_headers(&decision, &standing, ReversePathKind::Mailbox, OTHERS);
        assert_eq!(held.unwrap().code, 550);
    }
}

#[test]
fn a_blocked_server_is_let_through_to_its_headers_at_a_bounded_rate() {
    let policy = policy(Mode::Enforce);
    let mut record = opened(&policy, day(95));
    let mut probes = 0;
    for second in 0..3_600 {
        let now = day(95).checked_add(pc_types::SignedDuration::from_secs(second)).unwrap();
        match decide(&policy, Some(&record), &[], now).action {
            Action::Probe(_) => {
                probes += 1;
                record.last_probe_at = Some(now);
            }
            Action::Hold(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(probes, 6);
}

#[test]
fn report_mode_counts_and_sends_nothing_and_off_does_not_even_count() {
    let report = policy(Mode::Report);
    let record = opened(&report, day(95));
    let decision = decide(&report, Some(&record), &[], day(95));
    assert_eq!(decision.code(), "would_block");
    assert_eq!(decision.reply_to(ReversePathKind::Mailbox, RecipientRole::Other), None);
    assert_eq!(after_headers(&decision, &owing(), ReversePathKind::Mailbox, OTHERS), None);
    let off = policy(Mode::Off);
    let (record, effects) = observe(&off, None, sighting(owing(), day(0)), &[]);
    assert_eq!((record.cycle, effects), (None, vec![Effect::Discovered]));
}

#[test]
fn pauses_freeze_the_ladder_and_shift_its_dates() {
    let policy = policy(Mode::Enforce);
    let pauses = [Pause { from: day(35), until: day(50) }, Pause { from: day(45), until: day(55) }];
    let at = |number: i64| {
        let now = day(number);
        position(&policy, &opened(&policy, now), &pauses, now)
    };
    assert_eq!(at(34).day, 34);
    assert_eq!(at(44).day, 35);
    assert!(at(44).paused && at(44).window == Window::Open);
    assert_eq!(at(60).day, 40);
    assert_eq!(at(34).next_stage().unwrap().at, day(60));
    assert_eq!(at(60).stage.unwrap().number, 3);
}

#[test]
fn exemptions_let_through_until_they_expire() {
    let policy = policy(Mode::Enforce);
    let mut record = opened(&policy, day(95));
    record.exemption =
        Some(Exemption { reason: "migration".into(), owner: "mail team".into(), until: day(100) });
    assert_eq!(decide(&policy, Some(&record), &[], day(95)).action, Action::Pass);
    record.last_seen = day(100);
    assert_ne!(decide(&policy, Some(&record), &[], day(100)).action, Action::Pass);
}

#[test]
fn silence_forgets_the_row() {
    let policy = policy(Mode::Enforce);
    let record = opened(&policy, day(60));
    assert_eq!(position(&policy, &record, &[], day(89)).stage.unwrap().number, 7);
    assert_eq!(position(&policy, &record, &[], day(90)).stage, None);
    let (record, effects) = observe(&policy, Some(record), sighting(owing(), day(90)), &[]);
    assert_eq!(effects, [Effect::Discovered, Effect::Opened]);
    assert_eq!(position(&policy, &record, &[], day(90)).day, 0);
}

#[test]
fn a_server_that_keeps_retrying_is_not_silent() {
    let policy = policy(Mode::Enforce);
    let mut record = opened(&policy, day(0));
    for number in 1..=120 {
        record = seen(&policy, Some(record), &id(1), "192.0.2.1".parse().unwrap(), day(number));
    }
    assert_eq!(position(&policy, &record, &[], day(120)).stage.unwrap().number, 8);
    assert_eq!(record.counts.transactions, 121, "the message that opened the row counts");
}

#[test]
fn no_history_makes_a_server_harsher_than_its_schedule() {
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let policy = policy(Mode::Enforce);
        let mut record: Option<ServerRecord> = None;
        let mut owing_days = 0;
        let mut last = 0;
        let mut severity = 0;
        for _ in 0..60 {
            let number = last + 1 + i64::try_from(numbers.next(3)).unwrap();
            if record.as_ref().is_some_and(|record| record.cycle.is_some()) {
                owing_days += number - last;
            }
            last = number;
            let standing = match numbers.next(10) {
                0 => Standing::Met,
                1 => unknown(),
                2 => Standing::NotExchange,
                _ => owing(),
            };
            let was_met = standing == Standing::Met;
            let (after, _) = observe(&policy, record.take(), sighting(standing, day(number)), &[]);
            let position = position(&policy, &after, &[], day(number));
            let stage = position.stage;
            assert!(i64::from(position.day) <= owing_days, "seed {seed}");
            assert!(!was_met || stage.is_none(), "release is immediate, seed {seed}");
            if let Some(stage) = stage {
                let held = u32::from(stage.throttle_minutes) + 100 * u32::from(stage.block_minutes);
                assert!(held >= severity || stage.number == 8, "never milder while it owes, seed {seed}");
                assert_eq!(stage, policy.schedule.stage_at(position.day), "seed {seed}");
                severity = held;
            }
            let copy: ServerRecord = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
            let now = day(number);
            assert_eq!(
                decide(&policy, Some(&copy), &[], now),
                decide(&policy, Some(&after), &[], now),
                "two nodes"
            );
            record = Some(after);
        }
    }
}

#[test]
fn previews_name_each_stage_ahead_once() {
    let policy = policy(Mode::Report);
    let rows = preview(&policy, &opened(&policy, day(35)), &[], day(35), 30);
    let shown: Vec<(String, u8)> = rows.iter().map(|row| (row.at.to_string(), row.stage.number)).collect();
    let want = [(day(35), 2), (day(40), 3), (day(50), 4), (day(60), 5)];
    assert_eq!(shown, want.map(|(at, number)| (at.to_string(), number)));
}

#[test]
fn schedules_that_make_no_sense_are_refused() {
    assert_eq!(Schedule::new(&[0, 10], &[0], &[0, 0]), Err(ScheduleError::Length));
    assert_eq!(Schedule::new(&[], &[], &[]), Err(ScheduleError::Length));
    assert_eq!(Schedule::new(&[1], &[0], &[0]), Err(ScheduleError::Days));
    assert_eq!(Schedule::new(&[0, 5, 5], &[0; 3], &[0; 3]), Err(ScheduleError::Days));
    assert_eq!(Schedule::new(&[0], &[31], &[30]), Err(ScheduleError::Minutes));
    assert_eq!(Schedule::new(&[0, 1], &[0, 0], &[5, 4]), Err(ScheduleError::Milder));
    assert_eq!(Schedule::new(&[0, 1], &[10, 5], &[0, 0]), Err(ScheduleError::Milder));
    let less_in_all = Schedule::new(&[0, 1], &[30, 0], &[0, 20]);
    assert_eq!(less_in_all, Err(ScheduleError::Milder), "blocking does not make up for the difference");
    assert!(Schedule::new(&[0, 1], &[30, 0], &[0, 30]).is_ok(), "blocking may take the place of throttling");
    let default = Schedule::default();
    let list = |part: fn(&Stage) -> u8| default.stages().iter().map(part).collect::<Vec<u8>>();
    let days: Vec<u32> = default.stages().iter().map(|stage| stage.day_from).collect();
    let again =
        Schedule::new(&days, &list(|stage| stage.throttle_minutes), &list(|stage| stage.block_minutes));
    assert_eq!(again, Ok(default));
}

#[test]
fn time_in_mode_off_does_not_count() {
    let (on, off) = (policy(Mode::Enforce), policy(Mode::Off));
    let address = "192.0.2.1".parse().unwrap();
    let mut record = opened(&on, day(35));
    for number in 36..=60 {
        record = seen(&off, Some(record), &id(1), address, day(number));
        let (after, effects) = observe(&off, Some(record), sighting(owing(), day(number)), &[]);
        assert_eq!(effects, []);
        assert_eq!(decide(&off, Some(&after), &[], day(number)).action, Action::Pass);
        record = after;
    }
    // Back in force: it stands where it stood, and no message without evidence keeps it there.
    record = seen(&on, Some(record), &id(1), address, day(61));
    assert_eq!(position(&on, &record, &[], day(61)).day, 35);
    for standing in [owing(), unknown(), Standing::NotExchange] {
        let (resumed, effects) = observe(&on, Some(record.clone()), sighting(standing, day(61)), &[]);
        assert_eq!(effects, []);
        assert_eq!(position(&on, &resumed, &[], day(66)).day, 40);
    }
    let (released, effects) = observe(&off, Some(record), sighting(Standing::Met, day(61)), &[]);
    assert_eq!(effects, [Effect::Released]);
    assert_eq!(released.served_seconds, 35 * 86_400);
}

#[test]
fn a_cycle_stored_before_it_could_be_suspended_is_read() {
    let cycle: Cycle =
        serde_json::from_str(r#"{"opened_at":"2026-01-01T00:00:00Z","carried_seconds":7}"#).unwrap();
    assert_eq!(cycle, Cycle { opened_at: day(0), carried_seconds: 7, suspended_at: None });
}

#[test]
fn stage_dates_are_the_moments_at_which_the_stage_changes_whatever_the_pauses() {
    let policy = policy(Mode::Enforce);
    let second = pc_types::SignedDuration::from_secs(1);
    for seed in 0..300 {
        let mut numbers = Numbers(seed);
        let mut moment = || {
            let offset = i64::try_from(numbers.next(120 * 86_400)).unwrap();
            Timestamp::from_second(day(0).as_second() + offset).unwrap()
        };
        // Overlapping, empty and reversed ones too: a pause that was ended before it began is none.
        let mut pauses: Vec<Pause> =
            (0..seed % 5).map(|_| Pause { from: moment(), until: moment() }).collect();
        let at = |now: Timestamp, pauses: &[Pause]| position(&policy, &opened(&policy, now), pauses, now);
        let dates = at(day(0), &pauses).stage_dates;
        assert_eq!(dates.len(), 8);
        for date in dates.iter().skip(1) {
            let before = date.at.checked_sub(second).unwrap();
            assert_eq!(at(date.at, &pauses).stage, Some(date.stage), "seed {seed}");
            assert_eq!(at(before, &pauses).stage.unwrap().number, date.stage.number - 1, "seed {seed}");
            assert!(date.at >= day(i64::from(date.stage.day_from)), "never earlier, seed {seed}");
        }
        let position = at(day(60), &pauses);
        pauses.reverse();
        assert_eq!(at(day(60), &pauses), position, "the order of pauses is no matter, seed {seed}");
    }
}

/// The reply to ordinary mail in a full block window.
fn block_line(policy: &Policy) -> String {
    let mut record = opened(policy, day(95));
    record.last_probe_at = Some(day(95));
    let decision = decide(policy, Some(&record), &[], day(95));
    let hold = decision.reply_to(ReversePathKind::Mailbox, RecipientRole::Other).unwrap();
    format!("{} 5.7.230 {}\r\n", hold.code, hold.text)
}

#[test]
fn reply_lines_fit_and_a_link_is_whole_or_absent() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    let link = format!("https://example.org/{}", "l".repeat(100));
    let mut policy = Policy { link: Some(link.clone()), ..policy(Mode::Enforce) };
    assert!(block_line(&policy).ends_with(&format!(" {link}\r\n")));
    policy.node_name = longest.parse().unwrap();
    let line = block_line(&policy);
    assert!(line.len() <= 512 && line.ends_with(")\r\n"), "{line}");
    for link in ["https://example.org/\r\n250 OK", "ü".repeat(300).as_str(), ""] {
        policy.link = Some(link.to_owned());
        assert_eq!(block_line(&policy), line);
    }
}

#[test]
fn a_probe_stamped_by_a_clock_that_ran_ahead_shuts_nobody_out() {
    let policy = policy(Mode::Enforce);
    let mut record = opened(&policy, day(95));
    record.last_probe_at = Some(day(400));
    assert!(matches!(decide(&policy, Some(&record), &[], day(95)).action, Action::Probe(_)));
}

#[test]
fn report_mode_never_sends_at_any_minute_of_any_day() {
    let (report, enforce) = (policy(Mode::Report), policy(Mode::Enforce));
    let mut held = 0;
    for number in 0..=100 {
        let mut record = opened(&report, day(number));
        for minute in 0..60 {
            let now = day(number).checked_add(pc_types::SignedDuration::from_mins(minute)).unwrap();
            record.last_probe_at = Some(now);
            let decision = decide(&report, Some(&record), &[], now);
            let replies = [
                decision.reply_to(ReversePathKind::Mailbox, RecipientRole::Other),
                after_headers(&decision, &owing(), ReversePathKind::Mailbox, OTHERS),
            ];
            assert_eq!(replies, [None, None]);
            // The shadow is what enforcing would do.
            match (decision.action, decide(&enforce, Some(&record), &[], now).action) {
                (Action::Pass, Action::Pass) => {}
                (Action::WouldHold(would), Action::Hold(hold)) => {
                    assert_eq!(would, hold);
                    held += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(held, 10 * (5 + 10 + 20 + 35 + 40 + 50) + 11 * 60);
}

#[test]
fn a_forgotten_server_is_unknown_until_it_shows_something() {
    let policy = policy(Mode::Enforce);
    let address = "192.0.2.1".parse().unwrap();
    let record = seen(&policy, Some(opened(&policy, day(0))), &id(1), address, day(45));
    assert_eq!((record.standing.as_str(), record.cycle), ("unknown", None));
}

mod raises {
    use pc_exchange::{Catalogue, Form};

    use super::*;
    use crate::{Entitlement, Floor, FloorVersion, Judged};

    /// Version 1 asks for August 2023 and version 2, from 1 April 2026 on, for October 2025.
    fn raising() -> Policy {
        let version = |version, effective: Option<&str>, preset: &str| FloorVersion {
            version,
            announced: None,
            effective: effective.map(|day| day.parse().unwrap()),
            demand: preset_version(preset, 30).unwrap().demand,
        };
        let versions =
            vec![version(1, None, "microsoft-2024-05"), version(2, Some("2026-04-01"), "microsoft-2026-09")];
        Policy { floor: Floor::new("house", versions).unwrap().into(), ..policy(Mode::Enforce) }
    }

    fn judged(policy: &Policy, build: &str, at: Timestamp) -> Judged {
        let date = time::date_of(at);
        let judgement = Catalogue::embedded().unwrap().judge_build(build.parse().unwrap(), Form::Smtp, date);
        policy.floor.judge(&judgement, Entitlement::default(), date)
    }

    fn shows(
        policy: &Policy,
        record: Option<ServerRecord>,
        build: &str,
        at: Timestamp,
    ) -> (ServerRecord, Vec<Effect>) {
        let mut sighting = sighting(unknown(), at);
        sighting.judged = judged(policy, build, at);
        sighting.shown.build = Some(build.to_owned());
        observe(policy, record, sighting, &[])
    }

    fn stage(policy: &Policy, record: &ServerRecord, now: Timestamp) -> Option<u8> {
        position(policy, record, &[], now).stage.map(|stage| stage.number)
    }

    /// Seen every week, so that nothing decays.
    fn weekly(
        policy: &Policy,
        mut record: ServerRecord,
        build: &str,
        from: i64,
        to: i64,
    ) -> (ServerRecord, Vec<Effect>) {
        let mut effects = Vec::new();
        for number in (from..=to).step_by(7) {
            let (after, seen) = shows(policy, Some(record), build, day(number));
            record = after;
            effects.extend(seen);
        }
        (record, effects)
    }

    #[test]
    fn a_server_newly_below_a_raise_begins_at_the_first_stage() {
        let policy = raising();
        // Owes for 45 days, is patched to what version 1 asks for, and stays there until the raise.
        let (record, effects) = shows(&policy, None, "15.1.2507.27", day(0));
        assert_eq!(effects, [Effect::Discovered, Effect::Opened]);
        let (record, _) = weekly(&policy, record, "15.1.2507.27", 7, 42);
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.44", day(45));
        assert_eq!(effects, [Effect::Released]);
        let (record, effects) = weekly(&policy, record, "15.1.2507.44", 52, 89);
        assert_eq!((effects, record.served_seconds), (vec![], 45 * 86_400));
        // 1 April is day 90.
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.44", day(90));
        assert_eq!(effects, [Effect::Raised]);
        assert_eq!(stage(&policy, &record, day(90)), Some(1), "the 45 days of before do not count");
    }

    #[test]
    fn a_server_on_the_ladder_stays_where_it_is_when_the_floor_is_raised() {
        let policy = raising();
        let (record, _) = shows(&policy, None, "15.1.2507.27", day(50));
        let (record, _) = weekly(&policy, record, "15.1.2507.27", 57, 85);
        assert_eq!(stage(&policy, &record, day(89)), Some(2));
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.27", day(91));
        assert_eq!((effects, stage(&policy, &record, day(91))), (vec![], Some(3)), "41 days");
        // Patched to what version 1 asked for, which is not enough any more: it goes on.
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.44", day(92));
        assert_eq!((effects, stage(&policy, &record, day(92))), (vec![], Some(3)));
    }

    #[test]
    fn a_relapse_below_the_version_that_was_met_is_no_raise() {
        let policy = raising();
        let (record, _) = shows(&policy, None, "15.1.2507.27", day(20));
        let (record, _) = weekly(&policy, record, "15.1.2507.27", 27, 62);
        let (record, _) = shows(&policy, Some(record), "15.1.2507.61", day(65));
        let (record, _) = weekly(&policy, record, "15.1.2507.61", 72, 93);
        assert_eq!(record.met_floor.as_ref().map(|mark| mark.version), Some(2));
        // It met version 2, so that falling back below it is its own doing, even to a build that met version 1.
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.44", day(95));
        assert_eq!(effects, [Effect::Relapsed]);
        assert_eq!(stage(&policy, &record, day(95)), Some(3), "45 days were served");
    }

    #[test]
    fn a_server_that_did_not_change_begins_anew_when_a_later_update_is_owed() {
        let floor = Floor::preset("kev", 30).unwrap().into();
        let policy = Policy { floor, ..policy(Mode::Enforce) };
        let (record, _) = shows(&policy, None, "15.1.2507.27", day(0));
        let (record, _) = weekly(&policy, record, "15.1.2507.27", 7, 84);
        assert_eq!(stage(&policy, &record, day(84)), Some(7));
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.61", day(85));
        assert_eq!(effects, [Effect::Released]);
        let (record, effects) = weekly(&policy, record, "15.1.2507.61", 92, 158);
        assert_eq!(effects, []);
        // The fix for CVE-2026-42897 came out on 9 June, which is day 159.
        let (record, effects) = shows(&policy, Some(record), "15.1.2507.61", day(160));
        assert_eq!(effects, [Effect::Raised]);
        assert_eq!(stage(&policy, &record, day(160)), Some(1), "it fell back behind nothing");
    }

    #[test]
    fn a_change_to_another_floor_is_a_raise_for_a_server_that_did_not_change() {
        let before = raising();
        let (record, _) = shows(&before, None, "15.1.2507.27", day(0));
        let (record, _) = weekly(&before, record, "15.1.2507.27", 7, 35);
        let (record, _) = shows(&before, Some(record), "15.1.2507.44", day(40));
        let demand = preset_version("microsoft-2026-09", 30).unwrap().demand;
        let version = FloorVersion { version: 1, announced: None, effective: None, demand };
        let after = Policy { floor: Floor::new("other", vec![version]).unwrap().into(), ..before };
        let (same, effects) = shows(&after, Some(record.clone()), "15.1.2507.44", day(47));
        assert_eq!((effects, stage(&after, &same, day(47))), (vec![Effect::Raised], Some(1)));
        let (worse, effects) = shows(&after, Some(record), "15.1.2507.39", day(47));
        assert_eq!((effects, stage(&after, &worse, day(47))), (vec![Effect::Relapsed], Some(3)));
    }
}

/// The product's own rule: three messages over six hours.
fn careful() -> Policy {
    let node_name = "edge.example.org".parse().unwrap();
    Policy { mode: Mode::Enforce, ..Policy::new(node_name) }
}

fn hour(hours: i64) -> Timestamp {
    moment(START).checked_add(pc_types::SignedDuration::from_hours(hours)).unwrap()
}

/// Takes in messages, each `m` for met or `o` for owing, an hour apart; returns the effects without the discovery.
fn story(policy: &Policy, messages: &str) -> (ServerRecord, Vec<Effect>) {
    let mut record = None;
    let mut all = Vec::new();
    for (number, message) in (0..).zip(messages.chars()) {
        let standing = if message == 'm' { Standing::Met } else { owing() };
        let mut sighting = sighting(standing, hour(number));
        if message == 'm' {
            // Which floor it met is remembered, as by a real judgement.
            sighting.judged.mark = Some(FloorMark { floor: "current".into(), version: 1 });
        }
        let (after, effects) = observe(policy, record, sighting, &[]);
        all.extend(effects.into_iter().filter(|effect| *effect != Effect::Discovered));
        record = Some(after);
    }
    (record.unwrap(), all)
}

#[test]
fn a_row_opens_by_consistent_messages_over_hours_and_by_nothing_less() {
    let policy = careful();
    for (messages, effects) in [
        ("oooooo", vec![]),
        ("ooooooo", vec![Effect::Opened]),
        ("ooomoooooo", vec![]),
        ("ooomooooooo", vec![Effect::Opened]),
        ("mooooooo", vec![Effect::Opened]),
        ("ooooooom", vec![Effect::Opened, Effect::Released]),
        ("ooooooomo", vec![Effect::Opened, Effect::Released]),
        ("ooooooomooooooo", vec![Effect::Opened, Effect::Released, Effect::Relapsed]),
    ] {
        assert_eq!(story(&policy, messages).1, effects, "{messages}");
    }
    let (record, _) = story(&policy, "oo");
    assert_eq!((record.standing.as_str(), record.cycle), ("owing", None));
}

#[test]
fn messages_that_contradict_each_other_make_the_server_unknown_until_they_agree() {
    let policy = careful();
    let (record, effects) = story(&policy, "mom");
    assert_eq!(effects, [Effect::Conflicting]);
    assert!(matches!(&record.standing, Standing::Unknown { code, .. } if code == "conflicting_builds"));
    // Two servers behind one name, of which one is old: never held, always shown.
    let (record, effects) = story(&policy, &"mo".repeat(50));
    assert_eq!(
        (effects, record.cycle, record.standing.as_str()),
        (vec![Effect::Conflicting], None, "unknown")
    );
    let (record, _) = story(&policy, "momommmmmmm");
    assert_eq!(record.standing, Standing::Met, "seven good ones over six hours settle it");
    let (record, effects) = story(&policy, "momooooooo");
    assert_eq!(effects, [Effect::Conflicting, Effect::Opened], "and so do bad ones");
    assert_eq!(record.standing.as_str(), "owing");
    // An update is no contradiction.
    assert_eq!(story(&policy, "oomm").1, []);
}

#[test]
fn a_stray_old_stamp_after_a_raise_opens_nothing() {
    let policy = careful();
    let met = |version| Judged {
        standing: Standing::Met,
        mark: Some(FloorMark { floor: "house".into(), version }),
        meets_earlier: None,
    };
    let mut good = sighting(Standing::Met, hour(0));
    good.judged = met(2);
    good.shown.build = Some("15.1.2507.61".into());
    let (record, _) = observe(&policy, None, good.clone(), &[]);
    let mut stray = sighting(owing(), hour(1));
    stray.judged.mark = Some(FloorMark { floor: "house".into(), version: 3 });
    stray.judged.meets_earlier = Some(2);
    stray.shown.build = Some("15.1.2507.31".into());
    let (record, effects) = observe(&policy, Some(record), stray, &[]);
    assert_eq!((effects, record.cycle), (vec![], None));
}

#[test]
fn a_roll_out_acts_on_a_server_from_the_day_of_its_step_and_begins_at_the_first_stage() {
    let step = |products: &[&str], kinds: &[ConnectorKind], from: &str| RolloutStep {
        products: products.iter().map(ToString::to_string).collect(),
        kinds: kinds.to_vec(),
        from: from.parse().unwrap(),
    };
    let policy = Policy {
        rollout: vec![
            step(&["2013"], &[], "2026-01-01"),
            step(&["2016"], &[ConnectorKind::OnPremises], "2026-05-01"),
            step(&[], &[], "2026-09-01"),
        ],
        ..policy(Mode::Enforce)
    };
    // An Exchange 2016 of the internet that owes since the first of January.
    let record = |now, kind| ServerRecord { kind, ..opened(&policy, now) };
    let seen = |day: &str, kind| {
        let now = moment(&format!("{day}T12:00:00Z"));
        let record = record(now, kind);
        let stage = position(&policy, &record, &[], now).stage.unwrap().number;
        (policy.mode_for(&record, now), stage)
    };
    let (own, internet) = (ConnectorKind::OnPremises, ConnectorKind::Internet);
    assert_eq!(seen("2026-04-30", own), (Mode::Report, 8), "what would happen is counted");
    assert_eq!(seen("2026-05-01", own), (Mode::Enforce, 1), "and begins anew when it does");
    assert_eq!(seen("2026-06-01", own), (Mode::Enforce, 2));
    assert_eq!(seen("2026-06-01", internet), (Mode::Report, 8));
    assert_eq!(seen("2026-09-01", internet), (Mode::Enforce, 1));
    assert_eq!(seen("2026-12-31", internet), (Mode::Enforce, 8));
    // Whoever is released and relapses goes on from what was counted.
    let before = moment("2026-06-20T00:00:00Z");
    let owner = ServerRecord { last_seen: before, ..record(before, own) };
    let met = Sighting { kind: own, ..sighting(Standing::Met, before) };
    let (released, effects) = observe(&policy, Some(owner), met, &[]);
    assert_eq!(effects, [Effect::Released]);
    assert_eq!(released.served_seconds, 50 * 86_400, "since the first of May");
    let all = Policy { rollout: Vec::new(), ..policy };
    assert_eq!(all.mode_for(&released, before), Mode::Enforce, "without steps the mode holds for all");
}

#[test]
fn revised_facts_make_no_contradiction_of_what_was_shown_before() {
    let policy = careful();
    // It met, then showed what owes twice, and then a revision says that this owes nothing.
    let (mut record, _) = story(&policy, "moo");
    let met = || Judged::from(Standing::Met);
    let effect = observe::settle(&policy, &mut record, met(), observe::Change::Rejudged, &[], hour(3));
    assert_eq!((effect, &record.standing), (None, &Standing::Met));
    let (record, effects) = observe(&policy, Some(record), sighting(Standing::Met, hour(4)), &[]);
    assert_eq!((effects, record.standing, record.conflict_since), (vec![], Standing::Met, None));
}

#[test]
fn a_message_with_a_recipient_who_is_spared_is_deferred_at_most() {
    let policy = policy(Mode::Enforce);
    let record = opened(&policy, day(95));
    let decision = decide(&policy, Some(&record), &[], day(95));
    assert!(matches!(decision.action, Action::Probe(_)));
    let mixed = AcceptedRecipients { held: true, spared: true };
    let hold = after_headers(&decision, &owing(), ReversePathKind::Mailbox, mixed).unwrap();
    assert_eq!((hold.kind, hold.code), (HoldKind::Block, 450));
    let spared = AcceptedRecipients { held: false, spared: true };
    assert_eq!(after_headers(&decision, &owing(), ReversePathKind::Mailbox, spared), None);
}

#[test]
fn each_connector_has_a_policy_and_an_unknown_one_has_that_of_strangers() {
    let report = Policies::new(policy(Mode::Enforce))
        .with(DEFAULT_CONNECTOR, policy(Mode::Report))
        .with("partner", policy(Mode::Enforce));
    let mut record = opened(&policy(Mode::Enforce), day(95));
    for (connector, mode) in
        [(None, Mode::Report), (Some("partner"), Mode::Enforce), (Some("gone since a reload"), Mode::Report)]
    {
        record.connector = connector.map(|connector| ConnectorMatch {
            connector: connector.to_owned(),
            by: MatchedBy::Address,
            what: "192.0.2.0/24".to_owned(),
        });
        assert_eq!(report.of(&record).mode, mode, "{connector:?}");
    }
    assert_eq!(report.general().mode, Mode::Enforce);
    assert_eq!(
        Policies::new(policy(Mode::Off)).of(&record).mode,
        Mode::Off,
        "without connectors there is one policy"
    );
}

#[test]
fn a_raise_ahead_is_told_of_servers_that_it_reaches_within_the_days_asked_for() {
    let catalogue = Catalogue::embedded().unwrap();
    let judge = |build, date| catalogue.judge_build(build, Form::Smtp, date);
    let version = |version, effective: Option<&str>, build: &str| FloorVersion {
        version,
        announced: None,
        effective: effective.map(|day| day.parse().unwrap()),
        demand: Demand { wanted: Wanted::Builds(vec![build.parse().unwrap()]), esu_only: EsuOnly::Owed },
    };
    // The second version asks what the server has; the third reaches it.
    let versions = vec![
        version(1, None, "15.1.2507.31"),
        version(2, Some("2026-02-01"), "15.1.2507.39"),
        version(3, Some("2026-03-01"), "15.1.2507.61"),
        version(4, Some("2026-04-01"), "15.1.2507.66"),
    ];
    let policy = Policy { floor: Arc::new(Floor::new("house", versions).unwrap()), ..policy(Mode::Report) };
    let mut met = sighting(Standing::Met, moment(START));
    met.shown.build = Some("15.1.2507.39".to_owned());
    let (record, _) = observe(&policy, None, met, &[]);
    let ahead = |record: &ServerRecord, from, days| {
        raise_ahead(&policy, record, judge, Entitlement::default(), (from, days))
    };
    let raise = ahead(&record, day(0), 90).unwrap();
    assert_eq!((raise.floor.as_str(), raise.version), ("house", 3));
    assert_eq!(raise.at, moment("2026-03-01T00:00:00Z"));
    assert!(raise.install.contains("15.1.2507.61"), "{raise:?}");
    assert_eq!(ahead(&record, day(0), 58), None, "it lies a day beyond");
    assert!(ahead(&record, day(0), 59).is_some());
    let exempt = |until: &str| ServerRecord {
        exemption: Some(Exemption { reason: "r".into(), owner: "o".into(), until: moment(until) }),
        ..record.clone()
    };
    assert_eq!(ahead(&exempt("2026-03-02T00:00:00Z"), day(0), 90).unwrap().version, 4);
    assert_eq!(ahead(&opened(&policy, day(1)), day(1), 90), None, "it is on the ladder already");
    assert_eq!(ahead(&record, day(40), 90), None, "it is forgotten");
}
