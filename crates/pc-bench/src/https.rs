//! `bench https`: Portcullis against Debian's nginx and HAProxy, all three in front of the same server, with the same
//! certificate, suites and clients.

mod load;
mod origin;
mod peers;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use pc_tls::{ClientTls, Roots};
use tokio::task::JoinSet;

use crate::report::{self, Spread};
use crate::{process, smtp};
use load::{Connection, Load, Sample};
use origin::{LARGE, LARGE_OCTETS, SMALL, SMALL_OCTETS};
use peers::{Common, KINDS, NAME, Peer};

/// What is measured.
pub struct Plan {
    rounds: usize,
    seconds: f64,
    idle: usize,
    http2_requests: u32,
}

impl Plan {
    pub fn full() -> Self {
        Self { rounds: 3, seconds: 3.0, idle: 10_000, http2_requests: 16_000 }
    }

    /// To see that the bench itself works.
    pub fn quick() -> Self {
        Self { rounds: 1, seconds: 1.0, idle: 500, http2_requests: 4_000 }
    }
}

/// Handshakes under way at once while idle connections are opened.
const OPENING: usize = 50;
/// Connections of HTTP/2; each has fewer requests than a peer takes on one.
const HTTP2_CLIENTS: u32 = 20;
/// Streams at once on each.
const HTTP2_STREAMS: u32 = 8;
/// Memory settles for so long.
const SETTLING: Duration = Duration::from_secs(1);

/// A row of the first table.
#[derive(Clone, Copy)]
enum Shape {
    NewFull,
    NewResumed,
    KeepAlive,
    Large,
    Http2,
    Http2Shared,
}

const SHAPES: [Shape; 6] =
    [Shape::NewFull, Shape::NewResumed, Shape::KeepAlive, Shape::Large, Shape::Http2, Shape::Http2Shared];

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::NewFull => "new connection, full handshake, 1 KiB",
            Self::NewResumed => "new connection, resumed, 1 KiB",
            Self::KeepAlive => "kept alive, 1 KiB",
            Self::Large => "kept alive, 10 MiB",
            Self::Http2 => "HTTP/2, 1 KiB, nothing shared",
            Self::Http2Shared => "HTTP/2, 1 KiB, peers share",
        }
    }

    /// For HTTP/1.1.
    fn load(self) -> Option<Load> {
        let small = Load { path: SMALL, octets: SMALL_OCTETS, clients: 16, is_new_each: true };
        match self {
            Self::NewFull | Self::NewResumed => Some(small),
            Self::KeepAlive => Some(Load { clients: 32, is_new_each: false, ..small }),
            Self::Large => Some(Load { path: LARGE, octets: LARGE_OCTETS, clients: 4, is_new_each: false }),
            Self::Http2 | Self::Http2Shared => None,
        }
    }

    /// nginx has connections behind that are one client's and kept only as shared ones.
    fn address(self, kind: peers::Kind, peer: &Peer) -> SocketAddr {
        match (self, kind) {
            (Self::KeepAlive | Self::Large, peers::Kind::Nginx) | (Self::Http2Shared, _) => peer.shared,
            _ => peer.own,
        }
    }
}

/// All of it, or with nothing written the rows whose name holds `only`.
pub async fn run(plan: Plan, only: Option<&str>) -> anyhow::Result<()> {
    peers::require()?;
    let conditions = report::conditions();
    let folder = tempfile::tempdir()?;
    let certificate = smtp::certificate(folder.path(), NAME)?;
    let resuming = ClientTls::new(Roots::CaFile(certificate.chain.clone()), None)?;
    let origin = origin::start(&certificate).await?;
    let common =
        Common { folder: folder.path(), certificate: &certificate, origin, connections_max: plan.idle + 500 };
    let mut measured = Vec::new();
    for kind in KINDS {
        measured.push((kind, peers::start(kind, &common).await?));
    }
    let mut rows = String::new();
    for shape in SHAPES.into_iter().filter(|shape| only.is_none_or(|only| shape.name().contains(only))) {
        eprintln!("{}", shape.name());
        rows.push_str(&measure(&plan, shape, &resuming, folder.path(), &measured).await?);
    }
    drop(measured);
    let mut idle = Vec::new();
    for kind in KINDS.into_iter().filter(|_| only.is_none_or(|only| "idle".contains(only))) {
        eprintln!("{} idle connections of {kind:?}", plan.idle);
        idle.push(idle_at(plan.idle, &resuming, &peers::start(kind, &common).await?).await?);
    }
    let idle = if idle.is_empty() { String::new() } else { idle_rows(&idle)? };
    let body = text(&plan, &conditions, &rows, &idle);
    if only.is_some() {
        println!("{body}");
        return Ok(());
    }
    report::write("https", &body)
}

