//! Tells how much waits, as metrics. One worker of the fleet counts, all say the same.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Backlog, Ledger};
use plinth_domain::job::Queue;
use plinth_platform::causes;
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
                    tracing::warn!(error = causes::told(error.as_ref()), "could not count what waits");
                }
            }
        }
    }

    async fn look(&self) -> anyhow::Result<Backlog> {
        let ours = turn::take(&self.redis, "jobs:count", TURN).await?;
        let key = self.redis.key("jobs:backlog");
        if !ours {
            let mut get = redis::cmd("GET");
            get.arg(&key);
            if let Some(text) = self.redis.command::<Option<String>>("jobs.backlog", &get).await? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
        let backlog = self.ledger.backlog().await?;
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(serde_json::to_string(&backlog)?).arg("EX").arg(KEPT.as_secs());
        self.redis.command::<()>("jobs.keep_backlog", &set).await?;
        Ok(backlog)
    }

    fn tell(&self, backlog: &Backlog) {
        metrics::forget_backlog();
        for due in &backlog.due {
            metrics::due(&due.queue, &due.kind, due.jobs, due.oldest);
        }
        for others in &backlog.others {
            metrics::others(&others.queue, &others.state, others.jobs);
        }
        for (queue, pace) in &self.queues {
            let of_queue = backlog.due.iter().filter(|due| due.queue == queue.as_str());
            let jobs = of_queue.map(|due| due.jobs).sum::<i64>();
            metrics::backlog_time(*queue, pace.time_for(u64::try_from(jobs).unwrap_or(0)));
        }
    }
}
