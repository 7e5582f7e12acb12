//! One line a check: outcome, name, seconds, and a remark.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use tokio::time::Instant;

use crate::console;

/// A failure has at most this many lines.
const MAX_LINES: usize = 120;

/// Counts and prints the outcomes.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Runs a check, which returns a remark or nothing.
    pub(super) async fn check(&mut self, name: &str, check: impl Future<Output = Result<String>>) {
        progress(name);
        let start = Instant::now();
        let outcome = check.await;
        progress("");
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(remark) => {
                self.passed += 1;
                console::print(format!("ok      {name:<22} {seconds:>6.1} s  {remark}").trim_end());
            }
            Err(error) => {
                self.failed += 1;
                console::print(&format!("FAILED  {name:<22} {seconds:>6.1} s"));
                console::print(&indent(&format!("{error:#}")));
            }
        }
    }

    /// Prints the last line and returns the exit status.
    pub(super) fn close(&self) -> ExitCode {
        console::print(&format!("{} passed, {} failed", self.passed, self.failed));
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Shows the running check on a terminal.
fn progress(name: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(
            stderr,
            "\r\x1b[K{name}{}",
            if name.is_empty() { "" } else { " ..." }
        );
        let _ = stderr.flush();
    }
}

fn indent(text: &str) -> String {
    let mut lines: Vec<_> = text.trim_end().lines().map(str::to_owned).collect();
    let more = lines.len().saturating_sub(MAX_LINES);
    if more > 0 {
        lines.truncate(MAX_LINES);
        lines.push(format!("... and {more} more lines"));
    }
    format!("        {}", lines.join("\n        "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_failure_is_cut() {
        let text = "line\n".repeat(500);
        let shown = indent(&text);
        assert_eq!(shown.lines().count(), MAX_LINES + 1);
        assert!(shown.ends_with("... and 380 more lines"));
    }
}
