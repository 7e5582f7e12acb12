//! What a handler knows about its job, and can ask of the ledger while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plinth_core::jobs::{Changes, Claim, Ledger, LimitDecision};
use plinth_domain::id::JobId;

use crate::outcome::Failure;

/// The shortest time between two recorded values of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// One attempt at a job.
#[derive(Clone)]
pub struct Attempt {
    pub job: JobId,
    /// The first attempt is 1.
    pub number: i16,
    claim: Claim,
    ledger: Ledger,
    changes: Changes,
    last_reported_at: Arc<Mutex<Option<Instant>>>,
}

impl Attempt {
    pub(crate) fn new(claim: Claim, number: i16, ledger: Ledger, changes: Changes) -> Self {
        Self {
            job: claim.job,
            number,
            claim,
            ledger,
            changes,
            last_reported_at: Arc::default(),
        }
    }

    /// Reports progress in percent to the owner of the job. The caller may report as often as it
    /// likes: values that come too soon, or cannot be written, are dropped.
    pub async fn report_progress(&self, percent: u8) {
        if !self.is_report_due() {
            return;
        }
        match self
            .ledger
            .progress(self.claim, i16::from(percent.min(100)))
            .await
        {
            Ok(true) => self.changes.tell(self.job),
            // The lease is lost. The task that renews leases stops the attempt.
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "failed to record progress"),
        }
    }

    fn is_report_due(&self) -> bool {
        let mut last = self
            .last_reported_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }

    /// Returns whether the job was claimed before. An attempt that was not counted, because it was
    /// parked or handed back, may have had effects too.
    pub fn is_repetition(&self) -> bool {
        self.claim.number > 1
    }

    /// Takes one of `limit` shares of a key in the whole fleet until this attempt ends.
    ///
    /// # Errors
    /// [`Failure::Parked`] if all shares are taken: the job runs again when one is free. Return it
    /// with `?` before any effect that must not be repeated.
    pub async fn acquire_limit(&self, key: &str, limit: u32) -> Result<(), Failure> {
        match self
            .ledger
            .acquire_limit(self.claim, key, limit.into())
            .await?
        {
            LimitDecision::Granted => Ok(()),
            LimitDecision::Parked => Err(Failure::Parked),
            LimitDecision::LeaseLost => Err(Failure::LeaseLost),
        }
    }
}
