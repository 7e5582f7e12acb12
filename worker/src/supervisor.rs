//! All tasks of a worker process: one worker for each queue, the dispatcher, the recorder, the
//! leases, and the drain at the end.

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

use crate::dispatcher::{Dispatcher, RefillRequests};
use crate::leases::Leases;
use crate::metrics;
use crate::periodic;
use crate::queue::{ClaimLimiter, QueueWorker};
use crate::queue_gauges::QueueGauges;
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::runner::Runner;
use crate::runtime_watchdog::RuntimeWatchdog;

/// The part of the drain grace that is reserved for handing back jobs that do not end. It is at
/// most a fifth of the grace.
const HAND_BACK_TIME: Duration = Duration::from_secs(3);

/// The settings of a worker process. [`Supervisor::run`] starts its tasks.
pub struct Supervisor {
    pub stores: Stores,
    pub ledger: Ledger,
    pub settings: WorkerSettings,
    /// Each queue with the number of its jobs that run at once.
    pub queues: Vec<(Queue, usize)>,
    pub registry: Registry,
}

impl Supervisor {
    /// Serves the queues until `stop`. Then starts no more jobs, and within the drain grace waits
    /// for running jobs or hands them back.
    pub async fn run(self, stop: CancellationToken) {
        let worker_name = unique_worker_name();
        let _watchdog = RuntimeWatchdog::start(self.settings.lease).inspect_err(|error| {
            tracing::warn!(
                %error,
                "failed to start the runtime watchdog, a handler that blocks its thread may delay others"
            );
        });
        let ledger = self.ledger;
        let redis = &self.stores.redis;
        let ending = CancellationToken::new();
        let running = TaskTracker::new();
        let leases = Leases::new(ledger.clone(), self.settings.lease);
        let (recorder, writer) =
            Recorder::new(ledger.clone(), Transport::new(redis), ending.clone());
        let runner = Arc::new(Runner {
            ledger: ledger.clone(),
            registry: self.registry,
            recorder,
            changes: Changes::new(redis),
            time_limit: self.settings.job_timeout,
            running: running.clone(),
            draining: stop.clone(),
            ending: ending.clone(),
        });
        let queues: Vec<_> = self.queues.iter().map(|(queue, _)| *queue).collect();
        metrics::register(&queues);
        let (refill_sender, refill_requests) = RefillRequests::new();
        let mut services = JoinSet::new();
        let mut limiters = Vec::new();
        for (queue, concurrency) in self.queues {
            let limiter = Arc::new(ClaimLimiter::new(concurrency));
            limiters.push((queue, limiter.clone()));
            let worker = QueueWorker {
                queue,
                concurrency,
                limiter,
                worker_name: worker_name.clone(),
                leases: leases.clone(),
                ledger: ledger.clone(),
                redis: redis.clone(),
                refill_requests: refill_sender.clone(),
                runner: runner.clone(),
            };
            services.spawn(worker.run(stop.clone()));
        }
        // These run until the end of the drain, because running jobs need leases and outcomes.
        let mut until_drained = JoinSet::new();
        until_drained.spawn(leases.maintain());
        until_drained.spawn(writer);
        let gauges = QueueGauges {
            ledger: ledger.clone(),
            redis: redis.clone(),
            queues: limiters,
        };
        services.spawn(gauges.run(stop.clone()));
        let dispatcher = Dispatcher {
            ledger,
            redis: redis.clone(),
            refill_requests,
        };
        services.spawn(dispatcher.run(stop.clone()));
        let schedule = self.settings.schedule.of_queues(&queues);
        if !schedule.entries().is_empty() {
            services.spawn(periodic::run(
                Periodic::new(&self.stores, schedule),
                stop.clone(),
            ));
        }
        let names = queues.iter().map(|queue| queue.as_str());
        tracing::info!(worker = %worker_name, queues = ?names.collect::<Vec<_>>(), "taking jobs");

        stop.cancelled().await;
        // Claimed jobs that have not started start now, and are handed back.
        let stopped = timeout(HAND_BACK_TIME, services.join_all()).await;
        if stopped.is_err() {
            tracing::error!("a queue did not stop in time");
        }
        drain(&running, &ending, self.settings.shutdown_grace).await;
        // All outcomes are written. Leases of jobs that did not end expire by themselves.
        until_drained.shutdown().await;
        tracing::info!("stopped");
    }
}

async fn drain(running: &TaskTracker, ending: &CancellationToken, grace: Duration) {
    let end = Instant::now() + grace;
    running.close();
    tracing::info!(jobs = running.len(), ?grace, "stopping, no more jobs start");
    if timeout_at(end - HAND_BACK_TIME.min(grace / 5), running.wait())
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!(
        jobs = running.len(),
        "drain grace is ending, handing back running jobs"
    );
    ending.cancel();
    if timeout_at(end, running.wait()).await.is_err() {
        tracing::error!(
            jobs = running.len(),
            "failed to hand back jobs, they run again when their leases expire"
        );
    }
}

/// Returns a name that no other start of a worker has.
fn unique_worker_name() -> Arc<str> {
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
