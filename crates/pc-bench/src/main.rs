//! # Purpose
//! `cargo xtask bench`: measures in turns against the named peer, in one go on one machine, and
//! writes the result into `docs/performance.md`.
//!
//! # Invariants
//! Load goes to loopback only and is bounded in count and time. Figures are ratios with their
//! spread; a missed aim is written down like a met one.

mod connections;
mod enforce;
mod https;
mod judge;
mod process;
mod report;
mod smtp;
mod spool;
mod trace;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match words.as_slice() {
        ["judge"] => judge::run(),
        ["smtp"] => runtime.block_on(async {
            smtp::run(smtp::Plan::full()).await?;
            connections::run(connections::Plan::full()).await?;
            spool::run(spool::Plan::full()).await
        }),
        ["smtp", "--quick"] => runtime.block_on(async {
            smtp::run(smtp::Plan::quick()).await?;
            connections::run(connections::Plan::quick()).await?;
            spool::run(spool::Plan::quick()).await
        }),
        ["connections"] => runtime.block_on(connections::run(connections::Plan::full())),
        ["spool"] => runtime.block_on(spool::run(spool::Plan::full())),
        ["enforce"] => runtime.block_on(enforce::run(enforce::Plan::full())),
        ["enforce", "--quick"] => runtime.block_on(enforce::run(enforce::Plan::quick())),
        ["https"] => runtime.block_on(https::run(https::Plan::full(), None)),
        ["https", "--quick"] => runtime.block_on(https::run(https::Plan::quick(), None)),
        ["https", "--only", row] => runtime.block_on(https::run(https::Plan::full(), Some(row))),
        ["trace"] => runtime.block_on(trace::run(trace::Plan::full())),
        ["trace", "--quick"] => runtime.block_on(trace::run(trace::Plan::quick())),
        _ => bail!(
            "usage: cargo xtask bench judge | smtp [--quick] | connections | spool | https [--quick | --only ROW] | enforce [--quick] | trace \
             [--quick]"
        ),
    }
}
