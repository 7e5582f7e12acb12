//! All that a worker process runs: a service a queue, the dispatcher, the recorder, the leases, and the drain at the end.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::Stores;
use plinth_core::jobs::{Changes, Ledger, Periodic, Transport};
use plinth_domain::job::Queue;
use plinth_platform::settings::WorkerSettings;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dispatcher::{Dispatcher, Refills};
use crate::figures::Figures;
use crate::leases::Leases;
use crate::metrics;
use crate::periodic;
use crate::pulse::Pulse;
use crate::queue::{Pace, Service};
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::runner::Runner;

/// The part of the grace that is kept for handing back what does not end by itself: at most a fifth of it.
const HANDING_BACK: Duration = Duration::from_secs(3);

/// What serves the queues.
pub struct Fleet {
    pub stores: Stores,
    pub ledger: Ledger,
    pub settings: WorkerSettings,
    /// Each with how many jobs of it run at once.
    pub queues: Vec<(Queue, usize)>,
    pub registry: Registry,
}

impl Fleet {
    /// Serves until `stop`, then takes no more, and lets running jobs end or hands them back within the grace.
    pub async fn run(self, stop: CancellationToken) {
        let owner = owner();
        let _pulse = Pulse::start(self.settings.lease).inspect_err(
            |error| tracing::warn!(%error, "a handler that blocks its thread may hold up the others"),
        );
        let ledger = self.ledger;
        let redis = &self.stores.redis;
        let ending = CancellationToken::new();
        let running = TaskTracker::new();
        let leases = Leases::new(ledger.clone(), self.settings.lease);
        let (recorder, writing) =
            Recorder::new(ledger.clone(), Transport::new(redis), ending.clone());
        let runner = Arc::new(Runner {
            ledger: ledger.clone(),
            registry: self.registry,
            recorder,
            changes: Changes::new(redis),
            limit: self.settings.job_timeout,
            running: running.clone(),
            draining: stop.clone(),
            ending: ending.clone(),
        });
        let queues: Vec<_> = self.queues.iter().map(|(queue, _)| *queue).collect();
        metrics::register(&queues);
        let (refills, asked) = Refills::new();
        let mut services = JoinSet::new();
        let mut paces = Vec::new();
        for (queue, concurrency) in self.queues {
            let pace = Arc::new(Pace::new(concurrency));
            paces.push((queue, pace.clone()));
            let service = Service {
                queue,
                concurrency,
                pace,
                owner: owner.clone(),
                leases: leases.clone(),
                ledger: ledger.clone(),
                redis: redis.clone(),
                refills: refills.clone(),
                runner: runner.clone(),
            };
            services.spawn(service.run(stop.clone()));
        }
        // They go on to the last: what runs in the grace is held and written down as before.
        let mut keepers = JoinSet::new();
        keepers.spawn(leases.keep());
        keepers.spawn(writing);
        let figures = Figures {
            ledger: ledger.clone(),
            redis: redis.clone(),
            queues: paces,
        };
        services.spawn(figures.run(stop.clone()));
        let dispatcher = Dispatcher {
            ledger,
            redis: redis.clone(),
            asked,
        };
        services.spawn(dispatcher.run(stop.clone()));
        let schedule = self.settings.schedule.of_queues(&queues);
        if !schedule.entries().is_empty() {
            services.spawn(periodic::run(
                Periodic::new(&self.stores, schedule),
                stop.clone(),
            ));
        }
        tracing::info!(%owner, queues = ?queues.iter().map(|queue| queue.as_str()).collect::<Vec<_>>(), "taking jobs");

        stop.cancelled().await;
        // What was claimed and not begun is begun now, and handed back.
        let stopped = timeout(HANDING_BACK, services.join_all()).await;
        if stopped.is_err() {
            tracing::error!("a queue does not stop taking jobs");
        }
        drain(&running, &ending, self.settings.shutdown_grace).await;
        // Whatever has ended is written down; what has not is left to its lease.
        keepers.shutdown().await;
        tracing::info!("stopped");
    }
}

async fn drain(running: &TaskTracker, ending: &CancellationToken, grace: Duration) {
    let end = Instant::now() + grace;
    running.close();
    tracing::info!(
        jobs = running.len(),
        ?grace,
        "stopping: no more jobs are taken"
    );
    if timeout_at(end - HANDING_BACK.min(grace / 5), running.wait())
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!(
        jobs = running.len(),
        "the grace ends: handing back what still runs"
    );
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
    let host = hostname::get()
        .ok()
        .and_then(|host| host.into_string().ok())
        .unwrap_or_else(|| "host".to_owned());
    format!(
        "{host}-{}-{}",
        std::process::id(),
        uuid::Uuid::new_v4().simple()
    )
    .into()
}
