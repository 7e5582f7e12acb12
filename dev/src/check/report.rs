//! One line a check: outcome, name, seconds, and a remark.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use tokio::time::Instant;

use crate::console;

/// A tool that complains about everything does not fill the screen.
const MOST_LINES: usize = 120;

/// Counts and prints.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Runs a check. What it returns is a remark, often none.
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

    /// The last line, and the exit status.
    pub(super) fn close(&self) -> ExitCode {
        console::print(&format!("{} passed, {} failed", self.passed, self.failed));
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// On a terminal, what is being done now.
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
    let lines: Vec<_> = text.trim_end().lines().collect();
    let mut indented: Vec<_> = lines
        .iter()
        .take(MOST_LINES)
        .map(|line| format!("        {line}"))
        .collect();
    if lines.len() > MOST_LINES {
        indented.push(format!(
            "        ... and {} lines more",
            lines.len() - MOST_LINES
        ));
    }
    indented.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_complaint_is_cut() {
        let text = "line\n".repeat(500);
        let shown = indent(&text);
        assert_eq!(shown.lines().count(), MOST_LINES + 1);
        assert!(shown.ends_with("... and 380 lines more"));
    }
}
