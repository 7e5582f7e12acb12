//! wrk, the load generator, and what it reports.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::process::foreground;
use crate::provision;

/// One run of wrk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) url: &'a str,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// A header, `Name: value`.
    pub(super) header: Option<&'a str>,
    /// A Lua script that says what is sent.
    pub(super) script: Option<&'a Path>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    /// What 99 of 100 answers did not take longer than, in milliseconds.
    pub(super) p99: f64,
    /// Answers that were no success, and connections that broke.
    pub(super) failures: u64,
}

impl Load<'_> {
    pub(super) async fn run(self) -> Result<Outcome> {
        let program = provision::wrk()?;
        let mut args: Vec<OsString> = vec![
            "-t1".into(),
            "--latency".into(),
            "--timeout".into(),
            "20s".into(),
        ];
        args.push(format!("-c{}", self.connections).into());
        args.push(format!("-d{}s", self.seconds).into());
        if let Some(header) = self.header {
            args.extend(["-H".into(), header.into()]);
        }
        if let Some(script) = self.script {
            args.extend(["-s".into(), script.into()]);
        }
        args.push(self.url.into());
        let mut wrk = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
        let output = foreground::output(wrk.args(args)).await?;
        let report = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "wrk: {report}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        parse(&report).with_context(|| format!("wrk said something else: {report}"))
    }
}

fn parse(report: &str) -> Option<Outcome> {
    let after = |label: &str| {
        report
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
    };
    let per_second: f64 = after("Requests/sec:")?.trim().parse().ok()?;
    let p99 = milliseconds(after("99%")?.trim())?;
    let refused: u64 =
        after("Non-2xx or 3xx responses:").map_or(Some(0), |text| text.trim().parse().ok())?;
    // `connect 0, read 0, write 0, timeout 0`
    let broken = after("Socket errors:").unwrap_or_default();
    let broken: u64 = broken
        .split([' ', ','])
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    Some(Outcome {
        per_second,
        p99,
        failures: refused + broken,
    })
}

/// A span of time as wrk writes it, e.g. `635.91us`.
fn milliseconds(text: &str) -> Option<f64> {
    let unit = text.find(|symbol: char| symbol.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_with_and_without_failures() {
        let good = "Running 4s test\n  Latency Distribution\n     50%  635.91us\n     99%    2.87ms\n  \
                    8 requests in 4.00s, 1MB read\nRequests/sec:  12345.67\nTransfer/sec: 1MB\n";
        assert_eq!(
            parse(good),
            Some(Outcome {
                per_second: 12345.67,
                p99: 2.87,
                failures: 0
            })
        );
        let bad = "     99%    1.50s \n  Socket errors: connect 0, read 1, write 0, timeout 2\n  \
                   Non-2xx or 3xx responses: 7\nRequests/sec: 1.5\n";
        assert_eq!(
            parse(bad),
            Some(Outcome {
                per_second: 1.5,
                p99: 1_500.0,
                failures: 10
            })
        );
        assert_eq!(parse("unable to connect"), None);
    }
}
