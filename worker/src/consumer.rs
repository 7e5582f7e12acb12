//! One queue's apalis worker, started again for as long as this process serves.
//!
//! Any error of Redis ends an apalis-redis backend for good. Its Monitor can start
//! it again, but asks a synchronous callback, in which waiting would block the
//! runtime; so the waiting and the restarting are done here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis_core::backend::ext::BackendExt as _;
use apalis_core::error::WorkerError;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_redis::{Config, RedisStorage};
use futures_util::FutureExt as _;
use plinth_domain::job::Queue;
use plinth_platform::redis::Redis;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Accept, Delivery, DeliveryCodec, Desk};
use crate::poll::{Bell, BellOrTick};
use crate::{backoff, metrics, sweep};

/// How often apalis tells Redis that a worker lives; one that missed three is dead for the others.
const HEARTBEAT: Duration = Duration::from_secs(10);
const MISSED_HEARTBEATS: usize = 3;

/// How often an idle worker looks although no bell rang.
const TICK: Duration = Duration::from_secs(2);

/// apalis fetches one task at a time. While more wait inside of it for a free slot it sends no
/// heartbeat and handles no acknowledgement, and other workers take it for dead.
const FETCH: usize = 1;

/// How long a backend may take to give back what it holds when it stops.
const CLOSING: Duration = Duration::from_secs(3);

/// A backend that ran so long was well: its next failure counts as the first.
const WELL: Duration = Duration::from_secs(30);

/// What serves one queue.
pub struct Consumer {
    pub queue: Queue,
    /// The prefix of apalis's keys for this queue.
    pub namespace: String,
    /// Unique to this start of the process; a backend's name adds its restarts. apalis refuses a name that was seen lately.
    pub owner: Arc<str>,
    pub redis: Redis,
    pub bell: Bell,
    pub slots: Arc<Semaphore>,
    pub accept: Accept,
}

impl Consumer {
    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        for start in 0_u64.. {
            let name = format!("{}-{start}", self.owner);
            let began = Instant::now();
            let error = match sweep::check_in(&self.redis, &self.namespace, &name).await {
                Ok(()) => self.serve(&name, &stop).await,
                Err(error) => error.to_string(),
            };
            if let Err(error) = sweep::check_out(&self.redis, &self.namespace, &name).await {
                tracing::debug!(%error, queue = %self.queue, "could not check out; other workers will, after a while");
            }
            if stop.is_cancelled() {
                return;
            }
            failures = if began.elapsed() > WELL { 1 } else { failures + 1 };
            let wait = backoff::STORE.draw(failures);
            metrics::backend_restarted(self.queue);
            tracing::warn!(queue = %self.queue, error, ?wait, "the queue's backend ended and will be started again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Runs one backend until it fails or `stop`; says why it ended.
    async fn serve(&self, name: &str, stop: &CancellationToken) -> String {
        let context = WorkerContext::new(name);
        let storage = RedisStorage::<Delivery>::new(self.redis.connection())
            .with_config(self.config())
            .with_codec(DeliveryCodec)
            .poll_with_strategy(BellOrTick::new(self.bell.clone(), TICK));
        let desk = Desk::new(self.slots.clone(), self.accept.clone());
        let worker = WorkerBuilder::new(&context).backend(storage).build(desk);
        let mut running = std::pin::pin!(AssertUnwindSafe(worker.run()).catch_unwind());
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = stop.cancelled() => {
                // Refused only before the first poll, and then there is nothing to close.
                if context.stop().is_err() {
                    return "stopped".to_owned();
                }
                match tokio::time::timeout(CLOSING, running).await {
                    Ok(ended) => ended,
                    Err(_) => return "stopped without an answer of Redis".to_owned(),
                }
            }
        };
        match ended {
            Ok(Ok(())) => "ended".to_owned(),
            Ok(Err(WorkerError::BackendError(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "panicked".to_owned(),
        }
    }

    fn config(&self) -> Config {
        Config::default()
            .queue(&self.namespace)
            .batch_size(FETCH)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS)
            // A lock is an LREM over the whole list per task; the ledger's lease does its work.
            .lock_tasks(false)
            // The events are for readers that we do not have.
            .emit_events(false)
            // Off would also switch acknowledgements off.
            .persist_results(true)
    }
}
