//! `plinth-worker reconcile`: one comparison, for cron and for whoever wants to know.

use std::io::Write as _;

use clap::Args;
use plinth_core::Stores;
use plinth_core::files::reconcile::{self, Request};
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::app::SERVICE;
use crate::early;

/// What is compared.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Arguments {
    /// Report, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Read every byte and compare it with its hash, too.
    #[arg(long)]
    read_contents: bool,
    /// Remove objects that nobody has also where they are many, as after a bucket was shared by mistake.
    #[arg(long)]
    remove_many: bool,
    /// Mark the bucket as that of this database, as after a restore or for a copy of both, then report without removing
    /// anything. What no file has is removed by the next run.
    #[arg(long)]
    adopt: bool,
}

/// Compares once, and prints the report as a line of JSON. SIGTERM ends it after the page that is compared; a job goes on.
///
/// # Errors
/// When bytes are lost, or it was ended before it was through. What was found is printed all the same.
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
    let report = early::until(
        early::asked(),
        &stop,
        Box::pin(reconcile::run(&stores, &request, &stop)),
    )
    .await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    anyhow::ensure!(!report.stopped, "ended before it was through");
    if let Some(reason) = report.held_back_because {
        anyhow::bail!(
            "nothing was removed: {reason}. If this is the database of this bucket and nothing newer is missing in it, \
             --adopt says so; --remove-many removes many"
        );
    }
    anyhow::ensure!(
        report.passed_over == 0,
        "{} items failed and were passed over",
        report.passed_over
    );
    anyhow::ensure!(
        !report.has_losses(),
        "bytes are lost; the report names the first blobs"
    );
    Ok(())
}
