//! Files: taken in as streams, kept in S3, described in PostgreSQL.
//!
//! A row exists before the first byte is stored, and goes after the last is removed, so that S3 holds nothing that
//! PostgreSQL does not know.

mod download;
mod processing;
mod removal;
mod repository;
mod service;
mod sniff;
mod upload;

pub use download::{Content, Download};
pub use processing::{Made, Processing, Step, Tell};
pub use removal::Purge;
pub(crate) use removal::{abandoned, delete_all_of};
pub use service::Files;
pub use upload::Upload;
