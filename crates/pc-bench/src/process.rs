//! What the kernel says about processes.

use std::fs;

use anyhow::Context;

/// Clock ticks a second in /proc, which Linux fixes at 100 for user space (proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process tree of one level: the process, its living children, and those it has
/// waited for.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut sum = ticks(pid)?;
    for child in children(pid)? {
        // A child may end while it is looked at; then its parent has waited for it next time.
        sum += ticks(child).unwrap_or(0);
    }
    Ok(f64::from(u32::try_from(sum).unwrap_or(u32::MAX)) / TICKS_PER_SECOND)
}

/// Resident memory in MiB.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u32 = line.split_ascii_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// The same of a process and its children.
pub fn tree_resident_mib(pid: u32) -> anyhow::Result<f64> {
    let mut sum = resident_mib(pid)?;
    for child in children(pid)? {
        sum += resident_mib(child)?;
    }
    Ok(sum)
}

/// Name of the processor.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    model.trim_start_matches(['\t', ' ', ':']).to_owned()
}

/// One-minute load average.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces; the fields begin after its closing bracket.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5), the state being field 3.
    let mut sum = 0;
    for index in 11..=14 {
        sum += fields.get(index).context("no such field")?.parse::<u64>()?;
    }
    Ok(sum)
}

fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    text.split_ascii_whitespace().map(|word| Ok(word.parse()?)).collect()
}
