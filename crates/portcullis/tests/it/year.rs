//! A year of two hundred senders: what reads headers, judges, decides, pauses and reports, with the clock in our hand. Beside
//! it runs a ladder of the plainest kind, which adds up minutes; the two must agree at every single message.

mod ladder;
mod senders;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pc_enforce::{
    AcceptedRecipients, Action, DEFAULT_TENANT, Effect, Exemption, Floor, FloorVersion, GrantedPause, Hold,
    HoldKind, Mode, Pause, PauseRequest, Policy, ReversePathKind, ServerRecord, Shown, Sighting,
    after_headers, decide, end, grant, observe, preset_version, quota, seen, stop,
};
use pc_exchange::{Catalogue, Connection, Judgement, evidence};
use pc_store::{PauseBook, Store};
use pc_types::{Date, ServerId, Timestamp, time};
use pc_web::report::Report;

use ladder::PlainLadder;
use senders::{SENDERS, Sender};

const BEGIN: &str = "2025-10-01T00:00:00Z";
const DAYS: i64 = 365;
/// Everything happens at multiples of it, so that the plain ladder is exact.
const STEP_SECONDS: i64 = 600;
/// Of a sender whose mail was deferred.
const RETRY_STEPS: i64 = 2;
/// A throttle window is half an hour at most.
const RETRIES_MAX: i64 = 4;
const MESSAGE_HOURS: i64 = 8;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// Builds of May 2024; from January on nothing exploited; from July on every update older than a month.
fn floor() -> Floor {
    let demand = |preset| preset_version(preset, 30).unwrap().demand;
    let version = |version, announced: Option<&str>, effective: Option<&str>, preset| FloorVersion {
        version,
        announced: announced.map(|day| day.parse().unwrap()),
        effective: effective.map(|day| day.parse().unwrap()),
        demand: demand(preset),
    };
    let versions = vec![
        version(1, None, None, "microsoft-2024-05"),
        version(2, Some("2025-12-01"), Some("2026-01-15"), "kev"),
        version(3, Some("2026-05-15"), Some("2026-07-01"), "current"),
    ];
    Floor::new("house", versions).unwrap()
}

/// What becomes of the senders' mail in a month.
#[derive(Default)]
struct Month {
    messages: u32,
    held_up: u32,
    deferrals: u32,
    refused: u32,
}

struct Year {
    catalogue: Catalogue,
    policy: Policy,
    pauses: PauseBook,
    records: Vec<ServerRecord>,
    plain: Vec<PlainLadder>,
    judgements: BTreeMap<(String, Date), Judgement>,
    months: BTreeMap<String, Month>,
    effects: BTreeMap<&'static str, u32>,
    diary: String,
}

enum Answer {
    Taken,
    Deferred,
    Refused,
}

impl Year {
    async fn new(folder: &std::path::Path) -> Self {
        let store = Store::open(&folder.join("db")).await.unwrap();
        let policy = Policy {
            mode: Mode::Enforce,
            floor: Arc::new(floor()),
            ..Policy::new("edge.example.org".parse().unwrap())
        };
        let record = |sender: &Sender| {
            let id = ServerId::derive(sender.address, Some(&sender.name));
            seen(&policy, None, &id, sender.address, at(BEGIN))
        };
        Self {
            records: (0..SENDERS).map(|number| record(&Sender::new(number))).collect(),
            catalogue: Catalogue::embedded().unwrap(),
            pauses: PauseBook::load(&store).await.unwrap(),
            plain: (0..SENDERS).map(|_| PlainLadder::default()).collect(),
            policy,
            judgements: BTreeMap::new(),
            months: BTreeMap::new(),
            effects: BTreeMap::new(),
            diary: String::new(),
        }
    }

    fn judged(&mut self, sender: &Sender, line: &str, date: Date) -> Judgement {
        let key = (line.to_owned(), date);
        if let Some(judgement) = self.judgements.get(&key) {
            return judgement.clone();
        }
        let connection = Connection { greeting_name: Some(&sender.name), configured_names: &[] };
        let judgement = self.catalogue.judge(&evidence(&[line], &connection), date);
        self.judgements.insert(key, judgement.clone());
        judgement
    }

