//! `files.reconcile`: compares S3 with PostgreSQL, for at most some time; another job goes on.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::files::reconcile::{self, Request};
use plinth_domain::job::ReconcileFiles;
use tokio_util::sync::CancellationToken;

use crate::outcome::Done;
use crate::{early, metrics};

/// When something is old enough to be removed.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    pub abandoned_after: Duration,
    pub orphans_kept: Duration,
}

pub async fn compare(
    stores: Stores,
    job: ReconcileFiles,
    Ages {
        abandoned_after,
        orphans_kept,
    }: Ages,
    within: Duration,
) -> Done {
    let stop = CancellationToken::new();
    let request = Request {
        dry_run: false,
        read_contents: false,
        remove_many: false,
        abandoned_after,
        orphans_kept,
        after: job.after,
    };
    let report = early::until(
        early::after(within),
        &stop,
        Box::pin(reconcile::run(&stores, &request, &stop)),
    )
    .await?;
    if report.passed_over > 0 {
        metrics::passed_over("reconcile", report.passed_over);
        tracing::error!(
            items = report.passed_over,
            "the reconciliation has passed over items that failed"
        );
    }
    tracing::info!(?report, "reconciled");
    Ok(())
}
