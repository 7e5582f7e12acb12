//! Reconciliation of S3 and PostgreSQL, as a command and as a job.

pub mod command;
mod files;

use std::time::Duration;

/// When something is old enough to be removed.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    pub abandoned_after: Duration,
    pub orphans_kept: Duration,
}
