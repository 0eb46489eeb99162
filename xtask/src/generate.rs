//! `cargo xtask gen`: files that are made from code, so that they cannot drift.

use std::fs;

use anyhow::{Context, bail};

use crate::shell;

/// Write the files or only compare them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Fail when a file differs.
    Check,
    /// Write them.
    Write,
}

/// Path of a generated file and the arguments of `portcullis` that print it.
const FILES: &[(&str, &[&str])] = &[
    ("docs/portcullis.toml", &["config", "default"]),
    ("docs/cli.md", &["help", "--markdown"]),
    ("docs/openapi.json", &["help", "--openapi"]),
    ("docs/tls-standard.txt", &["tls", "standard"]),
];

pub fn run(mode: Mode) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (path, arguments) in FILES {
        let mut command = vec!["run", "--quiet", "--locked", "--package", "portcullis", "--"];
        command.extend_from_slice(arguments);
        let text = shell::output("cargo", &command)?;
        let path = shell::root().join(path);
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            continue;
        }
        stale.push(path.display().to_string());
        if mode == Mode::Write {
            fs::create_dir_all(path.parent().context("a generated file has a folder")?)?;
            fs::write(&path, text)?;
        }
    }
    match mode {
        Mode::Check if !stale.is_empty() => bail!("out of date, run `cargo xtask gen`: {}", stale.join(", ")),
        _ => Ok(()),
    }
}
