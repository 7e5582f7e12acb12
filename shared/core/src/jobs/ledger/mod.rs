//! The worker's side of the ledger: what is due, claims and leases, how attempts ended, limits by key.
//!
//! Every write after a claim names it, so that a worker whose lease was taken over changes nothing. Times are those of
//! PostgreSQL: a worker whose clock is wrong takes nothing early and holds nothing too long.

mod claims;
mod ends;
mod limits;
mod window;

pub use claims::{Claim, ClaimedJob, Renewed};
pub use ends::{Ended, HowItEnded, Recorded};
pub use limits::Hold;

use crate::Stores;

/// The door to the ledger.
#[derive(Clone)]
pub struct Ledger {
    stores: Stores,
}

impl Ledger {
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone() }
    }
}
