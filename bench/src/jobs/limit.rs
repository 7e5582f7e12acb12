//! The upper bound of one commit a job on this machine: pgbench's simple update.

use anyhow::{Context as _, Result};
use plinth_dev::provision;
use tokio::process::Command;

use crate::{Fixture, program};

const DATABASE: &str = "pgbench";
const SECONDS: &str = "8";
const CLIENTS: &str = "16";

/// The tables of pgbench in a database of their own.
pub(super) struct Limit {
    url: String,
}

impl Limit {
    pub(super) async fn prepare(fixture: &Fixture) -> Result<Self> {
        let url = fixture.stack.create_database(DATABASE)?;
        run(&url, &["--initialize", "--quiet", "--scale=16"]).await?;
        Ok(Self { url })
    }

    /// Returns transactions a second with 16 clients.
    pub(super) async fn measure(&self) -> Result<f64> {
        let (clients, time) = (["--client", CLIENTS], ["--time", SECONDS]);
        let args = [&["--skip-some-updates", "--jobs=2"], &clients[..], &time].concat();
        let report = run(&self.url, &args).await?;
        let rate = report
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        rate.and_then(|text| text.parse().ok())
            .with_context(|| format!("unexpected report of pgbench: {report}"))
    }
}

async fn run(url: &str, args: &[&str]) -> Result<String> {
    let pgbench = provision::postgres(None)?.program("pgbench");
    program::output(Command::new(pgbench).args(args).arg(url)).await
}
