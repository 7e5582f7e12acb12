//! `plinth-worker cleanup`: one clean-up, meant for cron.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Kind, Request};
use plinth_platform::settings::{Settings, Value as _};
use plinth_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::app::SERVICE;
use crate::early_stop;

/// The arguments of `cleanup`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Count what would be removed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Remove data that expired at least this long ago, like 12h or 30d, instead of the times in
    /// the settings.
    #[arg(long, value_name = "DURATION", value_parser = Duration::parse)]
    older_than: Option<Duration>,
    /// Only these kinds, separated by commas, with their names in the report [default: all]
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    only: Vec<Kind>,
}

/// Cleans up once, and prints the report as a line of JSON. SIGTERM stops it after the running
/// statement.
///
/// # Errors
/// Some data could not be removed, or the clean-up was stopped. The report is printed anyway.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, SERVICE)?;
    let Arguments {
        dry_run,
        older_than,
        only,
    } = arguments;
    let request = Request {
        only,
        older_than,
        dry_run,
    };
    let (kept, stop) = (Kept::of(settings), CancellationToken::new());
    let report = early_stop::run_until(
        early_stop::shutdown_signal(),
        &stop,
        Box::pin(cleanup::run(&stores, &kept, &request, &stop)),
    )
    .await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    anyhow::ensure!(!report.stopped, "stopped before the end");
    match report.failures() {
        Some(failures) => Err(anyhow::anyhow!(
            "some data could not be removed: {failures}"
        )),
        None => Ok(()),
    }
}
