//! Jobs: the ledger in PostgreSQL, which is the truth, and the transport in Redis, which is the doorbell.

mod ledger;
pub(crate) mod repository;
mod transport;

pub(crate) use repository::claim_period;

pub use ledger::{ClaimedJob, Ledger};
pub use transport::{Note, Transport, namespace};
