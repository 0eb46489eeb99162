//! The commands, one module each.

pub mod admin;
pub mod attest;
pub mod catalog;
pub mod config;
pub mod doctor;
pub mod floors;
pub mod help;
pub mod judge;
pub mod notices;
pub mod pause;
pub mod rules;
pub mod servers;
pub mod spool;
pub mod tls;
mod tls_acme;
pub mod tls_check;
mod tls_clients;
pub mod tls_dns;
mod tls_records;
pub mod trace;

use std::fs;
use std::path::PathBuf;

use pc_config::Config;
use pc_exchange::Catalogue;
use pc_net::Clock;
use pc_types::{Timestamp, time};

use crate::catalogue::Revisions;
use crate::exit::Failure;

/// What all commands share.
pub struct Context {
    pub config: Option<PathBuf>,
    pub json: bool,
}

impl Context {
    /// The configuration file, or the quick start's settings.
    pub fn load(&self) -> Result<Config, Failure> {
        let Some(path) = &self.config else { return Ok(Config::quick_start()) };
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::configuration(format!("{} cannot be read: {error}", path.display())))?;
        Config::parse(&text).map_err(|diagnostics| {
            let lines: Vec<String> =
                diagnostics.iter().map(|diagnostic| format!("\n  {diagnostic}")).collect();
            let count = match lines.len() {
                1 => "1 error".to_owned(),
                count => format!("{count} errors"),
            };
            Failure::configuration(format!("{} has {count}:{}", path.display(), lines.concat()))
        })
    }
}

/// The catalogue in use: the newest revision in the data folder, the folder of the configuration, or the one in
/// the binary.
pub fn catalogue(config: &Config) -> Result<Catalogue, Failure> {
    Revisions::of(config).in_use(config).map(|in_use| in_use.catalogue)
}

/// The moment a command speaks of.
pub fn moment(text: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = text else { return Ok(Clock::System.now()) };
    parse_moment(text)
}

/// A time, or a date, which stands for its first moment in UTC.
pub fn parse_moment(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    text.parse::<pc_types::Date>()
        .map(time::start_of)
        .map_err(|_| Failure::usage(format!("{text:?} is no time; write 2026-11-23T16:25:00Z or 2026-11-23")))
}