async fn measure(
    plan: &Plan,
    shape: Shape,
    resuming: &ClientTls,
    folder: &Path,
    peers: &[(peers::Kind, Peer)],
) -> anyhow::Result<String> {
    let tls = match shape {
        Shape::NewFull => resuming.without_resumption(),
        _ => resuming.clone(),
    };
    let mut samples: Vec<Vec<Sample>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds {
        for turn in 0..peers.len() {
            // The one that goes first alternates.
            let index = (turn + round) % peers.len();
            let (Some((kind, peer)), Some(list)) = (peers.get(index), samples.get_mut(index)) else {
                continue;
            };
            let address = shape.address(*kind, peer);
            list.push(match shape.load() {
                Some(load) => load::sample(plan.seconds, load, &tls, address, peer.pid).await?,
                None => {
                    // A peer that shares nothing may connect behind for each of them.
                    let requests = match shape {
                        Shape::Http2Shared => plan.http2_requests,
                        _ => plan.http2_requests / 4,
                    };
                    let amount = (requests, HTTP2_CLIENTS, HTTP2_STREAMS);
                    tokio::task::block_in_place(|| load::sample_http2(amount, folder, (address, peer.pid)))?
                }
            });
        }
    }
    row(shape, &samples)
}

fn row(shape: Shape, samples: &[Vec<Sample>]) -> anyhow::Result<String> {
    let digits = if matches!(shape, Shape::Large) { 0 } else { 1 };
    let mut columns = vec![shape.name().to_owned()];
    for list in samples {
        columns.push(load::spread(list, |sample| sample.cpu_us_per_request)?.text(digits));
    }
    columns.push(ratio(samples, |sample| sample.cpu_us_per_request, f64::min)?.text(2));
    let shown = |value: fn(&Sample) -> f64, digits: usize| -> anyhow::Result<String> {
        let middles: Result<Vec<String>, _> = samples
            .iter()
            .map(|list| load::spread(list, value).map(|spread| format!("{:.digits$}", spread.middle)))
            .collect();
        Ok(middles?.join(" / "))
    };
    columns.push(shown(|sample| sample.requests_per_second, 0)?);
    columns.push(ratio(samples, |sample| sample.requests_per_second, f64::max)?.text(2));
    columns.push(shown(|sample| sample.p99_ms, 1)?);
    columns.push(ratio(samples, |sample| sample.p99_ms, f64::min)?.text(2));
    Ok(format!("| {} |\n", columns.join(" | ")))
}

/// Ours over that of the peer that is better, round by round.
fn ratio(
    samples: &[Vec<Sample>],
    value: fn(&Sample) -> f64,
    better: fn(f64, f64) -> f64,
) -> anyhow::Result<Spread> {
    let [ours, first, second] = samples else { anyhow::bail!("three are measured") };
    // The better one by its middle, so that chance in single rounds does not choose.
    let (one, other) = (load::spread(first, value)?.middle, load::spread(second, value)?.middle);
    let theirs = if better(one, other) == one { first } else { second };
    let ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(ours, theirs)| value(ours) / value(theirs)).collect();
    Spread::of(&ratios)
}

/// KiB of memory for each connection.
struct Idle {
    silent: f64,
    answered: f64,
    base_mib: f64,
}

