//! `plinth-worker scan`: what operators do after a scanner was added, or was away for long.

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::Scans;
use plinth_platform::settings::Settings;
use serde::Serialize;

use crate::commands::APPLICATION;

/// What is to be scanned.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files that nobody has scanned, too: those of before there was a scanner. They stay available until something is
    /// found in them
    #[arg(long)]
    unscanned: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    /// Scans that are waited for and that nobody was about to do.
    asked_again: u64,
    unscanned: u64,
}

/// Asks the workers; the line to print.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<String> {
    let stores = Stores::new(settings, APPLICATION)?;
    anyhow::ensure!(
        stores.antivirus.clamd().is_some(),
        "PLINTH_CLAMAV_ADDRESS is not set: nobody would scan"
    );
    let scans = Scans::new(&stores, &settings.files.presets);
    let asked_again = scans.ask_again().await?;
    let unscanned = if arguments.unscanned { scans.ask_for_unscanned().await? } else { 0 };
    Ok(serde_json::to_string(&Report { asked_again, unscanned })? + "\n")
}
