//! Reconciliation of S3 and PostgreSQL, as a command and as a job.

pub mod command;
pub mod files;
