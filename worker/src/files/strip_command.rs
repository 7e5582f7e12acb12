//! `plinth-worker strip`: what operators do after the policy on metadata was switched on.

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::Stripping;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde::Serialize;

use crate::app::SERVICE;
use crate::commands::APPLICATION;

/// Which pictures are to lose their metadata.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Those of before the policy, too. What is available stays so until its metadata is gone
    #[arg(long)]
    kept: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Pictures that wait for it and that nobody was about to strip.
    asked_again: u64,
    kept: u64,
    /// Pictures for which that failed; the log says why.
    #[serde(skip_serializing_if = "crate::commands::is_zero")]
    passed_over: u64,
}

/// Does it; the line to print.
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
    crate::commands::finished(&report, report.passed_over)
}
