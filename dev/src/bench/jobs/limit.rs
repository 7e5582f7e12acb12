//! What one commit a job can be at most on this machine: pgbench's own simple update.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::super::Bed;
use crate::process::foreground;
use crate::provision;

const DATABASE: &str = "pgbench";
const SECONDS: &str = "8";
const CLIENTS: &str = "16";

/// pgbench's tables in a database of their own.
pub(super) struct Limit {
    url: String,
}

impl Limit {
    pub(super) async fn prepare(bed: &Bed) -> Result<Self> {
        let url = bed.stack.create_database(DATABASE)?;
        run(&url, &["--initialize", "--quiet", "--scale=16"]).await?;
        Ok(Self { url })
    }

    /// Transactions a second with 16 clients.
    pub(super) async fn measure(&self) -> Result<f64> {
        let args = [
            "--skip-some-updates",
            "--client",
            CLIENTS,
            "--jobs=2",
            "--time",
            SECONDS,
        ];
        let report = run(&self.url, &args).await?;
        let rate = report
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        rate.and_then(|text| text.parse().ok())
            .with_context(|| format!("pgbench said something else: {report}"))
    }
}

async fn run(url: &str, args: &[&str]) -> Result<String> {
    let program = provision::postgres(None)?.program("pgbench");
    let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
    let output = foreground::output(command.args(args).arg(url)).await?;
    ensure!(
        output.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
