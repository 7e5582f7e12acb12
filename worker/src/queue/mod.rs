//! One queue: its notes are taken from Redis, its jobs claimed in groups, and given to apalis's worker to be started.

mod backend;
mod desk;
mod pace;
mod source;

use std::sync::Arc;

use apalis_core::worker::builder::WorkerBuilder;
use plinth_core::jobs::{Ledger, Transport};
use plinth_domain::job::Queue;
use plinth_platform::redis::Redis;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::backend::Claimed;
use self::desk::Desk;
use self::source::Source;
use crate::dispatcher::Refills;
use crate::leases::Leases;
use crate::runner::Runner;

pub use self::backend::Held;
pub use self::desk::Slot;
pub use self::pace::Pace;

/// What serves one queue.
pub struct Service {
    pub queue: Queue,
    /// How many jobs of it run at once.
    pub concurrency: usize,
    pub pace: Arc<Pace>,
    /// This start of this process, as the ledger names the holder of a lease.
    pub owner: Arc<str>,
    pub leases: Leases,
    pub ledger: Ledger,
    pub redis: Redis,
    pub refills: Refills,
    pub runner: Arc<Runner>,
}

impl Service {
    /// Serves until `stop`. What was claimed and not begun is handed back by the runner.
    pub async fn run(self, stop: CancellationToken) {
        let pace = self.pace;
        let (claims, claimed) = mpsc::unbounded_channel();
        let source = Source {
            queue: self.queue,
            owner: self.owner.clone(),
            leases: self.leases,
            ledger: self.ledger,
            transport: Transport::new(&self.redis),
            client: self.redis.client().clone(),
            pace: pace.clone(),
            refills: self.refills,
            claims,
        };
        let desk = Desk::new(self.concurrency, pace, self.runner, stop.clone());
        let name = format!("{}-{}", self.owner, self.queue);
        let worker = WorkerBuilder::new(name)
            .backend(Claimed::new(claimed))
            .build(desk);
        // The worker ends when the source has: nothing that it does can fail.
        let (ended, ()) = tokio::join!(worker.run(), source.run(stop));
        if let Err(error) = ended {
            tracing::error!(%error, queue = %self.queue, "the queue's worker ended");
        }
    }
}
