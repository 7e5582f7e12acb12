//! `plinth-worker keys`: the encryption keys of files.

use clap::Subcommand;
use plinth_core::Stores;
use plinth_core::files;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use tokio_util::sync::CancellationToken;

use super::APPLICATION;
use crate::app::SERVICE;
use crate::early_stop;

/// Commands for the encryption keys of files.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Wrap the key of every file with the first key of PLINTH_FILES_MASTER_KEYS, and print one
    /// line of JSON.
    Rewrap {
        /// Count the keys that another key wraps, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the command. Returns the line to print, and whether all keys were processed.
///
/// # Errors
/// PostgreSQL is unavailable.
pub async fn run(settings: &Settings, command: &Keys) -> anyhow::Result<(String, bool)> {
    let Keys::Rewrap { dry_run } = command;
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, APPLICATION)?;
    let stop = CancellationToken::new();
    let done = early_stop::run_until(
        early_stop::shutdown_signal(),
        &stop,
        Box::pin(files::rewrap(&stores, *dry_run, &stop)),
    )
    .await?;
    Ok((
        serde_json::to_string(&done)? + "\n",
        done.failed == 0 && !done.stopped,
    ))
}
