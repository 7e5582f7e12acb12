//! `cleanup.expired`: removes what is over.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Request};
use tokio_util::sync::CancellationToken;

use crate::early;
use crate::outcome::Done;

/// Removes for at most `within`; where that is not enough, the next one goes on.
pub async fn remove(stores: Stores, kept: Kept, within: Duration) -> Done {
    let stop = CancellationToken::new();
    let request = Request::default();
    let report =
        early::until(early::after(within), &stop, Box::pin(cleanup::run(&stores, &kept, &request, &stop)))
            .await?;
    tracing::info!(removed = ?report.removed, stopped = report.stopped, "cleaned up");
    match report.failures() {
        Some(failures) => Err(anyhow::anyhow!("not everything could be removed: {failures}").into()),
        None => Ok(()),
    }
}
