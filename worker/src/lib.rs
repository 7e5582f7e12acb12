//! The worker: takes due jobs from the ledger and runs them.
//!
//! Each queue has a folder and each job kind a file. The other modules take jobs (`queue`,
//! `dispatcher`), run them (`runner`) and record their outcomes (`recorder`).

pub mod app;
pub mod attempt;
pub mod backoff;
pub mod cleanup;
pub mod commands;
pub mod dispatcher;
mod early_stop;
pub mod email;
pub mod files;
mod fleet_lock;
pub mod handlers;
pub mod leases;
pub mod metrics;
pub mod notifications;
pub mod outcome;
pub mod periodic;
pub mod queue;
mod queue_gauges;
pub mod reconcile;
pub mod recorder;
pub mod registry;
pub mod runner;
mod runtime_watchdog;
pub mod supervisor;
