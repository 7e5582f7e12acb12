//! One line a step, and what a step needs of those before it.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use crate::console;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<T> {
    Done(T),
    /// The name of the step that failed first: this one or one that it needs.
    Failed(&'static str),
}

impl<T> Step<T> {
    /// This step as what another needs.
    pub(super) fn done(&self) -> Step<&T> {
        match self {
            Self::Done(value) => Step::Done(value),
            Self::Failed(name) => Step::Failed(name),
        }
    }

    /// This step and one more as what a third needs.
    pub(super) fn and<'a, U>(&'a self, other: &'a Step<U>) -> Step<(&'a T, &'a U)> {
        match (self, other) {
            (Self::Done(value), Step::Done(other)) => Step::Done((value, other)),
            (Self::Failed(name), _) | (_, Step::Failed(name)) => Step::Failed(name),
        }
    }
}

/// Counts and prints.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    passed: usize,
    failed: usize,
}

/// A step as a tool reads it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    step: &'a str,
    milliseconds: u128,
    outcome: &'a str,
    reason: Option<&'a str>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            passed: 0,
            failed: 0,
        }
    }

    /// Takes a step, or skips it because one that it needs has failed.
    pub(super) async fn step<A, T>(
        &mut self,
        name: &'static str,
        needed: Step<A>,
        work: impl AsyncFnOnce(A) -> Result<T>,
    ) -> Step<T> {
        let needed = match needed {
            Step::Done(needed) => needed,
            Step::Failed(failed) => {
                self.line(name, 0, "skipped", &format!("`{failed}` failed"));
                return Step::Failed(failed);
            }
        };
        let start = Instant::now();
        let outcome = work(needed).await;
        let milliseconds = start.elapsed().as_millis();
        match outcome {
            Ok(value) => {
                self.line(name, milliseconds, "ok", "");
                Step::Done(value)
            }
            Err(error) => {
                self.line(name, milliseconds, "FAILED", &format!("{error:#}"));
                Step::Failed(name)
            }
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        self.failed > 0
    }

    /// The last line, and the exit status.
    pub(super) fn close(&self) -> ExitCode {
        console::print(&if self.json {
            json!({ "passed": self.passed, "failed": self.failed }).to_string()
        } else {
            format!("{} passed, {} failed", self.passed, self.failed)
        });
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn line(&mut self, name: &str, milliseconds: u128, outcome: &str, reason: &str) {
        *(if outcome == "ok" {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
        console::print(&if self.json {
            let line = Line {
                step: name,
                milliseconds,
                outcome: &outcome.to_lowercase(),
                reason: (!reason.is_empty()).then_some(reason),
            };
            serde_json::to_string(&line).unwrap_or_default()
        } else {
            let separator = if reason.is_empty() { "" } else { ": " };
            format!("{name:<34} {milliseconds:>6} ms  {outcome}{separator}{reason}")
        });
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn what_needs_a_failed_step_is_skipped_and_counted_as_failed() {
        let mut report = Report::new(false);
        let first = report.step("first", Step::Done(()), async |()| Ok(1)).await;
        let second: Step<u8> = report
            .step("second", first.done(), async |_| bail!("no"))
            .await;
        let third = report
            .step("third", first.and(&second), async |_| Ok(()))
            .await;
        let fourth = report.step("fourth", third.done(), async |()| Ok(())).await;
        assert_eq!(fourth, Step::Failed("second"));
        assert_eq!((report.passed, report.failed), (1, 3));
    }
}
