//! `bench enforce`: the ladder's decision at MAIL with up to a million known servers, half of them on the ladder, and what
//! they cost in memory. There is no peer for this; the aim is a decision under 20 microseconds that does not grow.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use pc_enforce::{Cycle, Mode, Pause, Policy, ServerRecord, Shown, Standing, decide, observe, seen};
use pc_store::{ServerBook, Store, Writer};
use pc_types::{Domain, ServerId, SignedDuration, Timestamp, time};

use crate::report::{self, Spread};

/// How much is measured.
pub struct Plan {
    sizes: &'static [u32],
}

impl Plan {
    pub fn full() -> Self {
        Self { sizes: &[1_000, 10_000, 100_000, 1_000_000] }
    }

    pub fn quick() -> Self {
        Self { sizes: &[1_000, 10_000] }
    }
}

const ROUNDS: u32 = 9;
const DECISIONS: u32 = 20_000;
/// Two, spread over a year, and one across the new year.
const PAUSES: usize = 3;

pub async fn run(plan: Plan) -> anyhow::Result<()> {
    let conditions = report::conditions();
    let mut rows = String::new();
    for size in plan.sizes {
        rows.push_str(&known(*size).await?);
    }
    let body = format!(
        "## The ladder with many servers\n\n{conditions}\nWhat MAIL FROM asks of the ladder: the server's id by address and greeting, its \
         record, {PAUSES} pauses of its tenant, the decision, and the counted connection queued for the database. Half of the servers are on \
         the ladder at all its stages, each with the header line that proves its build. Each round {DECISIONS} decisions across all servers, \
         {ROUNDS} rounds: the middle one with lowest and highest. The 99.9th of a hundred and the slowest are of single decisions, timed \
         one by one, while nothing else runs, and while another thread copies all servers again and again, as pages and the report do.\n\n\
         | known servers | microseconds a decision | 99.9 % alone | slowest alone | 99.9 % beside reports | slowest beside reports | \
         octets a server in memory | seconds to load all at start |\n|--|--|--|--|--|--|--|--|\n{rows}\n\
         Aim: a decision under 20 microseconds that does not grow."
    );
    report::write("enforce", &body)
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_780_000_000)
}

fn server(number: u32) -> anyhow::Result<(IpAddr, Domain)> {
    let address = Ipv4Addr::from_bits(0x0a00_0000 + number).into();
    let name = format!("mail{number}.example.net").parse();
    Ok((address, name.map_err(|error| anyhow::anyhow!("{error}"))?))
}

/// Every second one has been on the ladder for up to a hundred days.
fn record(policy: &Policy, number: u32) -> anyhow::Result<ServerRecord> {
    let (address, name) = server(number)?;
    let id = ServerId::derive(address, Some(&name));
    let header = format!(
        "from {name} (10.0.0.5) by {name} (10.0.0.5) with Microsoft SMTP Server (version=TLS1_2, \
         cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.1.2507.31; Mon, 2 Nov 2026 10:00:00 +0000"
    );
    let owes = number.is_multiple_of(2);
    let standing = if owes {
        let text = "Exchange Server 2016: support ended on 2025-10-14".to_owned();
        Standing::Owing { code: "unsupported".to_owned(), text, install: "migrate to Exchange SE".to_owned() }
    } else {
        Standing::Met
    };
    let shown = Shown {
        verdict: "unsupported".to_owned(),
        product: Some("2016".to_owned()),
        build: Some("15.1.2507.31".to_owned()),
        update: Some("CU23 Aug23SU".to_owned()),
        header: Some(header),
        interior: Vec::new(),
        reason: "the topmost line was stamped by the server that is connected".to_owned(),
        at: now(),
    };
    let sighting = pc_enforce::Sighting {
        id,
        address,
        greeting_name: Some(name),
        tenant: Some("example".to_owned()),
        kind: pc_enforce::ConnectorKind::default(),
        connector: pc_enforce::ConnectorMatch::none(),
        judged: standing.into(),
        shown,
    };
    let (record, _) = observe(policy, None, sighting, &[]);
    let opened_at = time::add_days(now(), -i64::from(number / 2 % 100));
    let cycle = record.cycle.map(|cycle| Cycle { opened_at, ..cycle });
    Ok(ServerRecord { cycle, ..record })
}

