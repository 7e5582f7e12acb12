//! Writes how an attempt ended into the ledger, and says so.

use std::time::Duration;

use plinth_core::jobs::{ClaimedJob, Ledger};
use plinth_platform::causes;
use plinth_platform::clock::Clock;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::outcome::{Failure, Outcome};
use crate::{backoff, metrics};

/// When a job that this worker does not know is looked at again.
const ELSEWHERE: Duration = Duration::from_mins(1);

/// How long the ledger may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attempts to write once the process has to end.
const LAST_TRIES: u32 = 2;

/// What is written.
enum Entry {
    Finish,
    Retry { error: String, wait: Duration },
    Bury { error: String },
    HandBack,
    Postpone { reason: String },
}

impl Entry {
    fn of(job: &ClaimedJob, outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Done => Self::Finish,
            Outcome::HandBack => Self::HandBack,
            Outcome::NotOurs(reason) => Self::Postpone { reason },
            Outcome::Failed(Failure::Transient(error)) if job.attempt < job.max_attempts => Self::Retry {
                error: causes::told(error.as_ref()),
                wait: backoff::JOB.draw(job.attempt.unsigned_abs().into()),
            },
            Outcome::Failed(Failure::Transient(error) | Failure::Permanent(error)) => {
                Self::Bury { error: causes::told(error.as_ref()) }
            }
            Outcome::Lost => return None,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Finish => "done",
            Self::Retry { .. } => "retried",
            Self::Bury { .. } => "dead",
            Self::HandBack => "handed_back",
            Self::Postpone { .. } => "postponed",
        }
    }

    fn tell(&self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Finish => tracing::info!(ms, "job done"),
            Self::Retry { error, wait } => {
                tracing::warn!(ms, error, ?wait, "job failed and will be tried again");
            }
            Self::Bury { error } => tracing::error!(ms, error, "job is dead"),
            Self::HandBack => tracing::info!(ms, "job handed back: this worker stops"),
            Self::Postpone { reason } => tracing::warn!(reason, "job left for another worker"),
        }
    }

    async fn write(&self, ledger: &Ledger, clock: &Clock, job: &ClaimedJob) -> plinth_core::Result<bool> {
        match self {
            Self::Finish => ledger.finish(job.id, job.attempt).await,
            Self::Retry { error, wait } => {
                ledger.retry(job.id, job.attempt, error, clock.now() + *wait).await
            }
            Self::Bury { error } => ledger.bury(job.id, job.attempt, error).await,
            Self::HandBack => ledger.hand_back(job.id, job.attempt).await,
            Self::Postpone { reason } => {
                ledger.postpone(job.id, job.attempt, clock.now() + ELSEWHERE, reason).await
            }
        }
    }
}

/// Records the outcome, however long the ledger is away, unless the process has to end.
pub async fn record(
    ledger: &Ledger,
    clock: &Clock,
    ending: &CancellationToken,
    job: &ClaimedJob,
    outcome: Outcome,
    took: Duration,
) {
    let Some(entry) = Entry::of(job, outcome) else {
        metrics::attempt_ended(job.queue, &job.kind, "lost", took);
        tracing::error!("the lease was lost: the attempt was stopped, another one follows");
        return;
    };
    entry.tell(took);
    let mut last_tries = 0;
    for failures in 1.. {
        match timeout(PATIENCE, entry.write(ledger, clock, job)).await {
            Ok(Ok(true)) => return metrics::attempt_ended(job.queue, &job.kind, entry.name(), took),
            Ok(Ok(false)) => {
                tracing::error!(
                    outcome = entry.name(),
                    "the outcome comes too late: another worker holds the job"
                );
                return metrics::attempt_ended(job.queue, &job.kind, "lost", took);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the ledger does not take the outcome yet"),
            Err(_) => tracing::warn!("the ledger does not answer an outcome"),
        }
        if ending.is_cancelled() {
            last_tries += 1;
            if last_tries >= LAST_TRIES {
                tracing::error!(
                    outcome = entry.name(),
                    "the outcome is lost with this process; the job runs again"
                );
                return;
            }
        }
        tokio::time::sleep(backoff::STORE.draw(failures)).await;
    }
}
