//! `cleanup.expired`: removes what is over.

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
use crate::{early, metrics};

impl JobHandler for CleanUp {
    type Context = CleanUpContext;

    async fn run(self, context: Arc<CleanUpContext>, _: Attempt) -> JobResult {
        match reconcile::renew(&context.stores).await {
            Ok(is_ours) => {
                tracing::debug!(is_ours, "asked whether the bucket belongs to this database");
            }
            Err(error) => {
                tracing::warn!(
                    error = error_chain::format_error_chain(&error),
                    "the marker of the bucket could not be renewed"
                );
            }
        }
        let stop = CancellationToken::new();
        let request = Request::default();
        let report = early::until(
            early::after(context.run_limit),
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
            metrics::passed_over(kind.as_str(), *items);
        }
        let Some(failures) = report.failures() else {
            return Ok(());
        };
        let failures = format!("not everything could be removed: {failures}");
        match report.ended_early {
            Some(EndedEarly::Fault) => Err(anyhow::Error::msg(failures).into()),
            // Another attempt would pass the same rows over again, or wait for the same store. The next clean-up is soon.
            Some(EndedEarly::Outage) | None => {
                tracing::error!(failures, "the clean-up has left what it could not remove");
                Ok(())
            }
        }
    }
}
