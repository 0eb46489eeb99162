//! The clients.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pc_tls::{ClientStream, ClientTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::origin::SMALL;
use super::peers::{self, NAME};
use crate::process;
use crate::report::Spread;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// What clients of HTTP/1.1 do.
#[derive(Clone, Copy)]
pub struct Load {
    pub path: &'static str,
    /// Of the body.
    pub octets: usize,
    pub clients: usize,
    /// Each request on a connection of its own.
    pub is_new_each: bool,
}

/// One run against one peer.
#[derive(Clone, Copy)]
pub struct Sample {
    pub requests_per_second: f64,
    pub cpu_us_per_request: f64,
    pub p99_ms: f64,
}

struct Counted {
    stop: AtomicBool,
    /// Of bodies, so that a large one counts as it comes.
    octets: AtomicU64,
}

/// Loads a peer and looks at it for some seconds.
pub async fn sample(
    seconds: f64,
    load: Load,
    tls: &ClientTls,
    address: SocketAddr,
    pid: u32,
) -> anyhow::Result<Sample> {
    let counted = Arc::new(Counted { stop: AtomicBool::new(false), octets: AtomicU64::new(0) });
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        let (tls, counted) = (tls.clone(), Arc::clone(&counted));
        clients.spawn(async move { client(load, tls, address, &counted).await });
    }
    tokio::time::sleep(WARM_UP).await;
    let (cpu, octets, began) =
        (process::cpu_seconds(pid)?, counted.octets.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let ended = Instant::now();
    let cpu = process::cpu_seconds(pid)? - cpu;
    let octets = counted.octets.load(Ordering::Relaxed) - octets;
    counted.stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(finished) = clients.join_next().await {
        let finished = finished??;
        let inside = finished.into_iter().filter(|(at, _)| (began..ended).contains(at));
        latencies.extend(inside.map(|(_, took)| took.as_secs_f64() * 1000.0));
    }
    #[expect(clippy::as_conversions, reason = "of no more than some gigabytes")]
    let requests = octets as f64 / load.octets as f64;
    if requests < 1.0 {
        bail!("nothing came through in {seconds} s");
    }
    Ok(Sample {
        requests_per_second: requests / (ended - began).as_secs_f64(),
        cpu_us_per_request: cpu * 1e6 / requests,
        p99_ms: percentile(&mut latencies, 0.99)?,
    })
}

/// With when each request ended, and how long it took.
async fn client(
    load: Load,
    tls: ClientTls,
    address: SocketAddr,
    counted: &Counted,
) -> anyhow::Result<Vec<(Instant, Duration)>> {
    let mut took = Vec::new();
    let mut kept = None;
    while !counted.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(address, &tls).await?,
        };
        let status = connection.ask(load.path, Some(counted)).await?;
        if status != 200 {
            bail!("answered {status}");
        }
        let ended = Instant::now();
        took.push((ended, ended - began));
        if load.is_new_each {
            connection.close().await;
        } else {
            kept = Some(connection);
        }
    }
    Ok(took)
}

/// One client connection.
pub struct Connection {
    stream: ClientStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr, tls: &ClientTls) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connected = tls.connect(stream, NAME, HANDSHAKE_TIMEOUT).await?;
        Ok(Self { stream: connected.stream, buffer: Vec::new() })
    }

    /// Asks, reads the answer to its end, and gives its status.
    async fn ask(&mut self, path: &str, counted: Option<&Counted>) -> anyhow::Result<u16> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        self.buffer.resize(64 * 1024, 0);
        let mut filled = 0;
        let (end, head) = loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            let count = self.stream.read(room).await?;
            if count == 0 {
                bail!("closed before the end of a header");
            }
            filled += count;
            let read = self.buffer.get(..filled).unwrap_or_default();
            if let Some(end) = read.windows(4).position(|octets| octets == b"\r\n\r\n") {
                let head = read.get(..end).unwrap_or_default();
                break (end + 4, String::from_utf8_lossy(head).to_ascii_lowercase());
            }
        };
        let status = head.get(9..12).context("no status")?.parse()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no Content-Length")?.trim().parse()?;
        let count = |octets: usize| {
            if let Some(counted) = counted {
                counted.octets.fetch_add(octets as u64, Ordering::Relaxed);
            }
        };
        let mut left = length.checked_sub(filled - end).context("more than was asked for")?;
        count(filled - end);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                bail!("closed before the end of a body");
            }
            count(read);
            left = left.checked_sub(read).context("more than was asked for")?;
        }
        Ok(status)
    }

    /// Asks for what every peer answers itself, with no connection behind.
    pub async fn ask_root(mut self) -> anyhow::Result<Self> {
        match self.ask("/", None).await? {
            302 => {}
            status => bail!("/ was answered {status}"),
        }
        // Thousands of these are held.
        self.buffer = Vec::new();
        Ok(self)
    }

    async fn close(mut self) {
        // Who is gone already is no matter.
        let _ = self.stream.shutdown().await;
    }
}

/// `requests` of HTTP/2 by h2load, on `clients` connections with `streams` at once on each.
pub fn sample_http2(
    (requests, clients, streams): (u32, u32, u32),
    folder: &Path,
    (address, pid): (SocketAddr, u32),
) -> anyhow::Result<Sample> {
    let log = folder.join("h2load");
    let cpu = process::cpu_seconds(pid)?;
    let output = Command::new(peers::path("h2load").context("no h2load")?)
        .args(["-n", &requests.to_string(), "-c", &clients.to_string(), "-m", &streams.to_string()])
        .arg(format!("--connect-to={}", address))
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("https://{NAME}:{}{SMALL}", address.port()))
        .stdin(Stdio::null())
        .output()?;
    let cpu = process::cpu_seconds(pid)? - cpu;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !said.contains("Application protocol: h2\n") || !said.contains(&format!(" {requests} succeeded,")) {
        bail!("h2load against {}:\n{said}", address);
    }
    let rows = fs::read_to_string(&log)?;
    let _ = fs::remove_file(&log);
    // Start, status and duration; the times in microseconds.
    let mut span: Option<(f64, f64)> = None;
    let mut took = Vec::new();
    for row in rows.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [start, status, duration] = columns.as_slice() else { bail!("h2load wrote {row:?}") };
        if *status != "200" {
            bail!("answered {status}");
        }
        let (start, duration): (f64, f64) = (start.parse()?, duration.parse()?);
        let (first, last) = span.unwrap_or((start, start));
        span = Some((first.min(start), last.max(start + duration)));
        took.push(duration / 1000.0);
    }
    let (first, last) = span.context("h2load wrote nothing")?;
    let count = f64::from(requests);
    Ok(Sample {
        requests_per_second: count * 1e6 / (last - first),
        cpu_us_per_request: cpu * 1e6 / count,
        p99_ms: percentile(&mut took, 0.99)?,
    })
}

/// Of some values, in the middle of several such runs.
pub fn spread(samples: &[Sample], value: fn(&Sample) -> f64) -> anyhow::Result<Spread> {
    Spread::of(&samples.iter().map(value).collect::<Vec<_>>())
}

fn percentile(values: &mut [f64], share: f64) -> anyhow::Result<f64> {
    values.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(values.len())?);
    #[expect(clippy::as_conversions, reason = "a share of a length")]
    let place = (count * share) as usize;
    values.get(place).or(values.last()).copied().context("no values")
}
