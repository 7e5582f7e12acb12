//! Keeps the ready sets in Redis filled with the due jobs of the ledger: retries whose time has
//! come, jobs of workers that died, jobs that Redis lost, and the rest of a backlog.
//!
//! The process that commits a job pushes it. The dispatcher is the safety net below that. One
//! worker of the fleet does it at a time.

use std::time::Duration;

use plinth_core::jobs::{DueJobs, Ledger, READY_SET_SIZE, Transport};
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::redis::Redis;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::{backoff, fleet_lock, metrics};

/// How often the ledger is read for due jobs that are in no ready set.
const DISPATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long one tick keeps the other workers from dispatching; less than the interval.
const DISPATCH_LOCK_LENGTH: Duration = Duration::from_millis(900);

/// Requests to refill the ready set of a queue.
#[derive(Clone)]
pub struct RefillRequests(Sender<Queue>);

impl RefillRequests {
    pub fn new() -> (Self, Receiver<Queue>) {
        let (sender, receiver) = channel(Queue::ALL.len() * 2);
        (Self(sender), receiver)
    }

    /// Requests a refill. If the channel is full, a request for this queue waits in it or the next
    /// tick serves the queue.
    pub fn request(&self, queue: Queue) {
        let _ = self.0.try_send(queue);
    }
}

/// The task that fills the ready sets.
pub struct Dispatcher {
    pub ledger: Ledger,
    pub redis: Redis,
    pub refill_requests: Receiver<Queue>,
}

impl Dispatcher {
    /// Dispatches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        let mut tick = tokio::time::interval(DISPATCH_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.dispatch_due().await,
                Some(queue) = self.refill_requests.recv() => self.refill(queue).await,
            };
            match result {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let wait = backoff::STORE_RETRY.random_wait(failures);
                    tracing::warn!(
                        error = error_chain::format_error_chain(error.as_ref()),
                        ?wait,
                        "failed to dispatch due jobs"
                    );
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Reads all queues from the beginning, unless another worker does it.
    async fn dispatch_due(&self) -> anyhow::Result<()> {
        if !fleet_lock::try_acquire(&self.redis, "jobs:turn", DISPATCH_LOCK_LENGTH).await? {
            return Ok(());
        }
        let released = self.ledger.release_orphaned().await?;
        if !released.is_empty() {
            Transport::new(&self.redis).push(&released).await?;
        }
        for (queue, due) in self.ledger.due(i64::try_from(READY_SET_SIZE)?).await? {
            self.fill(queue, &due).await?;
        }
        Ok(())
    }

    /// Reads one queue from its ledger cursor on.
    async fn refill(&self, queue: Queue) -> anyhow::Result<()> {
        // Another worker may have refilled it in the meantime.
        let Some(gap) = Transport::new(&self.redis).gap(queue).await? else {
            return Ok(());
        };
        let due = self
            .ledger
            .due_from(queue, gap.from, i64::try_from(gap.capacity)?)
            .await?;
        self.fill(queue, &due).await
    }

    async fn fill(&self, queue: Queue, due: &DueJobs) -> anyhow::Result<()> {
        Transport::new(&self.redis).refill(queue, due).await?;
        metrics::count_dispatched(queue, u64::try_from(due.jobs.len())?);
        Ok(())
    }
}