    /// One transaction, as `pc-smtpd` does it.
    fn transact(&mut self, sender: &Sender, line: &str, now: Timestamp) -> Answer {
        let pauses = self.pauses.of(sender.tenant());
        let place = sender.number;
        self.plain[place].advance(now, &pauses);
        let mut record = seen(
            &self.policy,
            Some(self.records[place].clone()),
            &self.records[place].id,
            sender.address,
            now,
        );
        record.tenant = sender.tenant().map(str::to_owned);
        let decision = decide(&self.policy, Some(&record), &pauses, now);
        self.compare(sender, &record, &decision.action, &pauses, now);
        match &decision.action {
            Action::Hold(hold) => {
                count(&mut record, hold);
                self.records[place] = record;
                return answer(hold);
            }
            Action::Probe(_) => record.last_probe_at = Some(now),
            Action::Pass => {}
            Action::WouldHold(_) => unreachable!("the mode is enforce"),
        }
        let date = time::date_of(now);
        let judgement = self.judged(sender, line, date);
        let judged = self.policy.floor.judge(&judgement, sender.entitlement(), date);
        let standing = judged.standing.clone();
        let (mut record, effects) =
            observe(&self.policy, Some(record), sighting(sender, &judgement, judged, now), &pauses);
        for effect in effects {
            self.plain[place].note(effect);
            *self.effects.entry(effect.code()).or_default() += 1;
        }
        let recipients = AcceptedRecipients { held: true, spared: false };
        let hold = after_headers(&decision, &standing, ReversePathKind::Mailbox, recipients);
        if let Some(hold) = &hold {
            count(&mut record, hold);
        }
        self.records[place] = record;
        hold.as_ref().map_or(Answer::Taken, answer)
    }

    /// The plain ladder and the real one say the same, and no mail is held that the plain one lets through.
    fn compare(
        &self,
        sender: &Sender,
        record: &ServerRecord,
        action: &Action,
        pauses: &[Pause],
        now: Timestamp,
    ) {
        let plain = &self.plain[sender.number];
        let position = pc_enforce::position(&self.policy, record, pauses, now);
        let stage = position.stage.map(|stage| usize::from(stage.number));
        assert_eq!(stage, plain.stage(), "{} at {now}: {plain:?}", sender.name);
        let (Action::Hold(hold) | Action::Probe(hold)) = action else { return };
        let (throttled, blocked) = plain.minutes();
        let is_allowed = match hold.kind {
            HoldKind::Block => blocked > 0,
            HoldKind::Throttle => throttled > 0,
        };
        assert!(is_allowed, "{} at {now}: {hold:?} in {plain:?}", sender.name);
        let is_paused = pauses.iter().any(|pause| pause.from <= now && now < pause.until);
        let is_exempt = record.exemption.as_ref().is_some_and(|exemption| now < exemption.until);
        assert!(
            !is_paused && !is_exempt,
            "{} at {now}: {hold:?} in spite of pause or exemption",
            sender.name
        );
    }

    /// A message with its retries; a sender's queue keeps what is deferred.
    fn send(&mut self, sender: &Sender, now: Timestamp) {
        let line = sender.line(&self.catalogue, time::date_of(now));
        let Some(line) = line else { return };
        let month = now.to_string()[..7].to_owned();
        let mut first = true;
        for attempt in 0..=RETRIES_MAX {
            let answer =
                self.transact(sender, &line, moment(now.as_second() + attempt * RETRY_STEPS * STEP_SECONDS));
            let month = self.months.entry(month.clone()).or_default();
            month.messages += u32::from(first);
            first = false;
            match answer {
                Answer::Taken => return,
                Answer::Refused => {
                    month.refused += 1;
                    return;
                }
                Answer::Deferred => {
                    month.held_up += u32::from(attempt == 0);
                    month.deferrals += 1;
                }
            }
        }
        panic!("{} at {now}: no retry got through", sender.name);
    }

