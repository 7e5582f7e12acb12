//! One queue: takes its messages from Redis, claims their jobs in groups, and passes them to
//! apalis's worker, which starts them.

mod backend;
mod claim_limiter;
mod claimer;
mod executor;

use std::sync::Arc;

use apalis_core::worker::builder::WorkerBuilder;
use plinth_core::jobs::{Ledger, Transport};
use plinth_domain::job::Queue;
use plinth_platform::redis::Redis;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::backend::ClaimedJobs;
use self::claimer::Claimer;
use self::executor::Executor;
use crate::dispatcher::RefillRequests;
use crate::leases::Leases;
use crate::runner::Runner;

pub use self::backend::LeasedJob;
pub use self::claim_limiter::ClaimLimiter;
pub use self::executor::Permit;

/// The tasks that serve one queue.
pub struct QueueWorker {
    pub queue: Queue,
    /// How many of its jobs run at once.
    pub concurrency: usize,
    pub limiter: Arc<ClaimLimiter>,
    /// The name of the holder in the ledger; unique for each start of a process.
    pub worker_name: Arc<str>,
    pub leases: Leases,
    pub ledger: Ledger,
    pub redis: Redis,
    pub refill_requests: RefillRequests,
    pub runner: Arc<Runner>,
}

impl QueueWorker {
    /// Serves the queue until `stop`. The runner then hands back claimed jobs that have not
    /// started.
    pub async fn run(self, stop: CancellationToken) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let claimer = Claimer {
            queue: self.queue,
            worker_name: self.worker_name.clone(),
            leases: self.leases,
            ledger: self.ledger,
            transport: Transport::new(&self.redis),
            client: self.redis.client().clone(),
            limiter: self.limiter.clone(),
            refill_requests: self.refill_requests,
            claimed: sender,
        };
        let executor = Executor::new(self.concurrency, self.limiter, self.runner, stop.clone());
        let worker = WorkerBuilder::new(format!("{}-{}", self.worker_name, self.queue))
            .backend(ClaimedJobs::new(receiver))
            .build(executor);
        // The worker ends with the claimer, because neither its backend nor its service can fail.
        let (ended, ()) = tokio::join!(worker.run(), claimer.run(stop));
        if let Err(error) = ended {
            tracing::error!(%error, queue = %self.queue, "apalis worker failed");
        }
    }
}
