//! The memory of a process as the kernel counts it, in MiB.

use std::fs;

use anyhow::{Context as _, Result};

/// Returns the memory that is resident now.
pub(crate) fn resident(pid: i32) -> Result<f64> {
    field(pid, "VmRSS:")
}

/// Returns the most memory that was resident since the last reset.
pub(crate) fn peak(pid: i32) -> Result<f64> {
    field(pid, "VmHWM:")
}

/// Resets the peak, so that the next one belongs to the measured work.
pub(crate) fn reset_peak(pid: i32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
        .context("resetting the peak of a process's memory")
}

fn field(pid: i32, name: &str) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("reading a process's memory")?;
    parse(&status, name).with_context(|| format!("the status of the process lacks {name}"))
}

fn parse(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1536 kB\n";
        assert_eq!(parse(status, "VmHWM:"), Some(2.0));
        assert_eq!(parse(status, "VmRSS:"), Some(1.5));
        assert_eq!(parse(status, "VmSwap:"), None);
    }
}