    /// What people do on a day.
    async fn decide_of(&mut self, day: &str, now: Timestamp) {
        let pause = |tenant: &str, days| PauseRequest {
            tenant: tenant.into(),
            days,
            from: None,
            reason: "migration".into(),
            owner: "mail team".into(),
        };
        let said = match day {
            "2025-12-15" => self.granted(pause("north", 30), now).await,
            "2026-02-01" => self.granted(pause("south", 90), now).await,
            "2026-03-01" => self.granted(pause("north", 60), now).await,
            "2026-03-21" => self.ended("north", now).await,
            "2026-05-10" => {
                let stopped = self
                    .pauses
                    .change(|_, number| Ok(stop("wrong facts".into(), "mail team".into(), number, now)));
                format!("everybody: stopped from {}", stopped.await.unwrap().from)
            }
            "2026-05-13" => self.ended("", now).await,
            "2026-06-15" => self.granted(pause("south", 1), now).await,
            "2026-08-01" => self.granted(pause("north", 60), now).await,
            "2026-08-02" => self.granted(pause("north", 56), now).await,
            "2026-04-01" => {
                let until = at("2026-05-15T00:00:00Z");
                for sender in (0..SENDERS).map(Sender::new).filter(Sender::is_exempted) {
                    let exemption =
                        Exemption { reason: "leaves in May".into(), owner: "mail team".into(), until };
                    self.records[sender.number].exemption = Some(exemption);
                }
                format!(
                    "{} servers exempt until {until}",
                    (0..SENDERS).map(Sender::new).filter(Sender::is_exempted).count()
                )
            }
            _ => return,
        };
        let _ = writeln!(self.diary, "{day}  {said}");
    }

    async fn granted(&self, request: PauseRequest, now: Timestamp) -> String {
        let tenant = request.tenant.clone();
        match self.pauses.change(|granted, number| grant(granted, request, number, now)).await {
            Ok(GrantedPause { from, until, .. }) => {
                format!("{tenant}: paused from {from} to {}", until.unwrap())
            }
            Err(error) => format!("{tenant}: refused, {error}"),
        }
    }

    /// The newest of a tenant's; of everybody's for no name.
    async fn ended(&self, tenant: &str, now: Timestamp) -> String {
        let all = self.pauses.all();
        let newest =
            all.iter().rev().find(|pause| pause.tenant.as_deref().unwrap_or_default() == tenant).unwrap();
        let number = newest.number;
        let pause = self.pauses.change(|granted, _| end(granted, number, now)).await.unwrap();
        format!(
            "pause {number} ended at {}, paid for until {}",
            pause.until.unwrap(),
            pause.charged_until.unwrap_or(now)
        )
    }

    fn report(&self, now: Timestamp) -> Report {
        Report::new(&self.policy.clone().into(), &self.records, &self.pauses, self.catalogue.as_of(), now)
    }

    fn month_line(&self, month: &str, now: Timestamp) -> String {
        let report = self.report(now);
        let stages: Vec<String> =
            (1..=8).map(|stage| report.by_stage.get(&stage).unwrap_or(&0).to_string()).collect();
        let mail = &self.months[month];
        format!(
            "{month}  {:>5} {:>7} {:>4} {:>5}   {:>31}   {:>8} {:>7} {:>9} {:>7}\n",
            report.owing,
            report.unknown,
            report.met,
            report.not_exchange,
            stages.join("  "),
            mail.messages,
            mail.held_up,
            mail.deferrals,
            mail.refused
        )
    }
}

fn sighting(sender: &Sender, judgement: &Judgement, judged: pc_enforce::Judged, now: Timestamp) -> Sighting {
    Sighting {
        id: ServerId::derive(sender.address, Some(&sender.name)),
        address: sender.address,
        greeting_name: Some(sender.name.clone()),
        tenant: sender.tenant().map(str::to_owned),
        kind: pc_enforce::ConnectorKind::default(),
        connector: pc_enforce::ConnectorMatch::none(),
        judged,
        shown: Shown {
            verdict: judgement.verdict.as_str().to_owned(),
            product: judgement.product.clone(),
            build: judgement.build.map(|build| build.to_string()),
            update: judgement.update.clone(),
            header: None,
            interior: Vec::new(),
            reason: String::new(),
            at: now,
        },
    }
}

