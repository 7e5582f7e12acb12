//! `plinth-worker reconcile`: one comparison of S3 and PostgreSQL, for cron and for operators.

use std::io::Write as _;

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::reconcile::{self, Request};
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::app::SERVICE;
use crate::early_stop;

/// The arguments of `reconcile`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Arguments {
    /// Report differences, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also read all contents and compare them with their hashes.
    #[arg(long)]
    read_contents: bool,
    /// Remove orphaned objects even if there are many, for example after two databases shared a
    /// bucket by mistake.
    #[arg(long)]
    remove_many: bool,
    /// Mark the bucket as the one of this database, for example after a restore or for a copy of
    /// both. Only reports orphaned objects; the next run removes them.
    #[arg(long)]
    adopt: bool,
}

/// Compares once, and prints the report as a line of JSON. SIGTERM stops it after the current page;
/// a job continues from there.
///
/// # Errors
/// Contents are lost, or the comparison was stopped. The report is printed anyway.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, SERVICE)?;
    let request = Request {
        dry_run: arguments.dry_run || arguments.adopt,
        read_contents: arguments.read_contents,
        remove_many: arguments.remove_many,
        abandoned_after: settings.files.abandoned_after,
        orphans_kept: settings.files.orphans_kept.0,
        after: None,
    };
    if arguments.adopt {
        reconcile::adopt(&stores).await?;
    }
    let stop = CancellationToken::new();
    let report = early_stop::run_until(
        early_stop::shutdown_signal(),
        &stop,
        Box::pin(reconcile::run(&stores, &request, &stop)),
    )
    .await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    anyhow::ensure!(!report.stopped, "stopped before the end");
    if let Some(reason) = report.held_back_because {
        anyhow::bail!(
            "nothing was removed: {reason}. If this database belongs to this bucket and is not older \
             than it, run with --adopt. To remove many objects, run with --remove-many"
        );
    }
    anyhow::ensure!(
        report.passed_over == 0,
        "{} items failed and were passed over",
        report.passed_over
    );
    anyhow::ensure!(
        !report.has_losses(),
        "contents are lost; the report names the first blobs"
    );
    Ok(())
}
