//! `bench judge`: what reading the evidence of a message and judging it costs, and the ladder's
//! decision at MAIL. There is no peer for this; the aim is 5 microseconds.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use pc_enforce::{Mode, Policy, Shown, Sighting, Standing, decide, observe};
use pc_exchange::{Catalogue, Connection, Verdict, evidence};
use pc_types::{Date, Domain, ServerId, Timestamp};

use crate::report::{self, Spread};

const ROUNDS: usize = 9;
const CALLS: u32 = 20_000;

const LINES: [&str; 3] = [
    "from mail.example.net (10.0.0.5) by mail.example.net (10.0.0.5) with Microsoft SMTP Server (version=TLS1_2, \
     cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.1.2507.31; Mon, 2 Nov 2026 10:00:00 +0000",
    "from mail.example.net ([fe80::1]) by mail.example.net ([fe80::1%4]) with mapi id 15.01.2507.031; Mon, 2 Nov 2026 \
     10:00:00 +0000",
    "from inside.example.net (inside.example.net [10.0.0.9]) by relay.example.net (Postfix) with ESMTPS id 4RHCtq44RPz9vNPQ; \
     Mon, 2 Nov 2026 09:59:59 +0000",
];

pub fn run() -> anyhow::Result<()> {
    let conditions = report::conditions();
    let catalogue = Catalogue::embedded()?;
    let date: Date = parsed("2026-11-02")?;
    let greeting_name: Domain = "mail.example.net".parse()?;
    let connection = Connection { greeting_name: Some(&greeting_name), configured_names: &[] };
    let read = micros(|| {
        black_box(evidence(black_box(&LINES), &connection));
    })?;
    let found = evidence(&LINES, &connection);
    let judged = catalogue.judge(&found, date);
    anyhow::ensure!(judged.verdict == Verdict::Unsupported, "the chain shows {}", judged.verdict.as_str());
    let judge = micros(|| {
        black_box(catalogue.judge(black_box(&found), date));
    })?;
    let both = micros(|| {
        black_box(catalogue.judge(&evidence(black_box(&LINES), &connection), date));
    })?;
    let assessment = judged.assessment.as_ref().context("a judged build is assessed")?;
    let listed = micros(|| {
        black_box((assessment.missing(), assessment.cves()));
    })?;
    let ladder = ladder()?;
    let body = format!(
        "## Judging\n\n{conditions}\nOne thread, {ROUNDS} rounds of {CALLS} calls; microseconds a call, the middle round with lowest \
         and highest. The message has three Received lines (Exchange SMTP, mapi, Postfix); the server is an Exchange 2016 with {} \
         missing updates and {} open CVEs.\n\n| step | microseconds |\n|--|--|\n| read the evidence of three lines | {} |\n| judge it against the \
         catalogue | {} |\n| both: one judge decision | {} |\n| list what is missing and open, for a page | {} |\n| the ladder's decision at MAIL | {} \
         |\n\nAim: a judge decision under 5 microseconds.",
        assessment.missing_len(),
        assessment.cves_len(),
        read.text(2),
        judge.text(2),
        both.text(2),
        listed.text(2),
        ladder.text(2),
    );
    report::write("judge", &body)
}

fn ladder() -> anyhow::Result<Spread> {
    let policy = Policy {
        mode: Mode::Enforce,
        open_sightings: 1,
        open_hours: 0,
        ..Policy::new("edge.example.org".parse()?)
    };
    let at: Timestamp = parsed("2026-09-01T00:00:00Z")?;
    let now: Timestamp = parsed("2026-10-20T00:00:00Z")?;
    let address = "192.0.2.7".parse()?;
    let shown = Shown {
        verdict: "unsupported".into(),
        product: None,
        build: None,
        update: None,
        header: None,
        reason: String::new(),
        interior: Vec::new(),
        at,
    };
    let standing = Standing::Owing { code: String::new(), text: String::new(), install: String::new() };
    let sighting = Sighting {
        id: ServerId::derive(address, None),
        address,
        greeting_name: None,
        tenant: None,
        kind: pc_enforce::ConnectorKind::default(),
        connector: pc_enforce::ConnectorMatch::none(),
        judged: standing.into(),
        shown,
    };
    let (mut record, _) = observe(&policy, None, sighting, &[]);
    record.last_seen = now;
    micros(|| {
        black_box(decide(black_box(&policy), Some(&record), &[], now));
    })
}

fn micros(mut call: impl FnMut()) -> anyhow::Result<Spread> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    Spread::of(&rounds).context("rounds")
}

/// The errors of the time library need the standard library to be errors, which pure crates do without.
fn parsed<T: std::str::FromStr>(text: &str) -> anyhow::Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| anyhow::anyhow!("{text}: {error}"))
}
