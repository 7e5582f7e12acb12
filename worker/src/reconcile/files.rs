//! `files.reconcile`: compares S3 with PostgreSQL, for at most some time; another job goes on.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::files::reconcile::{self, Request};
use plinth_domain::job::ReconcileFiles;
use tokio_util::sync::CancellationToken;

use crate::early;
use crate::outcome::Done;

pub async fn compare(
    stores: Stores,
    job: ReconcileFiles,
    abandoned_after: Duration,
    within: Duration,
) -> Done {
    let stop = CancellationToken::new();
    let request = Request {
        dry_run: false,
        read_contents: false,
        remove_many: false,
        abandoned_after,
        after: job.after,
    };
    let report =
        early::until(early::after(within), &stop, Box::pin(reconcile::run(&stores, &request, &stop))).await?;
    tracing::info!(?report, "reconciled");
    Ok(())
}
