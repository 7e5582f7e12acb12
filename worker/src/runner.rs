//! Runs a claimed job: finds its handler, stays with it, and has written down how it ended.
//!
//! A handler runs in a task of its own, and is stopped before its lease has run out where that cannot be renewed.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Changes, ClaimedJob, Ledger};
use plinth_domain::job::SHOWN_TO_OWNERS;
use plinth_platform::telemetry::trace;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::attempt::Attempt;
use crate::leases::{Lease, Stop};
use crate::outcome::{Failure, JobResult, Outcome};
use crate::queue::{Held, Slot};
use crate::recorder::Recorder;
use crate::registry::{Found, Registry};

/// How long a stopped handler gets to reach its next await.
const STOPPING: Duration = Duration::from_secs(1);

/// What every job needs to be run.
pub struct Runner {
    pub ledger: Ledger,
    pub registry: Registry,
    pub recorder: Recorder,
    /// Where those hear of a job who asked for it.
    pub changes: Changes,
    /// How long one attempt may take, unless its kind says less.
    pub limit: Duration,
    /// The jobs that run now.
    pub running: TaskTracker,
    /// No more jobs are begun.
    pub draining: CancellationToken,
    /// The grace is over: running jobs are handed back.
    pub ending: CancellationToken,
}

impl Runner {
    /// Begins a job, which goes on by itself and gives the slot back when it ends.
    pub fn start(self: &Arc<Self>, held: Held, slot: Slot) {
        self.running.spawn(self.clone().run(held, slot));
    }

    async fn run(self: Arc<Self>, held: Held, slot: Slot) {
        let job = &held.job;
        let span = tracing::info_span!(
            "job",
            otel.name = job.kind,
            otel.kind = "consumer",
            job.id = %job.claim.job,
            job.kind,
            job.queue = %job.queue,
            job.attempt,
            trace_id = tracing::field::Empty,
        );
        trace::continue_from(&span, job.traceparent.as_deref());
        if let Some(trace_id) = trace::trace_id(&span) {
            span.record("trace_id", trace_id);
        }
        self.run_in_span(held, slot).instrument(span).await;
    }

    async fn run_in_span(&self, held: Held, slot: Slot) {
        let began = Instant::now();
        let Held { job, lease } = held;
        self.tell_owner(&job);
        let outcome = self.execute(&job, lease).await;
        let took = began.elapsed();
        slot.ended_after(took);
        self.recorder.record(&job, outcome, took).await;
        self.tell_owner(&job);
    }

    fn tell_owner(&self, job: &ClaimedJob) {
        if SHOWN_TO_OWNERS.contains(&job.kind.as_str()) {
            self.changes.tell(job.claim.job);
        }
    }

    async fn execute(&self, job: &ClaimedJob, mut lease: Lease) -> Outcome {
        if self.draining.is_cancelled() {
            return Outcome::HandBack;
        }
        if job.cancel_asked {
            return Outcome::Cancelled;
        }
        if let Some(stop) = lease.is_stopped() {
            return stop.into();
        }
        if job.attempt > job.max_attempts {
            return dead("no attempt came to an end: its workers died or lost their lease");
        }
        if job.is_overdue {
            return dead("the time is over in which an attempt could begin");
        }
        let attempt = Attempt::new(
            job.claim,
            job.attempt,
            self.ledger.clone(),
            self.changes.clone(),
        );
        match self.registry.find(job, attempt) {
            Found::Unknown(reason) => Outcome::NotOurs(reason),
            Found::Unreadable(failure) => Outcome::Failed(failure),
            Found::Handler { work, limit } => {
                tracing::debug!("job started");
                let limit = limit.map_or(self.limit, |limit| limit.min(self.limit));
                self.attend(tokio::spawn(work.in_current_span()), limit, lease)
                    .await
            }
        }
    }

    /// Stays with a running handler until it ends, its time is up, it has to stop or the process ends.
    async fn attend(
        &self,
        mut handler: JoinHandle<JobResult>,
        limit: Duration,
        mut lease: Lease,
    ) -> Outcome {
        let outcome = tokio::select! {
            biased;
            ended = &mut handler => return Outcome::of(ended),
            stop = lease.stopped() => stop.into(),
            () = self.ending.cancelled() => Outcome::HandBack,
            () = tokio::time::sleep(limit) => {
                Outcome::Failed(Failure::Transient(anyhow::anyhow!("not done within {limit:?}")))
            }
        };
        handler.abort();
        if timeout(STOPPING, handler).await.is_err() {
            tracing::error!("the handler does not stop: it blocks its thread");
        }
        outcome
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::Lost => Self::Lost,
        }
    }
}

fn dead(reason: &'static str) -> Outcome {
    Outcome::Failed(Failure::Permanent(anyhow::anyhow!(reason)))
}
