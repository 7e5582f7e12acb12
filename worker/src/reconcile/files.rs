//! `files.reconcile`: compares S3 with PostgreSQL for a limited time. Another job continues.

use std::sync::Arc;

use plinth_core::files::reconcile::{self, Request};
use plinth_domain::job::ReconcileFiles;
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempt;
use crate::cleanup::CleanUpContext;
use crate::outcome::JobResult;
use crate::registry::JobHandler;
use crate::{early_stop, metrics};

impl JobHandler for ReconcileFiles {
    type Context = CleanUpContext;

    async fn run(self, context: Arc<CleanUpContext>, _: Attempt) -> JobResult {
        let stop = CancellationToken::new();
        let request = Request {
            dry_run: false,
            read_contents: false,
            remove_many: false,
            abandoned_after: context.ages.abandoned_after,
            orphans_kept: context.ages.orphans_kept,
            after: self.after,
        };
        let report = early_stop::run_until(
            early_stop::after(context.run_limit),
            &stop,
            Box::pin(reconcile::run(&context.stores, &request, &stop)),
        )
        .await?;
        if report.passed_over > 0 {
            metrics::count_passed_over("reconcile", report.passed_over);
            tracing::error!(
                items = report.passed_over,
                "reconciliation passed over items that failed"
            );
        }
        tracing::info!(?report, "reconciled");
        Ok(())
    }
}
