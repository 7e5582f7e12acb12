//! `cleanup.expired`: removes what is over.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::{self, EndedEarly, Kept, Request};
use plinth_core::files::reconcile;
use plinth_platform::causes;
use tokio_util::sync::CancellationToken;

use crate::outcome::Done;
use crate::{early, metrics};

/// Removes for at most `within`; where that is not enough, the next one goes on.
pub async fn remove(stores: Stores, kept: Kept, within: Duration) -> Done {
    match reconcile::renew(&stores).await {
        Ok(is_ours) => {
            tracing::debug!(is_ours, "asked whether the bucket belongs to this database")
        }
        Err(error) => {
            tracing::warn!(
                error = causes::told(&error),
                "the marker of the bucket could not be renewed"
            );
        }
    }
    let stop = CancellationToken::new();
    let request = Request::default();
    let report = early::until(
        early::after(within),
        &stop,
        Box::pin(cleanup::run(&stores, &kept, &request, &stop)),
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
