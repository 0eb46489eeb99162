//! `demo`: the main job on real sockets. A gate, a receiving server behind it and five senders run
//! in this process on loopback; the ladder's clock runs through ninety days in about a minute.

mod sender;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use pc_config::{Config, Domains, EnforcementMode, SmtpTarget, UpstreamHost, UpstreamTarget, UpstreamTls};
use pc_net::{Clock, ManualClock, Stopper};
use pc_telemetry::Metrics;
use pc_types::{SignedDuration, Timestamp, time};

use crate::cli::Demo;
use crate::exit::Failure;
use crate::output::print;
use crate::serve::Running;
use sender::{Sender, Tally, senders};

/// Days that pass.
const DAYS: i64 = 91;
/// The outdated 2016 is replaced by a current SE on this day.
const PATCH_DAY: i64 = 72;
/// Messages of each sender a day, at minutes spread over the hours.
const MESSAGES_PER_DAY: i64 = 8;
/// A day at speed 1.
const DAY_MILLISECONDS: f64 = 650.0;

pub async fn run(arguments: Demo) -> Result<u8, Failure> {
    if !arguments.speed.is_finite() || arguments.speed <= 0.0 {
        return Err(Failure::usage("--speed takes a number above 0"));
    }
    let folder =
        tempfile::tempdir().map_err(|error| Failure::internal(format!("temporary folder: {error}")))?;
    // Warnings only: the table below tells the story.
    let _ = pc_telemetry::start_logging(pc_telemetry::LogFormat::Text, "error");
    let metrics = Metrics::install().map_err(|error| Failure::internal(error.to_string()))?;
    let start = first_moment()?;
    let clock = ManualClock::new(start);
    let (stopper, stop) = Stopper::new();

    let behind_config = behind(&folder.path().join("behind"));
    let system = Clock::Manual(clock.clone());
    let mut behind = Running::start(&behind_config, metrics.clone(), system.clone(), &stop).await?;
    let gate_config = gate(&folder.path().join("gate"), &behind, arguments.port)?;
    let mut gate = Running::start(&gate_config, metrics, system, &stop).await?;
    let gate_address =
        gate.smtp_addresses.first().copied().ok_or_else(|| Failure::internal("no listener"))?;
    let mut senders = senders(gate_address, &gate.certificates)?;
    print(&introduction(&gate, &behind, start, &senders));

    play(&arguments, &clock, start, &mut senders, &gate).await?;

    finish_report(&gate, &gate_config, &senders, &folder.path().join("behind/maildir/new"), start).await?;
    if arguments.keep {
        print(&format!("\nPages and report stay up at http://{}/ until Ctrl-C.", gate.admin_address));
        let _ = tokio::signal::ctrl_c().await;
    }
    drop(senders);
    stopper.stop();
    gate.finish().await;
    behind.finish().await;
    Ok(0)
}

/// The day after the catalogue's facts end, so that no update comes out on the way.
fn first_moment() -> Result<Timestamp, Failure> {
    let catalogue =
        pc_exchange::Catalogue::embedded().map_err(|error| Failure::internal(crate::exit::chain(&error)))?;
    Ok(time::add_days(time::start_of(catalogue.as_of()), 1))
}

async fn play(
    arguments: &Demo,
    clock: &ManualClock,
    start: Timestamp,
    senders: &mut [Sender],
    gate: &Running,
) -> Result<(), Failure> {
    let day_length = Duration::from_secs_f64(DAY_MILLISECONDS / 1_000.0 / arguments.speed);
    let mut before: Vec<String> = Vec::new();
    for day in 0..DAYS {
        let began = Instant::now();
        if day == PATCH_DAY
            && let Some(sender) = senders.iter_mut().find(|sender| sender.is_patched_on_the_way)
        {
            sender.patch();
            print(&format!("day {day:>2}  {} is replaced by a current Exchange SE", sender.name));
        }
        let mut tallies = vec![Tally::default(); senders.len()];
        for slot in 0..MESSAGES_PER_DAY {
            // 3 hours apart, and each time at another minute of the hour.
            let minutes = slot * 180 + (slot * 7 + day * 13) % 60;
            clock.set(
                time::add_days(start, day)
                    .saturating_add(SignedDuration::from_mins(minutes))
                    .unwrap_or(start),
            );
            for (sender, tally) in senders.iter_mut().zip(&mut tallies) {
                sender.send(clock.now(), tally).await?;
            }
        }
        let records = gate.records.as_ref().map(|records| records.servers.all()).unwrap_or_default();
        let policies = gate.policies.load_full();
        let lines: Vec<String> = senders
            .iter()
            .zip(&tallies)
            .map(|(sender, tally)| {
                let record = records.iter().find(|record| record.address == sender.address);
                sender.line(record, policies.general(), clock.now(), tally)
            })
            .collect();
        // The stage is what changes rarely; the counts of a day change with the windows.
        let stages: Vec<String> =
            lines.iter().map(|line| line.split(" | ").next().unwrap_or_default().to_owned()).collect();
        if stages != before || day % 10 == 0 || day == DAYS - 1 {
            let date = time::date_of(clock.now());
            print(&format!(
                "day {day:>2}  {date}\n{}",
                lines.iter().map(|line| format!("        {line}\n")).collect::<String>()
            ));
        }
        before = stages;
        tokio::time::sleep(day_length.saturating_sub(began.elapsed())).await;
    }
    Ok(())
}

