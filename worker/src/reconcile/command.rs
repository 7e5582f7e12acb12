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
}

/// Compares once, and prints the report as a line of JSON. SIGTERM ends it after the page that is compared; a job goes on.
///
/// # Errors
/// When bytes are lost, or it was ended before it was through. What was found is printed all the same.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, SERVICE)?;
    let request = Request {
        dry_run: arguments.dry_run,
        read_contents: arguments.read_contents,
        remove_many: arguments.remove_many,
        abandoned_after: settings.files.abandoned_after,
        after: None,
    };
    let stop = CancellationToken::new();
    let report =
        early::until(early::asked(), &stop, Box::pin(reconcile::run(&stores, &request, &stop))).await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    anyhow::ensure!(!report.stopped, "ended before it was through");
    anyhow::ensure!(
        !report.held_back,
        "too many objects are nobody's: is this the database of this bucket? --remove-many removes them"
    );
    anyhow::ensure!(!report.has_losses(), "bytes are lost; the report names the first blobs");
    Ok(())
}
