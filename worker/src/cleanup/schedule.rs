//! Asks for a clean-up every hour; however many workers ask, one job comes of it.

use std::time::Duration;

use plinth_core::{Stores, cleanup};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_hours(1);

/// How often it is looked whether an hour has passed.
const TICK: Duration = Duration::from_mins(1);

/// Asks until `stop`.
pub async fn run(stores: Stores, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = cleanup::schedule(&stores, EVERY).await {
            tracing::warn!(%error, "could not ask for a clean-up; the next tick will");
        }
    }
}
