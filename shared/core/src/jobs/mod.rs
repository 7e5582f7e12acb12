//! Jobs: the ledger in PostgreSQL, which is the truth, and the transport in Redis, which is the doorbell.

mod ledger;
mod periodic;
pub(crate) mod repository;
pub(crate) mod retention;
mod transport;

pub(crate) use repository::NewJob;

pub use ledger::{Claim, ClaimedJob, Ended, Hold, HowItEnded, Ledger, Recorded, Renewed};
pub use periodic::{Line, Look, Periodic};
pub use transport::{Note, Popped, Transport, WINDOW, read_note};
