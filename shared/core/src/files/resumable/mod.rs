//! Uploads that can be broken off and gone on with, after days and in another process.
//!
//! What is kept is in S3, as parts and a tail, and how far it is in PostgreSQL. Whoever goes on takes the next writer's
//! number: from then on everybody who wrote before changes nothing, and nobody uses a nonce or a part's number again.

mod repository;
mod service;
mod writer;

use std::time::Duration;

use plinth_domain::id::{BlobId, FileId};
use time::OffsetDateTime;

pub use service::Resumables;
pub use writer::Writer;

/// An upload as it stands.
#[derive(Debug, Clone)]
pub struct Resumable {
    pub id: BlobId,
    pub name: String,
    /// `Upload-Metadata` as the client gave it.
    pub metadata: Option<String>,
    /// The file that it becomes a version of.
    pub file: Option<FileId>,
    /// Bytes; `None` while the client has not said.
    pub length: Option<u64>,
    /// Bytes that are kept.
    pub position: u64,
    /// The file that it has become; nothing can be added then.
    pub made: Option<FileId>,
    /// When it was last added to.
    pub updated_at: OffsetDateTime,
}

impl Resumable {
    /// Whether all bytes have come.
    pub fn is_whole(&self) -> bool {
        self.length == Some(self.position)
    }

    /// When the clean-up takes it for abandoned.
    pub fn expires_at(&self, abandoned_after: Duration) -> OffsetDateTime {
        self.updated_at + abandoned_after
    }
}
