//! Reconciliation of S3 with PostgreSQL, as a command and as a job.

pub mod command;
mod files;

use std::time::Duration;

/// The ages at which uploads and objects may be removed.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    pub abandoned_after: Duration,
    pub orphans_kept: Duration,
}
