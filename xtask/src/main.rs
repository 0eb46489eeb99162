//! # Purpose
//! Automation of the project. `cargo xtask help` lists the commands; CI calls nothing else.
//!
//! # Invariants
//! A step that cannot run for want of a tool says so in one line and is counted as skipped; it is
//! never counted as passed.

mod generate;
mod packages;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--only STEP]   everything that proves the product; installs Debian packages when it may
  crash --minutes N    kills the program under load, again and again, and counts the mail
  tidy                 house rules: layers, dependencies, file lengths, banned words
  bench smtp|https|judge|enforce|trace measures against the named peer, writes docs/performance.md
  gen [--check]        regenerates (or checks) files that are made from code
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(None),
        ["test", "--only", step] => test::run(Some(step)),
        ["crash", "--minutes", minutes] => crash(minutes),
        ["tidy"] => tidy::run(),
        ["gen"] => generate::run(generate::Mode::Write),
        ["gen", "--check"] => generate::run(generate::Mode::Check),
        ["bench", rest @ ..] => bench(rest),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The crash tests with new seeds, for as long as asked.
fn crash(minutes: &str) -> anyhow::Result<()> {
    let set = format!("PORTCULLIS_CRASH_MINUTES={}", minutes.parse::<u32>()?);
    let test = [
        "cargo",
        "test",
        "--locked",
        "--package",
        "portcullis",
        "--test",
        "it",
        "crash::",
        "--",
        "--nocapture",
    ];
    shell::run("env", &[&[set.as_str()], &test[..]].concat())
}

/// The load generator is a crate of its own, so that the everyday build does without it.
fn bench(arguments: &[&str]) -> anyhow::Result<()> {
    shell::run("cargo", &["build", "--release", "--package", "portcullis"])?;
    let mut command = vec!["run", "--release", "--package", "pc-bench", "--"];
    command.extend_from_slice(arguments);
    shell::run("cargo", &command)
}
