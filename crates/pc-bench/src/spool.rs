//! `bench spool`: taking mail into custody, synced to the disk, against Postfix's own queue. Neither delivers
//! meanwhile: ours holds the target, Postfix puts everything on hold.

use std::path::Path;
use std::process::Command;

use anyhow::bail;
use pc_testkit::{Behaviour, Receiver};
use pc_tls::{ClientTls, Roots};

use crate::report::{self, Spread};
use crate::smtp::{self, Load, Sample};

/// What is measured.
pub struct Plan {
    loads: &'static [(usize, usize)],
    rounds: usize,
    seconds: f64,
}

impl Plan {
    pub fn full() -> Self {
        Self {
            loads: &[(4 * 1024, 1), (4 * 1024, 20), (4 * 1024, 100), (100 * 1024, 20)],
            rounds: 3,
            seconds: 3.0,
        }
    }

    /// To see that the bench itself works.
    pub fn quick() -> Self {
        Self { loads: &[(4 * 1024, 20)], rounds: 2, seconds: 1.0 }
    }
}

pub async fn run(plan: Plan) -> anyhow::Result<()> {
    let conditions = report::conditions();
    let folder = tempfile::tempdir()?;
    let disk = disk_of(folder.path())?;
    let sink = Receiver::start(Behaviour::AcceptAndForget, None).await?;
    let certificate = smtp::certificate(folder.path(), "localhost")?;
    let tls = ClientTls::new(Roots::CaFile(certificate.chain.clone()), None)?;
    let spool = "[spool]\nmode = \"always\"\n";
    let (portcullis, _child) = smtp::portcullis(folder.path(), &certificate, sink.address, spool)?;
    let (postfix, _instance) =
        smtp::postfix(&certificate, &[("smtpd_client_restrictions", "static:HOLD".to_owned())])?;
    smtp::wait_for(portcullis.address).await?;
    smtp::wait_for(postfix.address).await?;
    let held = Command::new(smtp::program())
        .args(["spool", "hold", "--upstream", "sink", "--config"])
        .arg(folder.path().join("portcullis.toml"))
        .status()?;
    if !held.success() {
        bail!("the target could not be held");
    }

    let mut rows = String::new();
    for &(octets, connections) in plan.loads {
        eprintln!("{octets} octets, {connections} connections");
        let load = Load { octets, connections, messages_per_connection: 20 };
        let mut samples: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
        for round in 0..plan.rounds {
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for index in order {
                let peer = if index == 0 { &portcullis } else { &postfix };
                if let Some(list) = samples.get_mut(index) {
                    list.push(smtp::sample(plan.seconds, load, &tls, peer).await?);
                }
            }
        }
        rows.push_str(&row(load, &samples)?);
    }
    let body = format!(
        "## Spool against Postfix's queue\n\n{conditions}\nBoth on one disk ({disk}), STARTTLS, 20 messages a connection, \
         every message synced before its 250. Ours holds the target, Postfix puts all mail on hold, so that neither \
         delivers. Aim: at least 2 times Postfix.\n\n\
         | message | connections | ours: messages/s | Postfix: messages/s | ratio | ours: CPU ms/message | Postfix: CPU \
         ms/message | messages per CPU second, ours over Postfix |\n|--|--|--|--|--|--|--|--|\n{rows}"
    );
    report::write("spool", &body)
}

/// File system type of a folder; in memory a sync costs nothing, so nothing would be measured.
fn disk_of(folder: &Path) -> anyhow::Result<String> {
    let output = Command::new("df").arg("--output=fstype").arg(folder).output()?;
    let kind = String::from_utf8_lossy(&output.stdout).lines().nth(1).unwrap_or("unknown").trim().to_owned();
    if kind == "tmpfs" {
        bail!("{} is in memory; set TMPDIR to a folder on a disk", folder.display());
    }
    Ok(kind)
}

fn row(load: Load, [ours, theirs]: &[Vec<Sample>; 2]) -> anyhow::Result<String> {
    let spread =
        |list: &[Sample], value: fn(&Sample) -> f64| Spread::of(&list.iter().map(value).collect::<Vec<_>>());
    let pairs = || ours.iter().zip(theirs);
    let speed: Vec<f64> = pairs().map(|(a, b)| a.messages_per_second / b.messages_per_second).collect();
    let cpu: Vec<f64> = pairs().map(|(a, b)| b.cpu_ms_per_message / a.cpu_ms_per_message).collect();
    Ok(format!(
        "| {} KiB | {} | {} | {} | {} | {} | {} | {} |\n",
        load.octets / 1024,
        load.connections,
        spread(ours, |sample| sample.messages_per_second)?.text(0),
        spread(theirs, |sample| sample.messages_per_second)?.text(0),
        Spread::of(&speed)?.text(1),
        spread(ours, |sample| sample.cpu_ms_per_message)?.text(3),
        spread(theirs, |sample| sample.cpu_ms_per_message)?.text(3),
        Spread::of(&cpu)?.text(1),
    ))
}
