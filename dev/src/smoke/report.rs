//! One line for each step of the journey.

use std::process::ExitCode;

use anyhow::Result;
use tokio::time::Instant;

use crate::console;

/// The journey ends at the first step that fails.
#[derive(Debug)]
pub(super) struct Failed;

/// Counts and prints the steps.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Runs a step and prints its line.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T, Failed> {
        let start = Instant::now();
        let outcome = work.await;
        let milliseconds = start.elapsed().as_millis();
        let (outcome, end) = match outcome {
            Ok(value) => (Ok(value), "ok".to_owned()),
            Err(error) => (Err(Failed), format!("FAILED: {error:#}")),
        };
        console::print(&format!("{name:<34} {milliseconds:>6} ms  {end}"));
        match outcome {
            Ok(_) => self.passed += 1,
            Err(Failed) => self.failed += 1,
        }
        outcome
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Prints the last line and returns the exit status.
    pub(super) fn close(&self) -> ExitCode {
        console::print(&format!("{} passed, {} failed", self.passed, self.failed));
        if self.has_failed() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
