//! Runs a delivered job: claim, run, hold the lease, record how it ended.
//!
//! Nobody runs a job without the ledger's word. A handler runs in a task of its
//! own, and is stopped before its lease has run out where that cannot be renewed.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{ClaimedJob, Ledger};
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::clock::Clock;
use plinth_platform::telemetry::trace;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::delivery::{Accept, Slot};
use crate::outcome::{Done, Failure, Outcome, panic_message};
use crate::registry::{Found, Registry};
use crate::{backoff, metrics, recorder};

/// How long a stopped handler gets to reach its next await.
const STOPPING: Duration = Duration::from_secs(1);

/// What every job needs to be run.
pub struct Runner {
    pub ledger: Ledger,
    pub registry: Registry,
    pub clock: Clock,
    /// This start of this process, as the ledger names the holder of a lease.
    pub owner: Arc<str>,
    pub lease: Duration,
    /// How long one attempt may take.
    pub limit: Duration,
    /// The jobs that run now.
    pub running: TaskTracker,
    /// No more jobs are taken.
    pub draining: CancellationToken,
    /// The grace is over: running jobs are handed back.
    pub ending: CancellationToken,
}

impl Runner {
    /// What apalis calls for a delivery of `queue`.
    pub fn accept(self: &Arc<Self>, queue: Queue) -> Accept {
        let runner = self.clone();
        Arc::new(move |id, slot| {
            let (answered, answer) = oneshot::channel();
            runner.running.spawn(runner.clone().take(queue, id, slot, answered));
            Box::pin(async move {
                // An error is the runner's end without an answer, and the delivery is over either way.
                let _ = answer.await;
            })
        })
    }

    async fn take(self: Arc<Self>, queue: Queue, id: JobId, slot: Slot, answered: oneshot::Sender<()>) {
        let claimed = self.claim(queue, id).await;
        // Nobody listens any more where apalis has dropped its future.
        let _ = answered.send(());
        if let Some((job, held_until)) = claimed {
            let span = tracing::info_span!(
                "job",
                otel.name = job.kind,
                otel.kind = "consumer",
                job.id = %job.id,
                job.kind,
                job.queue = %job.queue,
                job.attempt,
                trace_id = tracing::field::Empty,
            );
            trace::continue_from(&span, job.traceparent.as_deref());
            if let Some(trace_id) = trace::trace_id(&span) {
                span.record("trace_id", trace_id);
            }
            self.execute(job, held_until).instrument(span).await;
        }
        drop(slot);
    }

    /// Asks the ledger until it answers: while it does not, the slots are taken and the rest waits in Redis.
    async fn claim(&self, queue: Queue, id: JobId) -> Option<(ClaimedJob, Instant)> {
        for failures in 1.. {
            if self.draining.is_cancelled() {
                break;
            }
            let asked = Instant::now();
            match self.ledger.claim(id, &self.owner, self.lease).await {
                Ok(Some(job)) => {
                    metrics::delivered(queue, metrics::CLAIMED);
                    return Some((job, asked + self.lease));
                }
                Ok(None) => {
                    tracing::debug!(job.id = %id, "delivered, but held, finished or not due: nothing to do");
                    metrics::delivered(queue, metrics::NOT_DUE);
                    return None;
                }
                Err(error) => {
                    let wait = backoff::STORE.draw(failures);
                    tracing::warn!(job.id = %id, %error, ?wait, "the ledger does not answer a claim");
                    tokio::select! {
                        () = self.draining.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
        metrics::delivered(queue, metrics::UNANSWERED);
        None
    }

    async fn execute(&self, job: ClaimedJob, held_until: Instant) {
        let began = Instant::now();
        let outcome = match self.registry.find(&job) {
            Found::Unknown(reason) => Outcome::NotOurs(reason),
            Found::Unreadable(failure) => Outcome::Failed(failure),
            Found::Handler(_) if job.attempt > job.max_attempts => Outcome::Failed(Failure::Permanent(
                anyhow::anyhow!("no attempt came to an end: its workers died or lost their lease"),
            )),
            Found::Handler(work) => {
                tracing::info!("job started");
                self.attend(&job, tokio::spawn(work.in_current_span()), held_until).await
            }
        };
        recorder::record(&self.ledger, &self.clock, &self.ending, &job, outcome, began.elapsed()).await;
    }

    /// Stays with a running handler until it ends, its time is up, its lease is lost or the process ends.
    async fn attend(
        &self,
        job: &ClaimedJob,
        mut handler: JoinHandle<Done>,
        mut held_until: Instant,
    ) -> Outcome {
        let deadline = Instant::now() + self.limit;
        let mut renew = tokio::time::interval_at(Instant::now() + self.lease / 3, self.lease / 3);
        let outcome = loop {
            // Stopped before the lease ends, since stopping takes a moment too.
            let too_late = held_until - self.lease / 10;
            tokio::select! {
                biased;
                ended = &mut handler => return match ended {
                    Ok(Ok(())) => Outcome::Done,
                    Ok(Err(failure)) => Outcome::Failed(failure),
                    Err(error) => Outcome::Failed(Failure::Transient(anyhow::anyhow!(panic_message(error)))),
                },
                () = self.ending.cancelled() => break Outcome::HandBack,
                () = tokio::time::sleep_until(too_late) => break Outcome::Lost,
                () = tokio::time::sleep_until(deadline) => {
                    break Outcome::Failed(Failure::Transient(anyhow::anyhow!("not done within {:?}", self.limit)));
                }
                _ = renew.tick() => {
                    let asked = Instant::now();
                    // Bounded, so that a connection that hangs does not outlast the lease.
                    match timeout(self.lease / 3, self.ledger.renew(job.id, job.attempt, self.lease)).await {
                        Ok(Ok(true)) => held_until = asked + self.lease,
                        Ok(Ok(false)) => break Outcome::Lost,
                        Ok(Err(error)) => tracing::warn!(%error, "the lease could not be renewed yet"),
                        Err(_) => tracing::warn!("the ledger does not answer the renewal of a lease"),
                    }
                }
            }
        };
        handler.abort();
        if timeout(STOPPING, handler).await.is_err() {
            tracing::error!("the handler does not stop: it blocks its thread");
        }
        outcome
    }
}
