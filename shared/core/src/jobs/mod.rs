//! Jobs: the ledger in PostgreSQL, which is the truth, and the transport in Redis, which is the doorbell.

mod ledger;
pub(crate) mod repository;
mod transport;

pub(crate) use repository::{NewJob, claim_tick};

pub use ledger::{Claim, ClaimedJob, Ended, Hold, HowItEnded, Ledger, Recorded, Renewed};
pub use transport::{Note, Popped, Transport, WINDOW, read_note};
