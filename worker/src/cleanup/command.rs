//! `plinth-worker cleanup`: one clean-up, for cron.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Kind, Request};
use plinth_platform::settings::{Settings, Value as _};
use plinth_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::app::SERVICE;
use crate::early;

/// What is to be removed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Count what would be removed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Remove what has been over for so long, like 12h or 30d, in place of what the settings say.
    #[arg(long, value_name = "DURATION", value_parser = Duration::parse)]
    older_than: Option<Duration>,
    /// Only these, separated by commas, as the report names them [default: all]
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    only: Vec<Kind>,
}

/// Cleans up once, and prints the report as a line of JSON. SIGTERM ends it after the statement that runs.
///
/// # Errors
/// When something could not be removed, or it was ended before it was through. What was removed is printed all the same.
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
    let report = early::until(
        early::asked(),
        &stop,
        Box::pin(cleanup::run(&stores, &kept, &request, &stop)),
    )
    .await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    anyhow::ensure!(!report.stopped, "ended before it was through");
    match report.failures() {
        Some(failures) => Err(anyhow::anyhow!(
            "not everything could be removed: {failures}"
        )),
        None => Ok(()),
    }
}