async fn finish_report(
    gate: &Running,
    config: &Config,
    senders: &[Sender],
    mail: &Path,
    start: Timestamp,
) -> Result<(), Failure> {
    if let Some(records) = &gate.records {
        records.writer.flush().await;
    }
    let socket = crate::node::socket_path(Path::new(&config.node.data));
    let report = pc_web::client::request(&socket, "GET", "/api/v1/report?format=text", None).await;
    let (_, report) = report.map_err(|error| Failure::internal(crate::exit::chain(&error)))?;
    print(&format!("\nThe report after {DAYS} days from {}:\n", time::date_of(start)));
    print(&String::from_utf8_lossy(&report));
    let taken: u64 = senders.iter().map(|sender| sender.delivered).sum();
    let received = std::fs::read_dir(mail).map_or(0, Iterator::count);
    let waiting: usize = senders.iter().map(Sender::waiting).sum();
    let bounced: u64 = senders.iter().map(|sender| sender.bounced).sum();
    print(&format!(
        "\n{taken} messages were answered 250 and {received} lie in the mailbox behind; {bounced} were refused with 5xx, \
         {waiting} still wait with their senders."
    ));
    print(&format!("The report as a page: http://{}/servers", gate.admin_address));
    if usize::try_from(taken).is_ok_and(|taken| taken == received) {
        Ok(())
    } else {
        Err(Failure::internal("the counts differ: please report this as a lost or doubled message"))
    }
}

fn introduction(gate: &Running, behind: &Running, start: Timestamp, senders: &[Sender]) -> String {
    let address =
        |running: &Running| running.smtp_addresses.first().map(ToString::to_string).unwrap_or_default();
    let list: Vec<String> = senders
        .iter()
        .map(|sender| format!("  {:<14} {:<24} {}\n", sender.address, sender.name, sender.story))
        .collect();
    format!(
        "A gate on {} (STARTTLS), a receiving server behind it on {} (TLS, certificate pinned), five senders:\n{}\n\
         The clock begins at {}; day {PATCH_DAY} brings a patch. Each line: stage, then mail of the day.\nPages: http://{}/\n",
        address(gate),
        address(behind),
        list.concat(),
        time::date_of(start),
        gate.admin_address,
    )
}

fn base(data: &Path, name: &str) -> Config {
    let mut config = Config::quick_start();
    config.node.data = data.display().to_string();
    if let Ok(name) = name.parse() {
        config.node.name = name;
    }
    for listener in &mut config.smtp.listeners {
        listener.address = loopback(0);
    }
    config.smtp.connections_per_address_max = config.smtp.connections_max;
    config.smtp.limits.client.shared.connections_per_minute = 0;
    config.admin.address = loopback(0);
    config
}

/// The server behind: another node, into a Maildir, with the ladder off.
fn behind(data: &Path) -> Config {
    let mut config = base(data, "mail.example.org");
    config.enforcement.mode = EnforcementMode::Off;
    for upstream in &mut config.upstreams {
        upstream.target = UpstreamTarget::Maildir { path: data.join("maildir").display().to_string() };
    }
    config
}

fn gate(data: &Path, behind: &Running, port: u16) -> Result<Config, Failure> {
    let mut config = base(data, "edge.example.org");
    config.enforcement.mode = EnforcementMode::Enforce;
    // A busy port is no reason to fail a demonstration.
    let is_free = TcpListener::bind(loopback(port)).is_ok();
    config.admin.address = loopback(if is_free { port } else { 0 });
    let address = behind.smtp_addresses.first().copied().ok_or_else(|| Failure::internal("no listener"))?;
    for upstream in &mut config.upstreams {
        upstream.name = "mail.example.org".to_owned();
        upstream.domains =
            "example.org".parse().map(|domain| Domains::Listed(vec![domain])).unwrap_or(Domains::All);
        upstream.target = UpstreamTarget::Smtp(SmtpTarget {
            hosts: vec![UpstreamHost {
                host: address.ip().to_string(),
                port: address.port(),
                priority: 0,
                tls_name: "mail.example.org".to_owned(),
                certificate_sha256: behind.certificates.leaf_sha256().first().copied(),
            }],
            tls: UpstreamTls::StartTls,
            ca_file: None,
            connections_max: 10,
            connect_timeout_seconds: 10,
            command_timeout_seconds: 60,
            // The demo's days pass in seconds.
            health_check_seconds: 0,
        });
    }
    Ok(config)
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