fn count(record: &mut ServerRecord, hold: &Hold) {
    match hold.kind {
        HoldKind::Block => record.counts.blocked += 1,
        HoldKind::Throttle => record.counts.throttled += 1,
    }
}

fn answer(hold: &Hold) -> Answer {
    if hold.code == 550 { Answer::Refused } else { Answer::Deferred }
}

/// Days of pauses of a tenant in a year, added up ten minutes by ten minutes from what was in force.
fn paused_days(pauses: &[GrantedPause], tenant: &str, year: i16) -> i64 {
    let first = time::start_of(Date::new(year, 1, 1).unwrap()).as_second();
    let last = time::start_of(Date::new(year + 1, 1, 1).unwrap()).as_second();
    let is_paused = |second: i64| {
        let own = pauses.iter().filter(|pause| pause.tenant.as_deref() == Some(tenant));
        own.into_iter().any(|pause| {
            pause.from.as_second() <= second && pause.until.is_some_and(|until| second < until.as_second())
        })
    };
    let steps = (first..last).step_by(600).filter(|second| is_paused(*second)).count();
    i64::try_from(steps).unwrap() * STEP_SECONDS / 86_400
}

#[tokio::test]
async fn two_hundred_senders_never_stand_in_a_harsher_stage_than_the_calendar_allows() {
    let folder = tempfile::tempdir().unwrap();
    let mut year = Year::new(folder.path()).await;
    let mut table = String::new();
    let begin = at(BEGIN).as_second();
    let senders: Vec<Sender> = (0..SENDERS).map(Sender::new).collect();
    for step in 0..DAYS * 86_400 / STEP_SECONDS {
        let now = moment(begin + step * STEP_SECONDS);
        let second_of_day = (step * STEP_SECONDS) % 86_400;
        if second_of_day == 0 {
            year.decide_of(&time::date_of(now).to_string(), now).await;
        }
        for sender in &senders {
            if (step - sender.offset_steps()) % (MESSAGE_HOURS * 3_600 / STEP_SECONDS) == 0 {
                year.send(sender, now);
            }
        }
        let next = moment(now.as_second() + STEP_SECONDS);
        if time::date_of(next).day() == 1 && time::date_of(now).day() != 1 {
            let line = year.month_line(&now.to_string()[..7], now);
            table.push_str(&line);
        }
    }
    let end = moment(begin + DAYS * 86_400 - STEP_SECONDS);
    let all = year.pauses.all();
    let mut budgets = String::new();
    for tenant in ["north", "south", DEFAULT_TENANT] {
        for calendar_year in [2025, 2026] {
            let (quota, slept) =
                (quota(&all, tenant, calendar_year), paused_days(&all, tenant, calendar_year));
            assert!(
                slept <= 90 && i64::from(quota.used_days) >= slept,
                "{tenant} {calendar_year}: {slept} {quota:?}"
            );
            let _ = writeln!(
                budgets,
                "{tenant} {calendar_year}: {} days used or granted, {slept} paused",
                quota.used_days
            );
        }
    }
    let effects: Vec<String> = year.effects.iter().map(|(code, count)| format!("{code} {count}")).collect();
    for code in [Effect::Opened, Effect::Raised, Effect::Relapsed, Effect::Released].map(Effect::code) {
        assert!(year.effects.contains_key(code), "nothing was {code}: {effects:?}");
    }
    let summary = format!(
        "at the end of each month                                                      in it\n\
         month    owing unknown  met other   servers in stage 1 to 8           messages held up deferrals refused\n{table}\n\
         What happened: {}\n\n{}\n{budgets}",
        effects.join(", "),
        year.diary
    );
    check("year.txt", &summary, include_str!("year/year.txt"));
    check("report.csv", &year.report(end).csv().replace("\r\n", "\n"), include_str!("year/report.csv"));
}

/// `UPDATE_EXPECT=1` writes the file anew.
fn check(file: &str, got: &str, expected: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/year").join(file);
        std::fs::write(path, got).unwrap();
        return;
    }
    for (number, (line, want)) in got.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, want, "{file} line {}", number + 1);
    }
    assert_eq!(got.lines().count(), expected.lines().count(), "{file}");
}
