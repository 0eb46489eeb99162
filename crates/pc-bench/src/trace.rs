//! `bench trace`: how searches of the trace grow with what it holds. There is no peer for this; the aim is
//! 100 milliseconds for any answer at a million rows.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use pc_store::{PathSearch, RecipientRow, StepRow, Store, TraceQuery, TraceRow};
use pc_types::{ServerId, SignedDuration, Timestamp};

use crate::report::{self, Spread};

/// How much is measured.
pub struct Plan {
    sizes: &'static [u32],
    rounds: u32,
}

impl Plan {
    pub fn full() -> Self {
        Self { sizes: &[1_000, 10_000, 100_000, 1_000_000], rounds: 15 }
    }

    pub fn quick() -> Self {
        Self { sizes: &[1_000, 10_000], rounds: 5 }
    }
}

const BATCH_ROWS: u32 = 1_000;
/// What a page shows.
const PAGE_ROWS: u32 = 100;

pub async fn run(plan: Plan) -> anyhow::Result<()> {
    let conditions = report::conditions();
    let folder = tempfile::tempdir()?;
    let mut searches = String::new();
    let mut inserts = String::new();
    let mut filled = 0;
    let store = Store::open(&folder.path().join("trace.db")).await?;
    for size in plan.sizes {
        let micros = fill(&store, filled, *size).await?;
        filled = *size;
        let octets = store.octets_used().await?;
        inserts.push_str(&format!("| {size} | {micros:.1} | {} |\n", octets / u64::from(*size)));
        for (name, query) in queries(*size) {
            searches
                .push_str(&format!("| {size} | {name} | {} |\n", search(&store, &query, plan.rounds).await?));
        }
    }
    store.close().await;
    let body = format!(
        "## Growth of the trace\n\n{conditions}\nOne database on one disk, rows with one to three recipients and twelve \
         steps, {PAGE_ROWS} rows an answer; each search {} times after one that is not counted. Written in one transaction for \
         {BATCH_ROWS} rows. A search that stopped early answered with the place to go on from. Each row of the second table follows \
         after the rows of the one above it.\n\n| rows | search | rows found | milliseconds: middle (lowest to highest) |\n|--|--|--|--|\n\
         {searches}\n| rows | microseconds a written row | octets a row on disk |\n|--|--|--|\n{inserts}\n\
         Aim: every answer under 100 milliseconds at a million rows.",
        plan.rounds
    );
    report::write("trace", &body)
}

/// The moment of row `number`: one a second.
fn at(number: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_780_000_000 + i64::from(number))
}

/// Writes rows `from..to`; returns the microseconds of each.
async fn fill(store: &Store, from: u32, to: u32) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for start in (from..to).step_by(usize::try_from(BATCH_ROWS)?) {
        let rows = (start..to.min(start + BATCH_ROWS)).map(row).collect::<Vec<TraceRow>>();
        let started = Instant::now();
        store.write_trace_rows(&rows).await?;
        seconds += started.elapsed().as_secs_f64();
    }
    Ok(seconds * 1e6 / f64::from((to - from).max(1)))
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number % 5_000).into()
}

