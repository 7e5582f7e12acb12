//! All that a worker process runs: one consumer a queue, the listener, the dispatcher, the sweeper, and the drain at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plinth_core::Stores;
use plinth_core::jobs::{Ledger, namespace};
use plinth_domain::job::Queue;
use plinth_platform::settings::WorkerSettings;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cleanup::schedule;
use crate::consumer::Consumer;
use crate::poll::Bell;
use crate::registry::Registry;
use crate::runner::Runner;
use crate::{dispatcher, metrics, sweep, wakeup};

/// The part of the grace that is kept for handing back what does not end by itself: at most a fifth of it.
const HANDING_BACK: Duration = Duration::from_secs(3);

/// What serves the queues.
pub struct Fleet {
    pub stores: Stores,
    pub settings: WorkerSettings,
    pub queues: Vec<Queue>,
    pub registry: Registry,
}

impl Fleet {
    /// Serves until `stop`, then takes no more, and lets running jobs end or hands them back within the grace.
    pub async fn run(self, stop: CancellationToken) {
        let owner = owner();
        let ledger = Ledger::new(&self.stores);
        let ending = CancellationToken::new();
        let running = TaskTracker::new();
        let runner = Arc::new(Runner {
            ledger: ledger.clone(),
            registry: self.registry,
            clock: self.stores.clock.clone(),
            owner: owner.clone(),
            lease: self.settings.lease,
            limit: self.settings.job_timeout,
            running: running.clone(),
            draining: stop.clone(),
            ending: ending.clone(),
        });
        metrics::register(&self.queues);
        let redis = &self.stores.redis;
        let mut parts = JoinSet::new();
        let mut bells = HashMap::new();
        for queue in &self.queues {
            let namespace = namespace(redis, *queue);
            let bell = Bell::default();
            bells.insert(wakeup::channel(&namespace), bell.clone());
            let consumer = Consumer {
                queue: *queue,
                namespace,
                owner: owner.clone(),
                redis: redis.clone(),
                bell,
                slots: Arc::new(Semaphore::new(self.settings.concurrency.count())),
                accept: runner.accept(*queue),
            };
            parts.spawn(consumer.run(stop.clone()));
        }
        let namespaces = self.queues.iter().map(|queue| namespace(redis, *queue)).collect();
        parts.spawn(wakeup::listen(redis.client().clone(), bells, stop.clone()));
        parts.spawn(sweep::run(redis.clone(), namespaces, stop.clone()));
        parts.spawn(dispatcher::run(ledger, redis.clone(), self.queues.clone(), stop.clone()));
        if self.queues.contains(&Queue::Cleanup) {
            parts.spawn(schedule::run(self.stores.clone(), stop.clone()));
        }
        tracing::info!(%owner, queues = ?self.queues.iter().map(|queue| queue.as_str()).collect::<Vec<_>>(), "taking jobs");

        stop.cancelled().await;
        drain(&running, &ending, self.settings.shutdown_grace).await;
        // The consumers have stopped by themselves and waited for Redis no longer than their own bound.
        parts.join_all().await;
        tracing::info!("stopped");
    }
}

async fn drain(running: &TaskTracker, ending: &CancellationToken, grace: Duration) {
    let end = Instant::now() + grace;
    running.close();
    tracing::info!(jobs = running.len(), ?grace, "stopping: no more jobs are taken");
    if timeout_at(end - HANDING_BACK.min(grace / 5), running.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(jobs = running.len(), "the grace ends: handing back what still runs");
    ending.cancel();
    if timeout_at(end, running.wait()).await.is_err() {
        tracing::error!(
            jobs = running.len(),
            "jobs could not be handed back; they run again when their leases end"
        );
    }
}

/// A name that no other start of any worker has.
fn owner() -> Arc<str> {
    let host =
        hostname::get().ok().and_then(|host| host.into_string().ok()).unwrap_or_else(|| "host".to_owned());
    format!("{host}-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()).into()
}
