//! The worker: takes jobs that the ledger says are due, and runs them.
//!
//! One folder a queue, one file a kind of job; around them what takes (queue, dispatcher), runs and records.

pub mod app;
pub mod attempt;
pub mod backoff;
pub mod cleanup;
pub mod commands;
pub mod dispatcher;
mod early;
pub mod email;
mod figures;
pub mod files;
pub mod fleet;
pub mod handlers;
pub mod leases;
pub mod metrics;
pub mod notifications;
pub mod outcome;
pub mod periodic;
mod pulse;
pub mod queue;
pub mod reconcile;
pub mod recorder;
pub mod registry;
pub mod runner;
mod turn;
