//! `plinth-worker strip`: for operators who have enabled metadata stripping.

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::Stripping;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde::Serialize;

use crate::app::SERVICE;
use crate::commands::APPLICATION;

/// The arguments of `strip`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also strip images that were stored before stripping was enabled. They stay available in the
    /// meantime
    #[arg(long)]
    kept: bool,
}

/// The report that is printed.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Images with pending stripping that had no job and were enqueued.
    asked_again: u64,
    /// Images stored before stripping was enabled that were enqueued.
    kept: u64,
    /// Images that failed and were passed over; see the log.
    #[serde(skip_serializing_if = "crate::commands::is_zero")]
    passed_over: u64,
}

/// Runs the command and returns the line to print.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<String> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, APPLICATION)?;
    let stripping = Stripping::new(&stores, &settings.files.presets);
    let again = stripping.ask_again().await?;
    let mut report = Report {
        asked_again: again.done,
        kept: 0,
        passed_over: again.passed_over,
    };
    if arguments.kept {
        let kept = stripping.ask_for_kept().await?;
        report.kept = kept.done;
        report.passed_over += kept.passed_over;
    }
    crate::commands::report_line(&report, report.passed_over)
}
