//! `bench connections`: what a connection costs while nothing happens on it, a thousand at work, and slow senders
//! beside fast ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pc_testkit::{Behaviour, Client, Receiver};
use pc_tls::{ClientTls, Roots};
use tokio::task::JoinSet;

use crate::process;
use crate::report::{self, Spread};
use crate::smtp::{self, Load, Peer};

/// What is measured.
pub struct Plan {
    idle: usize,
    active: usize,
    slow: usize,
    rounds: usize,
    seconds: f64,
}

impl Plan {
    pub fn full() -> Self {
        Self { idle: 10_000, active: 1_000, slow: 200, rounds: 3, seconds: 3.0 }
    }

    /// To see that the bench itself works.
    pub fn quick() -> Self {
        Self { idle: 500, active: 100, slow: 20, rounds: 2, seconds: 1.0 }
    }
}

/// Senders that are not slow, beside those that are.
const FAST: usize = 20;
/// Handshakes under way at once while idle connections are opened.
const OPENING: usize = 50;
/// A slow sender writes a few octets of its message, then pauses for so long.
const SLOW_PAUSE: Duration = Duration::from_millis(500);

pub async fn run(plan: Plan) -> anyhow::Result<()> {
    let conditions = report::conditions();
    let folder = tempfile::tempdir()?;
    let sink = Receiver::start(Behaviour::AcceptAndForget, None).await?;
    let certificate = smtp::certificate(folder.path(), "localhost")?;
    let tls = ClientTls::new(Roots::CaFile(certificate.chain.clone()), None)?;
    let (portcullis, _child) = smtp::portcullis(folder.path(), &certificate, sink.address, "")?;
    let (postfix, _instance) =
        smtp::postfix(&certificate, &[("smtpd_proxy_filter", sink.address.to_string())])?;
    smtp::wait_for(portcullis.address).await?;
    smtp::wait_for(postfix.address).await?;

    eprintln!("{} idle connections", plan.idle);
    let idle = idle(&plan, &tls, &portcullis).await?;
    let active = Load { octets: 4 * 1024, connections: plan.active, messages_per_connection: 20 };
    eprintln!("{} active connections", plan.active);
    let mut at_work = Vec::new();
    for _ in 0..plan.rounds {
        at_work.push(smtp::sample(plan.seconds, active, &tls, &portcullis).await?);
    }
    eprintln!("{} slow beside {FAST} fast", plan.slow);
    let ours = slow_beside_fast(&plan, &tls, &portcullis).await?;
    let theirs = slow_beside_fast(&plan, &tls, &postfix).await?;

    let per_second: Vec<f64> = at_work.iter().map(|sample| sample.messages_per_second).collect();
    let cpu: Vec<f64> = at_work.iter().map(|sample| sample.cpu_ms_per_message).collect();
    let body = format!(
        "## Many connections\n\n{conditions}\n\n\
         | what | figure |\n|--|--|\n\
         | memory of an idle connection after STARTTLS and EHLO, {} open | {:.1} KB |\n\
         | memory that stays after they left, of each | {:.1} KB |\n\
         | {} connections at work, 4 KiB: messages/s | {} |\n\
         | the same: CPU ms/message | {} |\n\
         | {FAST} fast senders beside {} slow ones, of their messages/s alone: ours | {} |\n\
         | the same: Postfix | {} |\n\n\
         A slow sender is inside DATA and writes a line every {} ms. Postfix may run 250 processes, so that it has one for \
         every sender. Aim: an idle connection under 20 KB.",
        plan.idle,
        idle.each_kb,
        idle.left_kb,
        plan.active,
        Spread::of(&per_second)?.text(0),
        Spread::of(&cpu)?.text(3),
        plan.slow,
        ours.text(2),
        theirs.text(2),
        SLOW_PAUSE.as_millis(),
    );
    report::write("connections", &body)
}

struct Idle {
    each_kb: f64,
    left_kb: f64,
}

async fn idle(plan: &Plan, tls: &ClientTls, peer: &Peer) -> anyhow::Result<Idle> {
    let before = process::resident_mib(peer.pid)?;
    let mut clients = Vec::with_capacity(plan.idle);
    let mut opening = JoinSet::new();
    for number in 0..plan.idle {
        if opening.len() >= OPENING
            && let Some(client) = opening.join_next().await
        {
            clients.push(client??);
        }
        if number % 1_000 == 0 {
            eprintln!("  {number} open");
        }
        opening.spawn(smtp::greeted(peer.address, tls.clone()));
    }
    while let Some(client) = opening.join_next().await {
        clients.push(client??);
    }
    let open = process::resident_mib(peer.pid)?;
    drop(clients);
    // The node notices at once; its allocator gives pages back later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = process::resident_mib(peer.pid)?;
    let count = f64::from(u32::try_from(plan.idle)?);
    let each = |mib: f64| (mib - before) * 1024.0 * 1.024 / count;
    Ok(Idle { each_kb: each(open), left_kb: each(after) })
}

/// What fast senders get done beside slow ones, of what they get done alone.
async fn slow_beside_fast(plan: &Plan, tls: &ClientTls, peer: &Peer) -> anyhow::Result<Spread> {
    let load = Load { octets: 4 * 1024, connections: FAST, messages_per_connection: 20 };
    let mut ratios = Vec::new();
    for _ in 0..plan.rounds {
        let alone = smtp::sample(plan.seconds, load, tls, peer).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let inside = Arc::new(AtomicU64::new(0));
        let mut slow = JoinSet::new();
        for _ in 0..plan.slow {
            slow.spawn(crawl(peer.address, tls.clone(), Arc::clone(&stop), Arc::clone(&inside)));
        }
        while inside.load(Ordering::Relaxed) < plan.slow as u64 && !slow.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let beside = smtp::sample(plan.seconds, load, tls, peer).await?;
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = slow.join_next().await {
            ended??;
        }
        ratios.push(beside.messages_per_second / alone.messages_per_second);
    }
    Spread::of(&ratios)
}

async fn crawl(
    address: SocketAddr,
    tls: ClientTls,
    stop: Arc<AtomicBool>,
    inside: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut client: Client = smtp::greeted(address, tls).await?;
    for command in ["MAIL FROM:<slow@example.net>", "RCPT TO:<recipient@example.org>", "DATA"] {
        client.command(command).await?;
    }
    inside.fetch_add(1, Ordering::Relaxed);
    client.write(b"Subject: slow\r\n\r\n").await?;
    while !stop.load(Ordering::Relaxed) {
        client.write(b"a line\r\n").await?;
        tokio::time::sleep(SLOW_PAUSE).await;
    }
    client.command(".").await?;
    Ok(())
}
