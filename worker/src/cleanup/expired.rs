//! `cleanup.expired`: removes expired data.

use std::sync::Arc;

use plinth_core::cleanup::{self, EndedEarly, Request};
use plinth_core::files::reconcile;
use plinth_domain::job::CleanUp;
use plinth_platform::error_chain;
use tokio_util::sync::CancellationToken;

use super::CleanUpContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;
use crate::{early_stop, metrics};

impl JobHandler for CleanUp {
    type Context = CleanUpContext;

    async fn run(self, context: Arc<CleanUpContext>, _: Attempt) -> JobResult {
        match reconcile::renew(&context.stores).await {
            Ok(is_owner) => {
                tracing::debug!(is_owner, "checked the marker of the bucket");
            }
            Err(error) => {
                tracing::warn!(
                    error = error_chain::format_error_chain(&error),
                    "failed to renew the marker of the bucket"
                );
            }
        }
        let stop = CancellationToken::new();
        let request = Request::default();
        let report = early_stop::run_until(
            early_stop::after(context.run_limit),
            &stop,
            Box::pin(cleanup::run(
                &context.stores,
                &context.kept,
                &request,
                &stop,
            )),
        )
        .await?;
        tracing::info!(removed = ?report.removed, stopped = report.stopped, "cleaned up");
        for (kind, items) in &report.passed_over {
            metrics::count_passed_over(kind.as_str(), *items);
        }
        let Some(failures) = report.failures() else {
            return Ok(());
        };
        let failures = format!("some data could not be removed: {failures}");
        match report.ended_early {
            Some(EndedEarly::Fault) => Err(anyhow::Error::msg(failures).into()),
            // Another attempt would pass over the same rows, or wait for the same store. The next
            // clean-up is soon.
            Some(EndedEarly::Outage) | None => {
                tracing::error!(failures, "clean-up is incomplete");
                Ok(())
            }
        }
    }
}
