//! Keeps the windows in Redis filled with what the ledger says is due: retries whose time has come, jobs of workers that
//! died, whatever Redis lost, and the rest of a backlog.
//!
//! A new job is pushed by whoever commits it; this is the net below that. One worker of the fleet does it at a time.

use std::time::Duration;

use plinth_core::jobs::{Found, Ledger, Transport, WINDOW};
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::redis::Redis;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::{backoff, metrics, turn};

/// How often the ledger is read for what nobody has pushed.
const TICK: Duration = Duration::from_secs(1);

/// A worker that does this tick keeps the others from it for so long.
const TURN: Duration = Duration::from_millis(900);

/// Where a queue asks for more when its window runs empty.
#[derive(Clone)]
pub struct Refills(Sender<Queue>);

impl Refills {
    pub fn new() -> (Self, Receiver<Queue>) {
        let (asks, asked) = channel(Queue::ALL.len() * 2);
        (Self(asks), asked)
    }

    /// Asks for more. Where too many have asked already, one of them was this queue or the next tick serves it.
    pub fn ask(&self, queue: Queue) {
        let _ = self.0.try_send(queue);
    }
}

/// What fills the windows.
pub struct Dispatcher {
    pub ledger: Ledger,
    pub redis: Redis,
    pub asked: Receiver<Queue>,
}

impl Dispatcher {
    /// Fills until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.take_turn().await,
                Some(queue) = self.asked.recv() => self.refill(queue).await,
            };
            match done {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let wait = backoff::STORE.draw(failures);
                    tracing::warn!(
                        error = error_chain::format_error_chain(error.as_ref()),
                        ?wait,
                        "could not dispatch what is due"
                    );
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// The tick, unless another worker does it.
    async fn take_turn(&self) -> anyhow::Result<()> {
        if !turn::take(&self.redis, "jobs:turn", TURN).await? {
            return Ok(());
        }
        let released = self.ledger.release_forgotten().await?;
        if !released.is_empty() {
            Transport::new(&self.redis).push(&released).await?;
        }
        for (queue, found) in self.ledger.due(i64::try_from(WINDOW)?).await? {
            self.fill(queue, &found).await?;
        }
        Ok(())
    }

    /// Reads on where the window ends.
    async fn refill(&self, queue: Queue) -> anyhow::Result<()> {
        // Somebody else may have done it meanwhile.
        let Some(gap) = Transport::new(&self.redis).gap(queue).await? else {
            return Ok(());
        };
        let found = self
            .ledger
            .due_from(queue, gap.from, i64::try_from(gap.room)?)
            .await?;
        self.fill(queue, &found).await
    }

    async fn fill(&self, queue: Queue, found: &Found) -> anyhow::Result<()> {
        Transport::new(&self.redis).refill(queue, found).await?;
        metrics::dispatched(queue, u64::try_from(found.notes.len())?);
        Ok(())
    }
}
