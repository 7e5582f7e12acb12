//! The worker: takes jobs that the ledger says are due, and runs them.

pub mod backoff;
pub mod consumer;
pub mod delivery;
pub mod files;
pub mod metrics;
pub mod poll;
pub mod sweep;
pub mod wakeup;