fn pauses() -> [Pause; PAUSES] {
    [(-400, -390), (-150, -120), (-20, -10)]
        .map(|(from, until)| Pause { from: time::add_days(now(), from), until: time::add_days(now(), until) })
}

/// What a transaction begins with.
fn ask(
    book: &ServerBook,
    policy: &Policy,
    pauses: &[Pause],
    (address, name): &(IpAddr, Domain),
    at: Timestamp,
) {
    let id = book.id_for(*address, Some(name));
    black_box(book.change(&id, |record| {
        let record = seen(policy, record, &id, *address, at);
        let decision = decide(policy, Some(&record), pauses, at);
        (Some(record), decision)
    }));
}

async fn known(size: u32) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("servers.db")).await?;
    let (writer, task) = Writer::start(store.clone());
    let node_name = "edge.example.org".parse()?;
    let policy = Policy { mode: Mode::Enforce, open_sightings: 1, open_hours: 0, ..Policy::new(node_name) };
    let filling = ServerBook::load(&store, writer.clone()).await?;
    for number in 0..size {
        let record = record(&policy, number)?;
        filling.change(&record.id.clone(), |_| (Some(record), ()));
        if number % 10_000 == 0 {
            writer.flush().await;
        }
    }
    writer.flush().await;
    drop(filling);
    let before = crate::process::resident_mib(std::process::id())?;
    let started = Instant::now();
    let book = Arc::new(ServerBook::load(&store, writer.clone()).await?);
    let seconds = started.elapsed().as_secs_f64();
    let after = crate::process::resident_mib(std::process::id())?;
    let chosen: Vec<(IpAddr, Domain)> =
        (0..DECISIONS).map(|number| server(number.wrapping_mul(499_979) % size)).collect::<Result<_, _>>()?;
    let pauses = pauses();
    let mut rounds = Vec::new();
    let mut at = now();
    for _ in 0..ROUNDS {
        at += SignedDuration::from_secs(1);
        let started = Instant::now();
        for who in &chosen {
            ask(&book, &policy, &pauses, who, at);
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS));
        writer.flush().await;
    }
    let alone = single(&book, &policy, &chosen, at + SignedDuration::from_secs(1))?;
    writer.flush().await;
    let beside = {
        let stop = Arc::new(AtomicBool::new(false));
        let (reading, stopped) = (Arc::clone(&book), Arc::clone(&stop));
        let reader = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                black_box(reading.all());
            }
        });
        let beside = single(&book, &policy, &chosen, at + SignedDuration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        reader.join().ok().context("the reader failed")?;
        beside?
    };
    writer.flush().await;
    drop((book, writer));
    task.await?;
    store.close().await;
    let octets = (after - before).max(0.0) * 1024.0 * 1024.0 / f64::from(size);
    Ok(format!(
        "| {size} | {} | {:.1} | {:.0} | {:.1} | {:.0} | {octets:.0} | {seconds:.2} |\n",
        Spread::of(&rounds)?.text(2),
        alone.0,
        alone.1,
        beside.0,
        beside.1
    ))
}

/// The 99.9th of a hundred, and the slowest, in microseconds.
fn single(
    book: &ServerBook,
    policy: &Policy,
    chosen: &[(IpAddr, Domain)],
    at: Timestamp,
) -> anyhow::Result<(f64, f64)> {
    let pauses = pauses();
    let mut times: Vec<Duration> = Vec::with_capacity(chosen.len());
    for who in chosen {
        let started = Instant::now();
        ask(book, policy, &pauses, who, at);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let micros = |place: usize| times.get(place).map(|time| time.as_secs_f64() * 1e6).context("no decision");
    Ok((micros(times.len() * 999 / 1000)?, micros(times.len() - 1)?))
}