/// Half of all comes from one domain and is taken, the other half from others and is refused; all goes to one
/// domain, every thousandth to another as well.
fn row(number: u32) -> TraceRow {
    let is_taken = number.is_multiple_of(2);
    let from = if is_taken { "example.net".to_owned() } else { format!("d{}.example.com", number % 1_000) };
    let recipient =
        |forward_path: String| RecipientRow { forward_path, reply: "250 2.1.5 recipient OK".into() };
    let mut recipients = vec![recipient(format!("user{}@example.org", number % 10_000))];
    if number.is_multiple_of(3) {
        recipients.push(recipient("everybody@example.org".into()));
    }
    if number.is_multiple_of(1_000) {
        recipients.push(recipient("rare@rare.example.org".into()));
    }
    let step = |at_ms| StepRow {
        step: "mail".into(),
        at_ms,
        text: format!("MAIL FROM:<sender{number}@{from}>: 250 2.1.0 sender OK"),
    };
    TraceRow {
        id: format!("0660fa7711ef68-{number:06x}"),
        at: at(number),
        connected_at: at(number),
        listener: "smtp 192.0.2.1:25".into(),
        connector: "default".into(),
        address: address(number),
        greeting: format!("mail.{from}"),
        server_id: ServerId::derive(address(number), None),
        tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".into()),
        reverse_path: format!("sender{}@{from}", number % 100),
        recipients,
        message_id: Some(format!("<{number}@{from}>")),
        octets: 4_096,
        verdict: Some("current".into()),
        enforcement: "pass".into(),
        outcome: if is_taken { "taken" } else { "refused" }.into(),
        reply: "250 2.0.0 taken by the server behind".into(),
        upstream: Some("exchange".into()),
        upstream_reply: Some("2.6.0 queued mail for delivery".into()),
        elapsed_ms: 12,
        steps: (0..12).map(step).collect(),
        deliveries: Vec::new(),
    }
}

fn queries(size: u32) -> Vec<(&'static str, TraceQuery)> {
    let middle = size / 2;
    let path = |text: &str| Some(PathSearch::parse(text));
    let all = || TraceQuery { rows_max: Some(PAGE_ROWS), ..TraceQuery::default() };
    let middle_row = row(middle);
    vec![
        ("everything", all()),
        (
            "everything, from the middle on",
            TraceQuery { before: Some(pc_store::Cursor::of(&middle_row)), ..all() },
        ),
        (
            "a minute in the middle",
            TraceQuery { since: Some(at(middle)), until: Some(at(middle + 60)), ..all() },
        ),
        ("trace id", TraceQuery { id: Some(middle_row.id.clone()), ..all() }),
        ("Message-ID", TraceQuery { id: middle_row.message_id.clone(), ..all() }),
        ("id that is not there", TraceQuery { id: Some("nothing".into()), ..all() }),
        ("sender", TraceQuery { from: path("sender2@example.net"), ..all() }),
        ("sender's domain, half of all", TraceQuery { from: path("example.net"), ..all() }),
        ("sender's domain that is not there", TraceQuery { from: path("example.edu"), ..all() }),
        ("recipient", TraceQuery { to: path("user7@example.org"), ..all() }),
        ("recipients' domain, all of it", TraceQuery { to: path("example.org"), ..all() }),
        ("recipients' domain, one in a thousand", TraceQuery { to: path("rare.example.org"), ..all() }),
        ("address", TraceQuery { address: Some(address(7)), ..all() }),
        ("server", TraceQuery { server_id: Some(ServerId::derive(address(7), None)), ..all() }),
        ("outcome, half of all", TraceQuery { outcome: Some("refused".into()), ..all() }),
        (
            "rare recipients' domain and half of all senders",
            TraceQuery { to: path("rare.example.org"), from: path("example.net"), ..all() },
        ),
        (
            "all recipients and half of all senders",
            TraceQuery { to: path("example.org"), from: path("example.net"), ..all() },
        ),
        (
            "two halves that never meet",
            TraceQuery { from: path("example.net"), outcome: Some("refused".into()), ..all() },
        ),
        (
            "two halves that never meet, and all recipients",
            TraceQuery {
                from: path("example.net"),
                outcome: Some("refused".into()),
                to: path("example.org"),
                ..all()
            },
        ),
    ]
}

/// Rows found and the time, as two cells.
async fn search(store: &Store, query: &TraceQuery, rounds: u32) -> anyhow::Result<String> {
    let mut page = store.trace(query).await?;
    let mut millis = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        page = store.trace(query).await?;
        millis.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let rows = page.rows.len();
    let early =
        if rows < usize::try_from(PAGE_ROWS)? && page.next.is_some() { ", stopped early" } else { "" };
    Ok(format!("{rows}{early} | {}", Spread::of(&millis)?.text(2)))
}