async fn idle_at(count: usize, tls: &ClientTls, peer: &Peer) -> anyhow::Result<Idle> {
    // What the first connections set up once is no matter of each.
    for _ in 0..OPENING {
        Connection::open(peer.own, tls).await?.ask_root().await?;
    }
    tokio::time::sleep(SETTLING).await;
    let base_mib = process::tree_resident_mib(peer.pid)?;
    let open: Vec<usize> = (0..count).collect();
    let address = peer.own;
    let clients = by_some(open, |_| {
        let tls = tls.clone();
        async move { Connection::open(address, &tls).await }
    })
    .await?;
    tokio::time::sleep(SETTLING).await;
    let silent = process::tree_resident_mib(peer.pid)?;
    let clients = by_some(clients, Connection::ask_root).await?;
    tokio::time::sleep(SETTLING).await;
    let answered = process::tree_resident_mib(peer.pid)?;
    let each = f64::from(u32::try_from(clients.len())?);
    Ok(Idle {
        silent: (silent - base_mib) * 1024.0 / each,
        answered: (answered - base_mib) * 1024.0 / each,
        base_mib,
    })
}

/// Does something with all, not too many at once.
async fn by_some<T, U, F>(items: Vec<T>, work: impl Fn(T) -> F) -> anyhow::Result<Vec<U>>
where
    U: Send + 'static,
    F: Future<Output = anyhow::Result<U>> + Send + 'static,
{
    let (mut done, mut running) = (Vec::with_capacity(items.len()), JoinSet::new());
    for item in items {
        if running.len() >= OPENING
            && let Some(one) = running.join_next().await
        {
            done.push(one??);
        }
        running.spawn(work(item));
    }
    while let Some(one) = running.join_next().await {
        done.push(one??);
    }
    Ok(done)
}

fn idle_rows(idle: &[Idle]) -> anyhow::Result<String> {
    let [ours, nginx, haproxy] = idle else { anyhow::bail!("three are measured") };
    let row = |name: &str, value: fn(&Idle) -> f64| {
        let (ours, nginx, haproxy) = (value(ours), value(nginx), value(haproxy));
        format!("| {name} | {ours:.1} | {nginx:.1} | {haproxy:.1} | {:.2} |\n", ours / nginx.min(haproxy))
    };
    Ok(row("KiB of a connection after its handshake", |idle| idle.silent)
        + &row("KiB of a connection after an answer", |idle| idle.answered)
        + &row("MiB of the process before", |idle| idle.base_mib))
}

fn text(plan: &Plan, conditions: &str, rows: &str, idle: &str) -> String {
    format!(
        "## HTTPS edge against nginx and HAProxy\n\n{conditions}\n{versions}, both Debian's with OpenSSL; all three on two \
         threads, in TLS 1.3 on both sides, with one ECDSA certificate, the same suites and tickets, the server behind \
         verified, and a line of the access log for each request. Client, proxies and the server behind share the cores, so \
         requests per second are bound by all of them; the comparison is CPU of the proxy's processes. Each figure is the \
         middle of {rounds} rounds in turns, with lowest and highest; a ratio is ours over that of the peer that does better. \
         HTTP/2 is loaded by h2load with {HTTP2_CLIENTS} connections of {HTTP2_STREAMS} streams, and all else by clients of the \
         bench: 16 with new connections, 32 kept alive, 4 for 10 MiB.\n\n\
         Not equal: ours opens one connection behind for each client connection, in HTTP/2 one for each of its streams at once, as \
         logins by NTLM demand. HAProxy does the same in HTTP/1.1 (`http-reuse never`). nginx cannot keep a connection behind for one \
         client: it opens one for each request in the rows of new connections, and shares 64 between clients where they are kept \
         alive, which nobody may do in front of Exchange. In the last row both peers share, in the one before neither. Bodies are not \
         buffered (nginx with 64 KiB in one piece). Only ours checks framing, normalises paths and looks for known attacks.\n\n\
         | load | ours: CPU us/request | nginx | HAProxy | CPU, ours over the better | requests/s: ours / nginx / HAProxy | \
         requests/s, ours over the better | p99 ms: ours / nginx / HAProxy | p99, ours over the better \
         |\n|--|--|--|--|--|--|--|--|--|\n{rows}\n\
         {count} idle connections without a connection behind, on processes started for this:\n\n\
         | resident memory | ours | nginx | HAProxy | ours over the better |\n|--|--|--|--|--|\n{idle}\n\
         Aims: no more CPU for a request than the better peer in every row; at most 13 KiB for an idle connection.",
        versions = peers::versions(),
        rounds = plan.rounds,
        count = plan.idle,
    )
}
