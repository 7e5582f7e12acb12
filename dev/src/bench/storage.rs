//! What uploads and downloads are measured against: sealing and hashing alone, and a plain stream to or from the same
//! store. A program of the product's own code does both.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::Bed;
use super::board::{Board, Goal, median};
use crate::build::{self, Profile};
use crate::process::foreground;
use crate::stack::Variables;

/// A gibibyte, which is what the program works with.
pub(super) const SIZE: u64 = 1 << 30;

/// Millions of bytes a second.
pub(super) fn rate(seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a gigabyte")]
    let megabytes = SIZE as f64 / 1e6;
    megabytes / seconds
}

#[derive(Debug, Deserialize)]
struct Rate {
    megabytes_per_second: f64,
}

/// The example `storage`, with the store of the stack.
pub(super) struct Storage {
    program: PathBuf,
    env: Variables,
}

impl Storage {
    pub(super) fn of(bed: &Bed) -> Result<Self> {
        let program = build::folder(Profile::Release)?.join("examples/storage");
        let env = bed.stack.environment.shared(&bed.stack.manifest.api_url);
        Ok(Self { program, env })
    }

    /// Millions of bytes a second of `seal`, `open`, `put` or `get`.
    pub(super) async fn rate(&self, work: &str) -> Result<f64> {
        let rate: Rate = serde_json::from_slice(&self.run(work).await?)
            .with_context(|| format!("the example storage said something else to {work}"))?;
        Ok(rate.megabytes_per_second)
    }

    /// Frees what `put` left.
    pub(super) async fn delete(&self) -> Result<()> {
        self.run("delete").await.map(drop)
    }

    async fn run(&self, work: &str) -> Result<Vec<u8>> {
        let mut command =
            foreground::through_shim(self.program.as_os_str(), Signal::SIGTERM, None)?;
        command
            .arg(work)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = foreground::output(&mut command).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the example storage, {work}: {said}"
        );
        Ok(output.stdout)
    }
}

/// Rates of the product and of what it is measured against, round by round.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    product: Vec<f64>,
    sealing: Vec<f64>,
    plain: Vec<f64>,
}

/// What the figures of the rounds are called.
pub(super) struct Names {
    pub(super) scenario: &'static str,
    pub(super) product: &'static str,
    pub(super) sealing: &'static str,
    pub(super) plain: &'static str,
}

impl Rounds {
    pub(super) fn add(&mut self, product: f64, sealing: f64, plain: f64) {
        self.product.push(product);
        self.sealing.push(sealing);
        self.plain.push(plain);
    }

    pub(super) fn tell(&self, names: &Names, board: &mut Board) {
        let scenario = names.scenario;
        board.note(scenario, names.product, median(&self.product), "MB/s");
        board.note(scenario, names.sealing, median(&self.sealing), "MB/s");
        board.note(scenario, names.plain, median(&self.plain), "MB/s");
        let ratio = median(&self.ratios());
        board.judge(
            scenario,
            "ratio to the slower of the two, median of 3",
            ratio,
            "",
            Goal::AtLeast(0.6),
        );
    }

    /// Of each round, to the slower of the two.
    fn ratios(&self) -> Vec<f64> {
        let bounds = self
            .sealing
            .iter()
            .zip(&self.plain)
            .map(|(sealing, plain)| sealing.min(*plain));
        self.product
            .iter()
            .zip(bounds)
            .map(|(product, bound)| product / bound)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_is_measured_against_its_own_slower_bound() {
        let mut rounds = Rounds::default();
        rounds.add(60.0, 100.0, 400.0);
        rounds.add(60.0, 400.0, 120.0);
        assert_eq!(rounds.ratios(), [0.6, 0.5]);
    }
}
