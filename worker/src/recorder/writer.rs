//! Writes outcomes into the ledger in groups; an outcome that the ledger refuses does not hold up the others.

use std::slice;
use std::time::Duration;

use plinth_core::Error;
use plinth_core::jobs::{Ended, HowItEnded, Ledger, Recorded, Transport};
use plinth_platform::error_chain;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Answer, Entry};
use crate::{backoff, metrics};

/// How long the ledger may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attempts to write once the process has to end.
const LAST_TRIES: u32 = 2;

/// Attempts to write one outcome that the ledger refuses: the first may have met a deadlock.
const TRIES: u32 = 3;

/// Outcomes in one transaction, at most.
const GROUP: usize = 500;

/// While outcomes come one after the other, those of so long are written together.
const GATHER: Duration = Duration::from_millis(4);

/// The error of a job whose outcome the ledger refuses.
const REFUSED: &str = "the outcome of the attempt could not be written down";

pub(super) struct Writer {
    pub(super) ledger: Ledger,
    pub(super) transport: Transport,
    /// The process has to end.
    pub(super) ending: CancellationToken,
}

/// What came of writing outcomes.
enum Written {
    All(Recorded),
    /// The ledger answers, and does not take them.
    Refused(Error),
    /// The process ends first.
    Abandoned,
}

impl Writer {
    pub(super) async fn run(self, mut handed_in: UnboundedReceiver<Entry>) {
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
            self.write(&mut group).await;
            written_at = Some(Instant::now());
            // Without an answer: the process ends first.
            group.clear();
        }
    }

    /// Writes a group in one transaction, or one by one if the ledger refuses it.
    async fn write(&self, group: &mut Vec<Entry>) {
        let ended: Vec<Ended> = group.iter().map(|entry| entry.ended.clone()).collect();
        match self.persist(&ended, 1).await {
            Written::All(recorded) => self.answer(group.drain(..), recorded).await,
            Written::Refused(error) => {
                let error = error_chain::format_error_chain(&error);
                tracing::warn!(
                    error,
                    outcomes = ended.len(),
                    "outcomes are refused and written one by one"
                );
                for entry in group.drain(..) {
                    self.write_one(entry).await;
                }
            }
            Written::Abandoned => {}
        }
    }

    /// Writes one outcome. If the ledger refuses it, the job is dead.
    async fn write_one(&self, mut entry: Entry) {
        let mut written = self.persist(slice::from_ref(&entry.ended), TRIES).await;
        if let Written::Refused(error) = &written {
            let Ended { claim, how } = &mut entry.ended;
            let error = error_chain::format_error_chain(error);
            tracing::error!(error, job.id = %claim.job, outcome = how.name(), "an outcome is refused: its job is dead");
            metrics::passed_over("outcomes", 1);
            *how = HowItEnded::Dead {
                error: REFUSED.to_owned(),
            };
            written = self.persist(slice::from_ref(&entry.ended), TRIES).await;
        }
        match written {
            Written::All(recorded) => self.answer([entry], recorded).await,
            Written::Refused(error) => {
                let error = error_chain::format_error_chain(&error);
                tracing::error!(error, job.id = %entry.ended.claim.job, "the dead letter is refused, too");
                // Nobody waits for it only where the process is ending.
                let _ = entry.answer.send(Answer::Refused);
            }
            Written::Abandoned => {}
        }
    }

    /// Writes outcomes, all or none, however long the ledger is away. It may refuse them so many times.
    async fn persist(&self, ended: &[Ended], refusals: u32) -> Written {
        let (mut failures, mut refused, mut last_tries) = (0, 0, 0);
        loop {
            match timeout(PATIENCE, self.ledger.record(ended)).await {
                Ok(Ok(recorded)) => return Written::All(recorded),
                Ok(Err(error)) if !error.is_outage() => {
                    refused += 1;
                    if refused >= refusals {
                        return Written::Refused(error);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, outcomes = ended.len(), "the ledger does not take outcomes yet");
                }
                Err(_) => tracing::warn!(
                    outcomes = ended.len(),
                    "the ledger does not answer outcomes"
                ),
            }
            if self.ending.is_cancelled() {
                last_tries += 1;
                if last_tries >= LAST_TRIES {
                    return Written::Abandoned;
                }
            }
            failures += 1;
            tokio::time::sleep(backoff::STORE.draw(failures)).await;
        }
    }

    async fn answer(&self, written: impl IntoIterator<Item = Entry>, recorded: Recorded) {
        for entry in written {
            // Nobody waits for it only where the process is ending.
            let _ = entry
                .answer
                .send(if recorded.ours.contains(&entry.ended.claim.job) {
                    Answer::Written(entry.ended.how.name())
                } else {
                    Answer::NotOurs
                });
        }
        if !recorded.released.is_empty()
            && let Err(error) = self.transport.push(&recorded.released).await
        {
            tracing::warn!(%error, "released jobs could not be pushed; the dispatcher will");
        }
    }
}
