//! Pushes what the ledger says is due and nobody has taken: retries, and whatever Redis lost.
//!
//! A new job is pushed by whoever commits it; this is the net below that.

use std::time::Duration;

use plinth_core::jobs::{Ledger, Transport};
use plinth_domain::job::Queue;
use plinth_platform::causes;
use plinth_platform::redis::Redis;
use tokio_util::sync::CancellationToken;

use crate::{backoff, metrics};

/// How often the ledger is asked.
const TICK: Duration = Duration::from_secs(1);

/// Jobs taken at once.
const BATCH: i64 = 1_000;

/// Asks and pushes until `stop`.
pub async fn run(ledger: Ledger, redis: Redis, queues: Vec<Queue>, stop: CancellationToken) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        let wait = match dispatch(&ledger, &redis, &queues).await {
            Ok(taken) => {
                failures = 0;
                if taken >= BATCH { Duration::ZERO } else { TICK }
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(error = causes::told(error.as_ref()), "could not dispatch what is due");
                TICK + backoff::STORE.draw(failures)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Pushes one batch; how many jobs it had.
pub async fn dispatch(ledger: &Ledger, redis: &Redis, queues: &[Queue]) -> anyhow::Result<i64> {
    // What is taken counts as pushed for a while: nothing is taken that could not be pushed.
    redis.ping().await?;
    let due = ledger.take_due(queues, BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    Transport::new(redis).push(&due).await?;
    for queue in queues {
        let jobs = due.iter().filter(|note| note.queue == *queue).count();
        metrics::dispatched(*queue, jobs.try_into()?);
    }
    Ok(due.len().try_into()?)
}
