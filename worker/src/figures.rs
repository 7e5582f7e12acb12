//! Tells how much waits, as metrics. One worker of the fleet counts, all say the same.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Backlog, Ledger};
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::redis::Redis;
use tokio_util::sync::CancellationToken;

use crate::queue::Pace;
use crate::{metrics, turn};

/// How often.
const TICK: Duration = Duration::from_secs(10);

/// Who counts keeps the others from it for so long.
const TURN: Duration = Duration::from_millis(9_500);

/// What was counted is believed for so long.
const KEPT: Duration = Duration::from_secs(30);

/// Where workers find what another one has counted.
const COUNTED: &str = "jobs:backlog";

/// What tells.
pub(crate) struct Figures {
    pub ledger: Ledger,
    pub redis: Redis,
    /// The queues of this worker and how fast it is with them.
    pub queues: Vec<(Queue, Arc<Pace>)>,
}

impl Figures {
    /// Tells until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            match self.look().await {
                Ok(backlog) => self.tell(&backlog),
                Err(error) => {
                    tracing::warn!(
                        error = error_chain::format_error_chain(error.as_ref()),
                        "could not count what waits"
                    );
                }
            }
        }
    }

    async fn look(&self) -> anyhow::Result<Backlog> {
        match self.counted_by_another().await {
            Ok(Some(backlog)) => return Ok(backlog),
            Ok(None) => {}
            // Without Redis each worker counts for itself: figures that stand still would hide what waits meanwhile.
            Err(error) => {
                tracing::debug!(
                    error = error_chain::format_error_chain(error.as_ref()),
                    "Redis does not say whose turn it is to count"
                );
                return Ok(self.ledger.backlog().await?);
            }
        }
        let backlog = self.ledger.backlog().await?;
        let mut set = redis::cmd("SET");
        let key = self.redis.key(COUNTED);
        set.arg(key)
            .arg(serde_json::to_string(&backlog)?)
            .arg("EX")
            .arg(KEPT.as_secs());
        if let Err(error) = self.redis.command::<()>("jobs.keep_backlog", &set).await {
            tracing::debug!(%error, "what was counted could not be kept for the other workers");
        }
        Ok(backlog)
    }

    /// What another worker has counted; `None` if it is this one's turn.
    async fn counted_by_another(&self) -> anyhow::Result<Option<Backlog>> {
        if turn::take(&self.redis, "jobs:count", TURN).await? {
            return Ok(None);
        }
        let mut get = redis::cmd("GET");
        get.arg(self.redis.key(COUNTED));
        let text = self
            .redis
            .command::<Option<String>>("jobs.backlog", &get)
            .await?;
        Ok(text.as_deref().map(serde_json::from_str).transpose()?)
    }

    fn tell(&self, backlog: &Backlog) {
        metrics::forget_backlog();
        for due in &backlog.due {
            metrics::due(due.queue.as_str(), &due.kind, due.jobs, due.oldest);
        }
        for others in &backlog.others {
            metrics::others(others.queue.as_str(), &others.state, others.jobs);
        }
        for (queue, pace) in &self.queues {
            metrics::paused(
                *queue,
                backlog.paused.iter().any(|paused| *paused == *queue),
            );
            let of_queue = backlog.due.iter().filter(|due| due.queue == *queue);
            let jobs = of_queue.map(|due| due.jobs).sum::<i64>();
            metrics::backlog_time(*queue, pace.time_for(u64::try_from(jobs).unwrap_or(0)));
        }
    }
}
