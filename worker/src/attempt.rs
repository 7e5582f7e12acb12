//! What a handler may know of the job that it runs, and may ask of the ledger while it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plinth_core::jobs::{Changes, Claim, Hold, Ledger};
use plinth_domain::id::JobId;

use crate::outcome::Failure;

/// Progress that comes faster than this is not written down.
const STEP: Duration = Duration::from_millis(200);

/// One attempt at a job.
#[derive(Clone)]
pub struct Attempt {
    pub job: JobId,
    /// 1 for the first.
    pub number: i16,
    claim: Claim,
    ledger: Ledger,
    changes: Changes,
    /// When progress was written down last.
    told: Arc<Mutex<Option<Instant>>>,
}

impl Attempt {
    pub(crate) fn new(claim: Claim, number: i16, ledger: Ledger, changes: Changes) -> Self {
        Self {
            job: claim.job,
            number,
            claim,
            ledger,
            changes,
            told: Arc::default(),
        }
    }

    /// Tells the owner how far the attempt has come, of 100. It may be called as often as one likes: what follows too
    /// soon is left out, and what cannot be written down is not missed.
    pub async fn progress(&self, percent: u8) {
        if !self.is_worth_telling() {
            return;
        }
        match self
            .ledger
            .progress(self.claim, i16::from(percent.min(100)))
            .await
        {
            Ok(true) => self.changes.tell(self.job),
            // Whoever renews the lease finds out.
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "progress could not be noted"),
        }
    }

    fn is_worth_telling(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|at| at.elapsed() >= STEP);
        if is_due {
            *told = Some(Instant::now());
        }
        is_due
    }

    /// Whether somebody held the job before. An attempt that does not count, as one that was parked or handed back, may
    /// have left something behind all the same.
    pub fn is_repetition(&self) -> bool {
        self.claim.number > 1
    }

    /// Takes one of `limit` shares of a key in the whole fleet, for as long as this attempt lasts.
    ///
    /// # Errors
    /// [`Failure::Parked`] where others have them all: the job goes on when one of them ends. Give it back with `?`
    /// before anything is done that should not be done twice.
    pub async fn hold(&self, key: &str, limit: u32) -> Result<(), Failure> {
        match self.ledger.hold(self.claim, key, limit.into()).await? {
            Hold::Granted => Ok(()),
            Hold::Parked => Err(Failure::Parked),
            Hold::Lost => Err(Failure::Lost),
        }
    }
}
