//! wrk, the load generator, and its report.

use std::path::Path;

use anyhow::{Context as _, Result};
use plinth_dev::provision;
use tokio::process::Command;

use super::program;

/// One run of wrk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) url: &'a str,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// A header, `Name: value`.
    pub(crate) header: Option<&'a str>,
    /// A Lua script that makes the requests.
    pub(crate) script: Option<&'a Path>,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    /// The 99th percentile of latency, in milliseconds.
    pub(crate) p99: f64,
    /// Answers without success, and broken connections.
    pub(crate) failures: u64,
}

impl Load<'_> {
    pub(crate) async fn run(self) -> Result<Outcome> {
        let mut wrk = Command::new(provision::wrk()?);
        wrk.args(["-t1", "--latency", "--timeout", "20s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds));
        if let Some(header) = self.header {
            wrk.args(["-H", header]);
        }
        if let Some(script) = self.script {
            wrk.arg("-s").arg(script);
        }
        let report = program::output(wrk.arg(self.url)).await?;
        parse(&report).with_context(|| format!("unexpected report of wrk: {report}"))
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

/// Reads a duration as wrk writes it, e.g. `635.91us`.
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
        let expected = Outcome {
            per_second: 12345.67,
            p99: 2.87,
            failures: 0,
        };
        assert_eq!(parse(good), Some(expected));
        let bad = "     99%    1.50s \n  Socket errors: connect 0, read 1, write 0, timeout 2\n  \
                   Non-2xx or 3xx responses: 7\nRequests/sec: 1.5\n";
        let expected = Outcome {
            per_second: 1.5,
            p99: 1_500.0,
            failures: 10,
        };
        assert_eq!(parse(bad), Some(expected));
        assert_eq!(parse("unable to connect"), None);
    }
}
