//! Gauges of the backlog. One worker of the fleet counts; all of them export the same numbers.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Backlog, Ledger};
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::redis::Redis;
use tokio_util::sync::CancellationToken;

use crate::queue::ClaimLimiter;
use crate::{fleet_lock, metrics};

/// How often the backlog is counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// How long one count keeps the other workers from counting; less than the interval.
const COUNT_LOCK_LENGTH: Duration = Duration::from_millis(9_500);

/// How long a count in Redis is valid.
const SHARED_COUNT_LIFETIME: Duration = Duration::from_secs(30);

/// The Redis key of the last count.
const SHARED_COUNT_KEY: &str = "jobs:backlog";

/// The task that exports the gauges.
pub(crate) struct QueueGauges {
    pub ledger: Ledger,
    pub redis: Redis,
    /// The queues of this worker and its rate of work for each.
    pub queues: Vec<(Queue, Arc<ClaimLimiter>)>,
}

impl QueueGauges {
    /// Exports the gauges until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(COUNT_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            match self.read_backlog().await {
                Ok(backlog) => self.export(&backlog),
                Err(error) => {
                    tracing::warn!(
                        error = error_chain::format_error_chain(error.as_ref()),
                        "failed to count the backlog"
                    );
                }
            }
        }
    }

    async fn read_backlog(&self) -> anyhow::Result<Backlog> {
        match self.read_shared_count().await {
            Ok(Some(backlog)) => return Ok(backlog),
            Ok(None) => {}
            // Without Redis each worker counts for itself: stale gauges would hide a backlog.
            Err(error) => {
                tracing::debug!(
                    error = error_chain::format_error_chain(error.as_ref()),
                    "Redis is unavailable; counting the backlog in this worker"
                );
                return Ok(self.ledger.backlog().await?);
            }
        }
        let backlog = self.ledger.backlog().await?;
        let mut set = redis::cmd("SET");
        let key = self.redis.key(SHARED_COUNT_KEY);
        set.arg(key)
            .arg(serde_json::to_string(&backlog)?)
            .arg("EX")
            .arg(SHARED_COUNT_LIFETIME.as_secs());
        if let Err(error) = self.redis.command::<()>("jobs.keep_backlog", &set).await {
            tracing::debug!(%error, "failed to share the backlog with other workers");
        }
        Ok(backlog)
    }

    /// Returns the count of another worker, or `None` if this worker has to count.
    async fn read_shared_count(&self) -> anyhow::Result<Option<Backlog>> {
        if fleet_lock::try_acquire(&self.redis, "jobs:count", COUNT_LOCK_LENGTH).await? {
            return Ok(None);
        }
        let mut get = redis::cmd("GET");
        get.arg(self.redis.key(SHARED_COUNT_KEY));
        let text = self
            .redis
            .command::<Option<String>>("jobs.backlog", &get)
            .await?;
        Ok(text.as_deref().map(serde_json::from_str).transpose()?)
    }

    fn export(&self, backlog: &Backlog) {
        metrics::reset_backlog();
        for due in &backlog.due {
            metrics::set_due(due.queue.as_str(), &due.kind, due.jobs, due.oldest);
        }
        for others in &backlog.others {
            metrics::set_in_state(others.queue.as_str(), &others.state, others.jobs);
        }
        for (queue, limiter) in &self.queues {
            metrics::set_paused(
                *queue,
                backlog.paused.iter().any(|paused| *paused == *queue),
            );
            let of_queue = backlog.due.iter().filter(|due| due.queue == *queue);
            let jobs = of_queue.map(|due| due.jobs).sum::<i64>();
            let estimate = limiter.estimate_time(u64::try_from(jobs).unwrap_or(0));
            metrics::set_backlog_time(*queue, estimate);
        }
    }
}
