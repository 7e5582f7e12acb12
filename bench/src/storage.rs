//! The bounds of uploads and downloads: sealing and hashing alone, and a plain stream to or from
//! the same store. `bench-storage` measures both with the product's own code.

use anyhow::{Result, ensure};
use serde::Deserialize;

use plinth_dev::stack::Variables;

use super::report::{Goal, Report, median};
use super::{Fixture, program};

/// One GiB, the size that `bench-storage` works with.
pub(crate) const SIZE: u64 = 1 << 30;

/// Returns megabytes a second.
pub(crate) fn rate(seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a gigabyte")]
    let megabytes = SIZE as f64 / 1e6;
    megabytes / seconds
}

#[derive(Debug, Deserialize)]
struct Rate {
    megabytes_per_second: f64,
}

/// The store of the stack without the product.
pub(crate) struct Storage {
    env: Variables,
}

impl Storage {
    pub(crate) fn of(fixture: &Fixture) -> Self {
        let stack = &fixture.stack;
        let env = stack.environment.shared(&stack.manifest.api_url);
        Self { env }
    }

    /// Returns megabytes a second of `seal`, `open`, `put` or `get`.
    pub(crate) async fn rate(&self, work: &str) -> Result<f64> {
        let rate: Rate = program::json(&mut self.command(work)?).await?;
        Ok(rate.megabytes_per_second)
    }

    /// Deletes the object that `put` wrote.
    pub(crate) async fn delete(&self) -> Result<()> {
        let output = program::output(&mut self.command("delete")?).await?;
        ensure!(output.is_empty(), "{output}");
        Ok(())
    }

    fn command(&self, work: &str) -> Result<tokio::process::Command> {
        let mut command = program::sibling("bench-storage")?;
        command.arg(work).envs(self.env.iter().cloned());
        Ok(command)
    }
}

/// Rates of the product and of its two bounds, round by round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    product: Vec<f64>,
    sealing: Vec<f64>,
    plain: Vec<f64>,
}

/// The names of the figures of the rounds.
pub(crate) struct Names {
    pub(crate) product: &'static str,
    pub(crate) sealing: &'static str,
    pub(crate) plain: &'static str,
}

impl Rounds {
    pub(crate) fn add(&mut self, product: f64, sealing: f64, plain: f64) {
        self.product.push(product);
        self.sealing.push(sealing);
        self.plain.push(plain);
    }

    pub(crate) fn report(&self, names: &Names, report: &mut Report) {
        report.figure(names.product, median(&self.product), "MB/s");
        report.figure(names.sealing, median(&self.sealing), "MB/s");
        report.figure(names.plain, median(&self.plain), "MB/s");
        let name = "ratio to the slower of the two, median of 3";
        report.goal(name, median(&self.ratios()), "", Goal::AtLeast(0.6));
    }

    /// Returns the ratio of each round to its slower bound.
    fn ratios(&self) -> Vec<f64> {
        let bounds = self.sealing.iter().zip(&self.plain);
        let products = self.product.iter().zip(bounds);
        products
            .map(|(product, (sealing, plain))| product / sealing.min(*plain))
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
