//! What a handler may know of the job that it runs, and may ask of the ledger while it does.

use plinth_core::jobs::{Claim, Hold, Ledger};
use plinth_domain::id::JobId;

use crate::outcome::Failure;

/// One attempt at a job.
#[derive(Clone)]
pub struct Attempt {
    pub job: JobId,
    /// 1 for the first.
    pub number: i16,
    claim: Claim,
    ledger: Ledger,
}

impl Attempt {
    pub(crate) fn new(claim: Claim, number: i16, ledger: Ledger) -> Self {
        Self { job: claim.job, number, claim, ledger }
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
