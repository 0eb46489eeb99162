//! # Purpose
//! The one binary: reads the command line, wires the parts, ends in order.
//!
//! # Trust
//! The operator. Files named on the command line may come from anybody and are parsed by pure crates.
//!
//! # Invariants
//! Exit codes: 0 good; 1 the answer is bad; 2 usage; 64 configuration; 70 internal.

#![expect(missing_docs, reason = "a library for the binary and its tests only; it promises nothing")]

pub mod acme;
mod attestation;
mod catalogue;
mod cli;
mod command;
mod connector;
mod demo;
pub mod exit;
mod hooks;
pub mod node;
mod node_limits;
mod node_watch;
mod ocsp;
mod output;
mod own_tls;
pub mod rule_pack;
pub mod serve;
pub mod stream;
pub mod web_edge;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::Failure;

/// Runs the command line of this process.
pub fn run_command_line() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Prints help to standard output and errors to standard error; a broken pipe is no matter.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("portcullis: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<u8, Failure> {
    let context = command::Context { config: cli.config, json: cli.json };
    match cli.command {
        Command::Attest(arguments) => on_runtime(command::attest::run(&context, arguments)),
        Command::Catalog(arguments) => on_runtime(command::catalog::run(&context, arguments)),
        Command::Config(arguments) => command::config::run(&context, &arguments),
        Command::Demo(arguments) => on_runtime(demo::run(arguments)),
        Command::Doctor => on_runtime(command::doctor::run(&context)),
        Command::Enforce(arguments) => on_runtime(command::servers::enforce(&context, arguments)),
        Command::Help(arguments) => command::help::run(&arguments),
        Command::Judge(arguments) => command::judge::run(&context, &arguments),
        Command::Admin(arguments) => command::admin::run(arguments),
        Command::Notices(arguments) => on_runtime(command::notices::run(&context, arguments)),
        Command::Pause(arguments) => on_runtime(command::pause::run(&context, arguments)),
        Command::Report(arguments) => on_runtime(command::servers::report(&context, arguments)),
        Command::Rules(arguments) => on_runtime(command::rules::run(&context, arguments)),
        Command::Serve => on_runtime(serve::run(&context)),
        Command::Servers(arguments) => on_runtime(command::servers::run(&context, arguments)),
        Command::Spool(arguments) => on_runtime(command::spool::run(&context, arguments)),
        Command::Tls(arguments) => on_runtime(command::tls::run(&context, arguments)),
        Command::Trace(arguments) => on_runtime(command::trace::run(&context, arguments)),
    }
}

fn on_runtime<F: Future<Output = Result<u8, Failure>>>(work: F) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime could not be started: {error}")))?;
    runtime.block_on(work)
}
