//! Runs a claimed job: finds its handler, waits for its end, and records the outcome.
//!
//! A handler runs in its own task. If its lease cannot be renewed, it is stopped before the lease
//! expires.

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
use crate::leases::{Lease, StopReason};
use crate::outcome::{Failure, JobResult, Outcome};
use crate::queue::{LeasedJob, Permit};
use crate::recorder::Recorder;
use crate::registry::{HandlerLookup, Registry};

/// How long an aborted handler may take to reach its next await.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the jobs of all queues of this process.
pub struct Runner {
    pub ledger: Ledger,
    pub registry: Registry,
    pub recorder: Recorder,
    /// Announces changes of a job to its owner.
    pub changes: Changes,
    /// The longest time of an attempt. A kind may have a shorter one.
    pub time_limit: Duration,
    /// The tasks of the running jobs.
    pub running: TaskTracker,
    /// No more jobs start.
    pub draining: CancellationToken,
    /// The drain grace has ended: running jobs are handed back.
    pub ending: CancellationToken,
}

impl Runner {
    /// Starts a job in its own task, which releases the permit when the job ends.
    pub fn start(self: &Arc<Self>, leased: LeasedJob, permit: Permit) {
        self.running.spawn(self.clone().run(leased, permit));
    }

    async fn run(self: Arc<Self>, leased: LeasedJob, permit: Permit) {
        let job = &leased.job;
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
        self.run_in_span(leased, permit).instrument(span).await;
    }

    async fn run_in_span(&self, leased: LeasedJob, permit: Permit) {
        let started_at = Instant::now();
        let LeasedJob { job, lease } = leased;
        self.notify_owner(&job);
        let outcome = self.execute(&job, lease).await;
        let duration = started_at.elapsed();
        permit.release(duration);
        self.recorder.record(&job, outcome, duration).await;
        self.notify_owner(&job);
    }

    fn notify_owner(&self, job: &ClaimedJob) {
        if SHOWN_TO_OWNERS.contains(&job.kind.as_str()) {
            self.changes.tell(job.claim.job);
        }
    }

    async fn execute(&self, job: &ClaimedJob, mut lease: Lease) -> Outcome {
        if self.draining.is_cancelled() {
            return Outcome::HandedBack;
        }
        if job.cancel_asked {
            return Outcome::Cancelled;
        }
        if let Some(reason) = lease.stop_reason() {
            return reason.into();
        }
        if job.attempt > job.max_attempts {
            return dead("no attempt ended: its workers died or lost their lease");
        }
        if job.is_overdue {
            return dead("the deadline passed before an attempt could start");
        }
        let attempt = Attempt::new(
            job.claim,
            job.attempt,
            self.ledger.clone(),
            self.changes.clone(),
        );
        match self.registry.find(job, attempt) {
            HandlerLookup::Unsupported(reason) => Outcome::Unsupported(reason),
            HandlerLookup::InvalidPayload(failure) => Outcome::Failed(failure),
            HandlerLookup::Found {
                handler,
                time_limit,
            } => {
                tracing::debug!("job started");
                let limit = time_limit.map_or(self.time_limit, |limit| limit.min(self.time_limit));
                let handler = tokio::spawn(handler.in_current_span());
                self.wait_for_end(handler, limit, lease).await
            }
        }
    }

    /// Waits until the handler ends. Aborts it if its time is over, its lease is lost, the job is
    /// cancelled, or the process ends.
    async fn wait_for_end(
        &self,
        mut handler: JoinHandle<JobResult>,
        limit: Duration,
        mut lease: Lease,
    ) -> Outcome {
        let outcome = tokio::select! {
            biased;
            ended = &mut handler => return Outcome::from_task(ended),
            reason = lease.wait_for_stop() => reason.into(),
            () = self.ending.cancelled() => Outcome::HandedBack,
            () = tokio::time::sleep(limit) => {
                Outcome::Failed(Failure::Transient(anyhow::anyhow!("not done within {limit:?}")))
            }
        };
        handler.abort();
        if timeout(ABORT_TIMEOUT, handler).await.is_err() {
            tracing::error!("aborted handler still blocks its thread");
        }
        outcome
    }
}

impl From<StopReason> for Outcome {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Cancelled => Self::Cancelled,
            StopReason::LeaseLost => Self::LeaseLost,
        }
    }
}

fn dead(reason: &'static str) -> Outcome {
    Outcome::Failed(Failure::Permanent(anyhow::anyhow!(reason)))
}
