//! `plinth-worker scan`: what operators do after a scanner was added, or was away for long.

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::Scans;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde::Serialize;

use crate::app::SERVICE;
use crate::commands::APPLICATION;

/// What is to be scanned.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files that nobody has scanned, too: those of before there was a scanner. They stay available until something is
    /// found in them
    #[arg(long)]
    unscanned: bool,
    /// Give up the scans that are waited for instead, as after the scanner was taken away for good: these files become
    /// available unscanned
    #[arg(long, conflicts_with = "unscanned")]
    waive: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Scans that are waited for and that nobody was about to do.
    asked_again: u64,
    unscanned: u64,
    /// Files' contents that became available unscanned.
    waived: u64,
    /// Files' contents for which that failed; the log says why.
    #[serde(skip_serializing_if = "crate::commands::is_zero")]
    passed_over: u64,
}

/// Does it; the line to print.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<String> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, APPLICATION)?;
    let scans = Scans::new(&stores, &settings.files.presets);
    let mut report = Report::default();
    if arguments.waive {
        let waived = scans.waive().await?;
        (report.waived, report.passed_over) = (waived.done, waived.passed_over);
    } else {
        anyhow::ensure!(
            stores.antivirus.clamd().is_some(),
            "PLINTH_CLAMAV_ADDRESS is not set: nobody would scan"
        );
        let again = scans.ask_again().await?;
        (report.asked_again, report.passed_over) = (again.done, again.passed_over);
        if arguments.unscanned {
            let unscanned = scans.ask_for_unscanned().await?;
            report.unscanned = unscanned.done;
            report.passed_over += unscanned.passed_over;
        }
    }
    crate::commands::finished(&report, report.passed_over)
}
