//! Writes how attempts ended into the ledger, those that end about the same time in one transaction.

mod writer;

use std::time::Duration;

use plinth_core::jobs::{ClaimedJob, Ended, HowItEnded, Ledger, Transport};
use plinth_platform::error_chain;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::writer::Writer;
use crate::outcome::{Failure, Outcome};
use crate::{backoff, metrics};

/// When a job that this worker does not know is looked at again.
const ELSEWHERE: Duration = Duration::from_mins(1);

/// A job that panics so often in a row is dead, however many attempts it has left.
const PANICS: i16 = 3;

/// Where attempts that have ended are handed in.
#[derive(Clone)]
pub struct Recorder(UnboundedSender<Entry>);

struct Entry {
    ended: Ended,
    /// Answers what was written.
    answer: oneshot::Sender<Answer>,
}

/// What became of an outcome.
enum Answer {
    /// It was written, under this name: another than its own if the ledger refused it.
    Written(&'static str),
    /// The job is another worker's by now.
    NotOurs,
    /// The ledger refuses every outcome of this job; when its lease is over, it runs again.
    Refused,
}

impl Recorder {
    /// The recorder, and what writes for it: that ends with the last clone. From `ending` on it does not wait long any
    /// more for a ledger that does not answer.
    pub fn new(
        ledger: Ledger,
        transport: Transport,
        ending: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (entries, handed_in) = unbounded_channel();
        (
            Self(entries),
            Writer {
                ledger,
                transport,
                ending,
            }
            .run(handed_in),
        )
    }

    /// Writes down what an attempt came to, however long the ledger is away, unless the process has to end.
    pub async fn record(&self, job: &ClaimedJob, outcome: Outcome, took: Duration) {
        let how = match conclude(job, outcome) {
            Ok(how) => how,
            // The ledger knows it already.
            Err(unwritten) => return metrics::attempt_ended(job.queue, &job.kind, unwritten, took),
        };
        tell(&how, took);
        let name = how.name();
        let (answer, answered) = oneshot::channel();
        if self
            .0
            .send(Entry {
                ended: Ended {
                    claim: job.claim,
                    how,
                },
                answer,
            })
            .is_err()
        {
            return;
        }
        match answered.await {
            Ok(Answer::Written(written)) => {
                metrics::attempt_ended(job.queue, &job.kind, written, took);
            }
            Ok(Answer::NotOurs) => {
                tracing::error!(
                    outcome = name,
                    "the outcome comes too late: the job is not ours any more"
                );
                metrics::attempt_ended(job.queue, &job.kind, "lost", took);
            }
            Ok(Answer::Refused) => {
                tracing::error!(
                    outcome = name,
                    "the outcome cannot be written; the job runs again"
                );
                metrics::attempt_ended(job.queue, &job.kind, "lost", took);
            }
            Err(_) => {
                tracing::error!(
                    outcome = name,
                    "the outcome is lost with this process; the job runs again"
                );
            }
        }
    }
}

/// What is written of an outcome; its name where nothing is.
fn conclude(job: &ClaimedJob, outcome: Outcome) -> Result<HowItEnded, &'static str> {
    let told = |error: anyhow::Error| error_chain::format_error_chain(error.as_ref());
    Ok(match outcome {
        Outcome::Done => HowItEnded::Done,
        Outcome::HandBack => HowItEnded::HandedBack,
        Outcome::Cancelled => HowItEnded::Cancelled,
        Outcome::NotOurs(reason) => HowItEnded::Postponed {
            reason: error_chain::replace_nul(&reason),
            wait: ELSEWHERE,
        },
        Outcome::Failed(Failure::Transient(error)) => again(job, told(error), false),
        Outcome::Failed(Failure::PutOff { error, backoff }) => HowItEnded::PutOff {
            error: told(error),
            wait: backoff.draw(job.age),
        },
        Outcome::Failed(Failure::Permanent(error)) => HowItEnded::Dead { error: told(error) },
        Outcome::Panicked(error) => again(job, error_chain::replace_nul(&error), true),
        Outcome::Failed(Failure::Parked) => {
            tracing::debug!("job parked: as many as may run at once with its key do");
            return Err("parked");
        }
        Outcome::Lost | Outcome::Failed(Failure::Lost) => {
            tracing::error!("the lease was lost: the attempt was stopped, another one follows");
            return Err("lost");
        }
    })
}

/// Another attempt, where one is left.
fn again(job: &ClaimedJob, error: String, panicked: bool) -> HowItEnded {
    if job.attempt >= job.max_attempts || panicked && job.panics + 1 >= PANICS {
        return HowItEnded::Dead { error };
    }
    HowItEnded::Retried {
        error,
        wait: backoff::JOB.draw(job.attempt.unsigned_abs().into()),
        panicked,
    }
}

fn tell(how: &HowItEnded, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match how {
        HowItEnded::Done => tracing::info!(ms, "job done"),
        HowItEnded::Retried { error, wait, .. } => {
            tracing::warn!(ms, error, ?wait, "job failed and will be tried again");
        }
        HowItEnded::PutOff { error, wait } => {
            tracing::warn!(
                ms,
                error,
                ?wait,
                "job put off: something that it needs is away"
            );
        }
        HowItEnded::Dead { error } => tracing::error!(ms, error, "job is dead"),
        HowItEnded::HandedBack => tracing::info!(ms, "job handed back: this worker stops"),
        HowItEnded::Postponed { reason, .. } => {
            tracing::warn!(reason, "job left for another worker");
        }
        HowItEnded::Cancelled => tracing::info!(ms, "job cancelled"),
    }
}
