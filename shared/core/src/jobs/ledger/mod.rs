//! The worker's side of the ledger: what is due, claims and leases, how attempts ended, limits by key.
//!
//! Every write after a claim names it, so that a worker whose lease was taken over changes nothing. Times are those of
//! PostgreSQL: a worker whose clock is wrong takes nothing early and holds nothing too long.

mod backlog;
mod claims;
mod ends;
mod limits;
mod suspects;
mod window;

pub(super) use backlog::backlog;
pub use backlog::{Backlog, Due, Others};
pub use claims::{Claim, ClaimedJob, Renewed};
pub use ends::{Ended, HowItEnded, Recorded};
pub use limits::Hold;
pub(super) use window::note;

use plinth_platform::database::{self, PgPool};
use plinth_platform::internal::Readiness;
use plinth_platform::settings::DatabaseSettings;

use crate::Result;
use crate::readiness::{STUCK_AFTER, recovering};

/// The door to the ledger. It has connections of its own: leases are renewed however many connections handlers hold.
#[derive(Clone)]
pub struct Ledger {
    db: PgPool,
}

impl Ledger {
    pub fn new(settings: &DatabaseSettings, application: &str) -> Result<Self> {
        Ok(Self {
            db: database::pool_by_key(settings, application)?,
        })
    }

    /// Adds that the process has to be restarted once the ledger's connections cannot recover.
    #[must_use]
    pub fn recovering(&self, readiness: Readiness) -> Readiness {
        recovering(readiness, "ledger pool", &self.db, STUCK_AFTER)
    }
}
