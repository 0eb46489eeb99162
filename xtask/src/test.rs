//! `cargo xtask test`.

use std::time::Instant;

use anyhow::bail;

use crate::{generate, packages, shell, tidy};

type Step = (&'static str, fn(&mut Report) -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("format", |_| shell::run("cargo", &["fmt", "--all", "--check"])),
    ("clippy", |_| {
        shell::run("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    }),
    ("tidy", |_| tidy::run()),
    ("gen", |_| generate::run(generate::Mode::Check)),
    ("deny", deny),
    ("tests", tests),
];

/// What the steps have to tell besides success.
#[derive(Default)]
struct Report {
    skipped: Vec<String>,
}

/// Runs all steps or one, to the end even when one fails.
pub fn run(only: Option<&str>) -> anyhow::Result<()> {
    if only.is_some_and(|only| STEPS.iter().all(|(name, _)| *name != only)) {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("no such step; there are {}", names.join(", "));
    }
    let mut report = Report::default();
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, step) in STEPS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let started = Instant::now();
        eprintln!("== {name}");
        match step(&mut report) {
            Ok(()) => passed += 1,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed.push(*name);
            }
        }
        eprintln!("== {name}: {} s", started.elapsed().as_secs());
    }
    for line in &report.skipped {
        println!("skipped: {line}");
    }
    println!("steps: {passed} passed, {} failed, {} skipped", failed.len(), report.skipped.len());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Bans, licences and sources of dependencies; advisories where their database can be reached.
fn deny(report: &mut Report) -> anyhow::Result<()> {
    let folder = shell::root().join("target/tools");
    let program = if shell::has("cargo-deny") {
        "cargo-deny".to_owned()
    } else {
        let program = folder.join("bin/cargo-deny");
        if !program.is_file() {
            let folder = folder.display().to_string();
            let install = [
                "install",
                "cargo-deny",
                "--version",
                "0.20.2",
                "--locked",
                "--no-default-features",
                "--root",
                &folder,
            ];
            if let Err(error) = shell::run("cargo", &install) {
                report.skipped.push(format!("deny: cargo-deny could not be installed: {error:#}"));
                return Ok(());
            }
        }
        program.display().to_string()
    };
    shell::run(&program, &["--locked", "check", "bans", "licenses", "sources"])?;
    if shell::run(&program, &["--locked", "fetch", "db"]).is_err() {
        report.skipped.push("advisories: the advisory database cannot be reached from here".to_owned());
        return Ok(());
    }
    shell::run(&program, &["--locked", "check", "--disable-fetch", "advisories"])
}

fn tests(report: &mut Report) -> anyhow::Result<()> {
    let missing = packages::prepare();
    for (group, why) in &missing {
        report.skipped.push(format!("{}* {why}", group.tests));
    }
    // The tests start the program itself.
    shell::run("cargo", &["build", "--locked", "--package", "portcullis"])?;
    if shell::has("cargo-nextest") {
        let filter = missing
            .iter()
            .map(|(group, _)| format!("not test(/^{}/)", group.tests))
            .collect::<Vec<_>>()
            .join(" and ");
        let mut arguments =
            vec!["nextest", "run", "--workspace", "--locked", "--status-level", "slow", "--no-fail-fast"];
        if !filter.is_empty() {
            arguments.extend(["--filterset", &filter]);
        }
        return shell::run("cargo", &arguments);
    }
    let mut arguments = vec!["test", "--workspace", "--locked", "--no-fail-fast", "--quiet", "--"];
    for (group, _) in &missing {
        arguments.extend(["--skip", group.tests]);
    }
    shell::run("cargo", &arguments)
}
