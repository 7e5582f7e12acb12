//! Writes how attempts ended into the ledger, those that end about the same time in one transaction.

use std::time::Duration;

use plinth_core::jobs::{ClaimedJob, Ended, HowItEnded, Ledger, Transport};
use plinth_platform::causes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::outcome::{Failure, Outcome};
use crate::{backoff, metrics};

/// When a job that this worker does not know is looked at again.
const ELSEWHERE: Duration = Duration::from_mins(1);

/// How long the ledger may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attempts to write once the process has to end.
const LAST_TRIES: u32 = 2;

/// Outcomes in one transaction, at most.
const GROUP: usize = 500;

/// While outcomes come one after the other, those of so long are written together.
const GATHER: Duration = Duration::from_millis(4);

/// A job that panics so often in a row is dead, however many attempts it has left.
const PANICS: i16 = 3;

/// Where attempts that have ended are handed in.
#[derive(Clone)]
pub struct Recorder(UnboundedSender<Entry>);

struct Entry {
    ended: Ended,
    /// Answers whether the job was still ours.
    answer: oneshot::Sender<bool>,
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
        (Self(entries), write_all(handed_in, ledger, transport, ending))
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
        if self.0.send(Entry { ended: Ended { claim: job.claim, how }, answer }).is_err() {
            return;
        }
        match answered.await {
            Ok(true) => metrics::attempt_ended(job.queue, &job.kind, name, took),
            Ok(false) => {
                tracing::error!(outcome = name, "the outcome comes too late: the job is not ours any more");
                metrics::attempt_ended(job.queue, &job.kind, "lost", took);
            }
            Err(_) => {
                tracing::error!(outcome = name, "the outcome is lost with this process; the job runs again");
            }
        }
    }
}

/// What is written of an outcome; its name where nothing is.
fn conclude(job: &ClaimedJob, outcome: Outcome) -> Result<HowItEnded, &'static str> {
    let told = |error: anyhow::Error| causes::told(error.as_ref());
    Ok(match outcome {
        Outcome::Done => HowItEnded::Done,
        Outcome::HandBack => HowItEnded::HandedBack,
        Outcome::Cancelled => HowItEnded::Cancelled,
        Outcome::NotOurs(reason) => HowItEnded::Postponed { reason, wait: ELSEWHERE },
        Outcome::Failed(Failure::Transient(error)) => again(job, told(error), false),
        Outcome::Failed(Failure::PutOff { error, backoff }) => {
            HowItEnded::PutOff { error: told(error), wait: backoff.draw(job.age) }
        }
        Outcome::Failed(Failure::Permanent(error)) => HowItEnded::Dead { error: told(error) },
        Outcome::Panicked(error) => again(job, error, true),
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
    HowItEnded::Retried { error, wait: backoff::JOB.draw(job.attempt.unsigned_abs().into()), panicked }
}

fn tell(how: &HowItEnded, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match how {
        HowItEnded::Done => tracing::info!(ms, "job done"),
        HowItEnded::Retried { error, wait, .. } => {
            tracing::warn!(ms, error, ?wait, "job failed and will be tried again");
        }
        HowItEnded::PutOff { error, wait } => {
            tracing::warn!(ms, error, ?wait, "job put off: something that it needs is away");
        }
        HowItEnded::Dead { error } => tracing::error!(ms, error, "job is dead"),
        HowItEnded::HandedBack => tracing::info!(ms, "job handed back: this worker stops"),
        HowItEnded::Postponed { reason, .. } => tracing::warn!(reason, "job left for another worker"),
        HowItEnded::Cancelled => tracing::info!(ms, "job cancelled"),
    }
}

async fn write_all(
    mut handed_in: UnboundedReceiver<Entry>,
    ledger: Ledger,
    transport: Transport,
    ending: CancellationToken,
) {
    let mut group = Vec::with_capacity(GROUP);
    let mut written_at: Option<Instant> = None;
    while handed_in.recv_many(&mut group, GROUP).await > 0 {
        if let Some(at) = written_at.filter(|at| at.elapsed() < GATHER && group.len() < GROUP) {
            tokio::time::sleep_until(at + GATHER).await;
            while group.len() < GROUP
                && let Ok(entry) = handed_in.try_recv()
            {
                group.push(entry);
            }
        }
        write(&mut group, &ledger, &transport, &ending).await;
        written_at = Some(Instant::now());
        // Without an answer: the process ends first.
        group.clear();
    }
}

async fn write(group: &mut Vec<Entry>, ledger: &Ledger, transport: &Transport, ending: &CancellationToken) {
    let ended: Vec<Ended> = group.iter().map(|entry| entry.ended.clone()).collect();
    let mut last_tries = 0;
    for failures in 1.. {
        match timeout(PATIENCE, ledger.record(&ended)).await {
            Ok(Ok(recorded)) => {
                for entry in group.drain(..) {
                    // Nobody waits for it only where the process is ending.
                    let _ = entry.answer.send(recorded.ours.contains(&entry.ended.claim.job));
                }
                if !recorded.released.is_empty()
                    && let Err(error) = transport.push(&recorded.released).await
                {
                    tracing::warn!(%error, "released jobs could not be pushed; the dispatcher will");
                }
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, outcomes = ended.len(), "the ledger does not take outcomes yet");
            }
            Err(_) => tracing::warn!(outcomes = ended.len(), "the ledger does not answer outcomes"),
        }
        if ending.is_cancelled() {
            last_tries += 1;
            if last_tries >= LAST_TRIES {
                return;
            }
        }
        tokio::time::sleep(backoff::STORE.draw(failures)).await;
    }
}
