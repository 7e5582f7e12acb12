//! `plinth-worker scan`: for operators who have added a scanner, or whose scanner was unavailable
//! for a long time.

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::Scans;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde::Serialize;

use crate::app::SERVICE;
use crate::commands::APPLICATION;

/// The arguments of `scan`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also scan files that were stored before there was a scanner. They stay available unless a
    /// virus is found
    #[arg(long)]
    unscanned: bool,
    /// Give up all pending scans instead, for example after the scanner was removed for good. These
    /// files become available unscanned
    #[arg(long, conflicts_with = "unscanned")]
    waive: bool,
}

/// The report that is printed.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Pending scans that had no job and were enqueued.
    asked_again: u64,
    /// Unscanned blobs whose scans were enqueued.
    unscanned: u64,
    /// Blobs that became available unscanned.
    waived: u64,
    /// Blobs that failed and were passed over; see the log.
    #[serde(skip_serializing_if = "crate::commands::is_zero")]
    passed_over: u64,
}

/// Runs the command and returns the line to print.
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
            "PLINTH_CLAMAV_ADDRESS is not set, so there is no scanner"
        );
        let again = scans.ask_again().await?;
        (report.asked_again, report.passed_over) = (again.done, again.passed_over);
        if arguments.unscanned {
            let unscanned = scans.ask_for_unscanned().await?;
            report.unscanned = unscanned.done;
            report.passed_over += unscanned.passed_over;
        }
    }
    crate::commands::report_line(&report, report.passed_over)
}
