//! Records the outcomes of attempts in the ledger. Outcomes of about the same time share a
//! transaction.

mod writer;

use std::time::Duration;

use plinth_core::jobs::{AttemptEnd, ClaimedJob, EndedAttempt, Ledger, Transport};
use plinth_platform::error_chain;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::writer::Writer;
use crate::outcome::{Failure, Outcome};
use crate::{backoff, metrics};

/// When a job that this worker does not support is tried again.
const UNSUPPORTED_RETRY_WAIT: Duration = Duration::from_mins(1);

/// A job is dead after this number of panics in a row, even if it has attempts left.
const MAX_PANICS_IN_A_ROW: i16 = 3;

/// The input of the task that records outcomes. Clones share it.
#[derive(Clone)]
pub struct Recorder(UnboundedSender<Entry>);

struct Entry {
    ended: EndedAttempt,
    result: oneshot::Sender<WriteResult>,
}

/// The result of recording one outcome.
enum WriteResult {
    /// The outcome was written under this name. If the ledger refused it, this is "dead".
    Written(&'static str),
    /// Another worker holds the job by now.
    LeaseLost,
    /// The ledger refuses every outcome of this job. It runs again when its lease expires.
    Refused,
}

impl Recorder {
    /// Returns the recorder, and the task that writes for it, which ends with the last clone. After
    /// `ending` the task does not wait long for an unavailable ledger.
    pub fn new(
        ledger: Ledger,
        transport: Transport,
        ending: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = unbounded_channel();
        let writer = Writer {
            ledger,
            transport,
            ending,
        };
        (Self(sender), writer.run(receiver))
    }

    /// Records the outcome of an attempt. Waits while the ledger is unavailable, unless the process
    /// has to end.
    pub async fn record(&self, job: &ClaimedJob, outcome: Outcome, duration: Duration) {
        let outcome = match to_ledger_outcome(job, outcome) {
            Ok(outcome) => outcome,
            // The ledger has this outcome already.
            Err(name) => return metrics::count_attempt(job.queue, &job.kind, name, duration),
        };
        log_outcome(&outcome, duration);
        let name = outcome.name();
        let (sender, result) = oneshot::channel();
        if self
            .0
            .send(Entry {
                ended: EndedAttempt {
                    claim: job.claim,
                    outcome,
                },
                result: sender,
            })
            .is_err()
        {
            return;
        }
        match result.await {
            Ok(WriteResult::Written(written)) => {
                metrics::count_attempt(job.queue, &job.kind, written, duration);
            }
            Ok(WriteResult::LeaseLost) => {
                tracing::error!(
                    outcome = name,
                    "outcome came too late, another worker holds the job"
                );
                metrics::count_attempt(job.queue, &job.kind, "lost", duration);
            }
            Ok(WriteResult::Refused) => {
                tracing::error!(
                    outcome = name,
                    "outcome cannot be written, the job runs again"
                );
                metrics::count_attempt(job.queue, &job.kind, "lost", duration);
            }
            Err(_) => {
                tracing::error!(
                    outcome = name,
                    "process ends before the outcome is written, the job runs again"
                );
            }
        }
    }
}

/// Returns the outcome to write, or only its name if the ledger has it already.
fn to_ledger_outcome(job: &ClaimedJob, outcome: Outcome) -> Result<AttemptEnd, &'static str> {
    let format = |error: anyhow::Error| error_chain::format_error_chain(error.as_ref());
    Ok(match outcome {
        Outcome::Done => AttemptEnd::Done,
        Outcome::HandedBack => AttemptEnd::HandedBack,
        Outcome::Cancelled => AttemptEnd::Cancelled,
        Outcome::Unsupported(reason) => AttemptEnd::Unsupported {
            reason: error_chain::replace_nul(&reason),
            wait: UNSUPPORTED_RETRY_WAIT,
        },
        Outcome::Failed(Failure::Transient(error)) => retry_or_dead(job, format(error), false),
        Outcome::Failed(Failure::Postponed { error, backoff }) => AttemptEnd::Postponed {
            error: format(error),
            wait: backoff.random_wait(job.age),
        },
        Outcome::Failed(Failure::Permanent(error)) => AttemptEnd::Dead {
            error: format(error),
        },
        Outcome::Panicked(error) => retry_or_dead(job, error_chain::replace_nul(&error), true),
        Outcome::Failed(Failure::Parked) => {
            tracing::debug!("job parked, all shares of its limit are taken");
            return Err("parked");
        }
        Outcome::LeaseLost | Outcome::Failed(Failure::LeaseLost) => {
            tracing::error!("lease lost, attempt stopped; the job runs again");
            return Err("lost");
        }
    })
}

/// Returns another attempt if the job has one left.
fn retry_or_dead(job: &ClaimedJob, error: String, panicked: bool) -> AttemptEnd {
    if job.attempt >= job.max_attempts || panicked && job.panics + 1 >= MAX_PANICS_IN_A_ROW {
        return AttemptEnd::Dead { error };
    }
    AttemptEnd::Retried {
        error,
        wait: backoff::JOB_RETRY.random_wait(job.attempt.unsigned_abs().into()),
        panicked,
    }
}

fn log_outcome(outcome: &AttemptEnd, duration: Duration) {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        AttemptEnd::Done => tracing::info!(ms, "job done"),
        AttemptEnd::Retried { error, wait, .. } => {
            tracing::warn!(ms, error, ?wait, "job failed, will be retried");
        }
        AttemptEnd::Postponed { error, wait } => {
            tracing::warn!(
                ms,
                error,
                ?wait,
                "job postponed, a dependency is unavailable"
            );
        }
        AttemptEnd::Dead { error } => tracing::error!(ms, error, "job is dead"),
        AttemptEnd::HandedBack => tracing::info!(ms, "job handed back, worker is stopping"),
        AttemptEnd::Unsupported { reason, .. } => {
            tracing::warn!(reason, "job left for another worker");
        }
        AttemptEnd::Cancelled => tracing::info!(ms, "job cancelled"),
    }
}
