//! Writing results into `docs/performance.md`, each between its own marks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::process;

/// Lowest, middle and highest of some values.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> anyhow::Result<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = *sorted.get(sorted.len() / 2).context("no values")?;
        Ok(Self {
            low: *sorted.first().context("no values")?,
            middle,
            high: *sorted.last().context("no values")?,
        })
    }

    /// `2.0 (1.9 to 2.1)`
    pub fn text(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$} to {:.digits$})", self.middle, self.low, self.high)
    }
}

/// Replaces what stands between the marks of `section`, or appends it.
pub fn write(section: &str, body: &str) -> anyhow::Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    let (begin, end) = (format!("<!-- {section}: begin -->"), format!("<!-- {section}: end -->"));
    let block = format!("{begin}\n{}\n{end}", body.trim_end());
    let written = match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) => {
            let before = text.get(..from).unwrap_or_default();
            let after = text.get(to + end.len()..).unwrap_or_default();
            format!("{before}{block}{after}")
        }
        _ => format!("{}\n\n{block}\n", text.trim_end()),
    };
    fs::write(path, written)?;
    println!("{body}");
    Ok(())
}

/// One line on where and when.
pub fn conditions() -> String {
    let date = Command::new("date").arg("-u").arg("+%Y-%m-%d %H:%M UTC").output();
    let date = date
        .map_or_else(|_| "unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Measured {date} on {}, {cores} cores in a virtual machine, load average {} at the start.",
        process::processor(),
        process::load_average()
    )
}

const HEAD: &str = "# Performance\n\nEvery table is written by `cargo xtask bench`, which runs the product and its peer in turns.\n";
