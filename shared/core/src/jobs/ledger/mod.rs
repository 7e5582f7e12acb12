//! The worker's side of the ledger: due jobs, claims, leases, outcomes, limits by key.
//!
//! Every write after a claim names the claim, so that a worker whose lease was taken over changes
//! nothing. Times are those of PostgreSQL: a worker with a wrong clock takes nothing early and holds
//! nothing too long.

mod backlog;
mod claims;
mod due;
mod limits;
mod outcomes;
mod suspects;

pub(super) use backlog::backlog;
pub use backlog::{Backlog, Due, Others};
pub use claims::{Claim, ClaimedJob, Renewed};
pub(super) use due::job_ref;
pub use limits::LimitDecision;
pub use outcomes::{AttemptEnd, EndedAttempt, Recorded};

use plinth_platform::database::{self, PgPool};
use plinth_platform::internal::Readiness;
use plinth_platform::settings::DatabaseSettings;

use crate::Result;
use crate::readiness::{STUCK_AFTER, recovering};

/// Access to the ledger, with its own connections: leases are renewed even if handlers use all
/// others.
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
