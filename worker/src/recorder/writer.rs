//! Writes outcomes to the ledger in groups. An outcome that the ledger refuses does not delay the
//! others.

use std::slice;
use std::time::Duration;

use plinth_core::Error;
use plinth_core::jobs::{AttemptEnd, EndedAttempt, Ledger, Recorded, Transport};
use plinth_platform::error_chain;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Entry, WriteResult};
use crate::{backoff, metrics};

/// How long the ledger may take for one statement.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a write is tried once the process has to end.
const MAX_TRIES_WHILE_ENDING: u32 = 2;

/// How often the ledger may refuse one outcome. The first refusal may be a deadlock.
const MAX_REFUSALS: u32 = 3;

/// The largest number of outcomes in one transaction.
const RECORD_BATCH_SIZE: usize = 500;

/// Under load, outcomes that come within this time are written in one transaction.
const RECORD_BATCH_WINDOW: Duration = Duration::from_millis(4);

/// The error of a job whose outcome the ledger refuses.
const REFUSED_OUTCOME_ERROR: &str = "the outcome of the attempt could not be written";

pub(super) struct Writer {
    pub(super) ledger: Ledger,
    pub(super) transport: Transport,
    /// The process has to end.
    pub(super) ending: CancellationToken,
}

/// The result of writing a group.
enum GroupResult {
    Written(Recorded),
    /// The ledger is available and refuses the group.
    Refused(Error),
    /// The process ends first.
    Abandoned,
}

impl Writer {
    pub(super) async fn run(self, mut entries: UnboundedReceiver<Entry>) {
        let mut group = Vec::with_capacity(RECORD_BATCH_SIZE);
        let mut written_at: Option<Instant> = None;
        while entries.recv_many(&mut group, RECORD_BATCH_SIZE).await > 0 {
            if let Some(at) = written_at
                .filter(|at| at.elapsed() < RECORD_BATCH_WINDOW && group.len() < RECORD_BATCH_SIZE)
            {
                tokio::time::sleep_until(at + RECORD_BATCH_WINDOW).await;
                while group.len() < RECORD_BATCH_SIZE
                    && let Ok(entry) = entries.try_recv()
                {
                    group.push(entry);
                }
            }
            self.write(&mut group).await;
            written_at = Some(Instant::now());
            // Entries are left only if the process ends first. They get no result.
            group.clear();
        }
    }

    /// Writes a group in one transaction, or one by one if the ledger refuses the group.
    async fn write(&self, group: &mut Vec<Entry>) {
        let ended: Vec<EndedAttempt> = group.iter().map(|entry| entry.ended.clone()).collect();
        match self.persist(&ended, 1).await {
            GroupResult::Written(recorded) => self.finish(group.drain(..), recorded).await,
            GroupResult::Refused(error) => {
                let error = error_chain::format_error_chain(&error);
                tracing::warn!(
                    error,
                    outcomes = ended.len(),
                    "ledger refused outcomes, writing them one by one"
                );
                for entry in group.drain(..) {
                    self.write_one(entry).await;
                }
            }
            GroupResult::Abandoned => {}
        }
    }

    /// Writes one outcome. If the ledger refuses it, the job becomes a dead letter.
    async fn write_one(&self, mut entry: Entry) {
        let ended = slice::from_ref(&entry.ended);
        let mut result = self.persist(ended, MAX_REFUSALS).await;
        if let GroupResult::Refused(error) = &result {
            let EndedAttempt { claim, outcome } = &mut entry.ended;
            let error = error_chain::format_error_chain(error);
            tracing::error!(
                error,
                job.id = %claim.job,
                outcome = outcome.name(),
                "ledger refused an outcome, its job is dead"
            );
            metrics::count_passed_over("outcomes", 1);
            *outcome = AttemptEnd::Dead {
                error: REFUSED_OUTCOME_ERROR.to_owned(),
            };
            let ended = slice::from_ref(&entry.ended);
            result = self.persist(ended, MAX_REFUSALS).await;
        }
        match result {
            GroupResult::Written(recorded) => self.finish([entry], recorded).await,
            GroupResult::Refused(error) => {
                let error = error_chain::format_error_chain(&error);
                tracing::error!(error, job.id = %entry.ended.claim.job, "ledger refused the dead letter");
                // The receiver is gone only if the process ends.
                let _ = entry.result.send(WriteResult::Refused);
            }
            GroupResult::Abandoned => {}
        }
    }

    /// Writes outcomes, all or none, until the ledger accepts them or has refused them
    /// `max_refusals` times.
    async fn persist(&self, ended: &[EndedAttempt], max_refusals: u32) -> GroupResult {
        let (mut failures, mut refusals, mut tries_while_ending) = (0, 0, 0);
        loop {
            match timeout(LEDGER_TIMEOUT, self.ledger.record(ended)).await {
                Ok(Ok(recorded)) => return GroupResult::Written(recorded),
                Ok(Err(error)) if !error.is_outage() => {
                    refusals += 1;
                    if refusals >= max_refusals {
                        return GroupResult::Refused(error);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, outcomes = ended.len(), "ledger unavailable, outcomes wait");
                }
                Err(_) => tracing::warn!(outcomes = ended.len(), "ledger timed out, outcomes wait"),
            }
            if self.ending.is_cancelled() {
                tries_while_ending += 1;
                if tries_while_ending >= MAX_TRIES_WHILE_ENDING {
                    return GroupResult::Abandoned;
                }
            }
            failures += 1;
            tokio::time::sleep(backoff::STORE_RETRY.random_wait(failures)).await;
        }
    }

    /// Reports what was written, and pushes the jobs that it released.
    async fn finish(&self, entries: impl IntoIterator<Item = Entry>, recorded: Recorded) {
        for entry in entries {
            let result = if recorded.written.contains(&entry.ended.claim.job) {
                WriteResult::Written(entry.ended.outcome.name())
            } else {
                WriteResult::LeaseLost
            };
            // The receiver is gone only if the process ends.
            let _ = entry.result.send(result);
        }
        if !recorded.released.is_empty()
            && let Err(error) = self.transport.push(&recorded.released).await
        {
            tracing::warn!(%error, "failed to push released jobs, the dispatcher will");
        }
    }
}
