//! Blobs: bytes, sealed and kept in S3 under a key of their own, described in PostgreSQL.
//!
//! A row exists before the first byte is stored, and goes after the last is removed, so that S3 holds nothing that
//! PostgreSQL does not know. What is in a blob never changes.

mod availability;
mod direct;
mod part;
mod reader;
mod receiver;
mod removal;
pub(super) mod repository;
mod rewrap;
pub(super) mod stages;
mod transfers;
pub(super) mod usage;

use std::sync::Arc;

use plinth_domain::file::{MetadataState, Scan};
use plinth_domain::id::{BlobId, UserId};
use plinth_platform::crypto::{ChunkCipher, DataKey, WrappedKey};

use crate::{Error, Result, Stores};

pub(super) use availability::{Available, Standing, is_available, passes_scan};
pub(super) use direct::begin as begin_direct;
pub(super) use part::{PART_CHUNKS, PartBuffer, seal_whole};
pub use reader::{BrokenContent, Download};
pub(super) use reader::{Source, detect, open, read};
pub(super) use receiver::{LARGEST, Received, Receiver};
pub use removal::Purge;
pub(crate) use removal::abandoned;
pub(super) use removal::{discard, release, release_all_of};
pub use rewrap::{Rewrapped, rewrap};
pub(super) use transfers::{Transfer, Transfers};

/// The bytes of a version of a file.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) id: BlobId,
    pub(super) owner: UserId,
    pub(super) object_key: String,
    /// Bytes, before they were sealed.
    pub(super) size: u64,
    /// `None` for one that is not sealed: of before there were keys, or stored by its client.
    pub(super) key: Option<WrappedKey>,
    /// The first chunk of each writer of it.
    pub(super) segments: Vec<u32>,
    pub(super) scan: Scan,
    pub(super) metadata: MetadataState,
    /// Of its object, where a client stored that: one with another tag is not it.
    pub(super) etag: Option<String>,
}

impl Blob {
    /// Where its bytes are and how they are opened, for us: whoever gives them to somebody asks [`Available`].
    pub(super) async fn internal_source(&self, stores: &Stores) -> Result<Source> {
        let chunks = match &self.key {
            Some(wrapped) => {
                let key = unwrap(stores, self.id, wrapped).await?;
                Some(Arc::new(ChunkCipher::new(&key, *self.id.0.as_bytes())))
            }
            None => None,
        };
        Ok(Source {
            object_key: self.object_key.clone(),
            size: self.size,
            chunks,
            segments: self.segments.clone(),
            etag: self.etag.clone(),
        })
    }

    /// The key of a variant with these bytes. `None` where the blob has none.
    pub(super) async fn variant_key(
        &self,
        stores: &Stores,
        sha256: &[u8; 32],
    ) -> Result<Option<DataKey>> {
        let Some(wrapped) = &self.key else {
            return Ok(None);
        };
        let key = unwrap(stores, self.id, wrapped).await?;
        Ok(Some(key.derive(&[b"plinth variant v1", sha256])))
    }
}

/// What a wrapped key is bound to.
pub(super) fn context(id: BlobId) -> String {
    format!("blob:{id}")
}

async fn unwrap(stores: &Stores, id: BlobId, wrapped: &WrappedKey) -> Result<DataKey> {
    stores
        .keys
        .unwrap(&context(id), wrapped)
        .await
        .map_err(Error::internal)
}

/// Everything of a blob is below this in S3.
pub(super) fn folder(id: BlobId) -> String {
    format!("blobs/{id}/")
}
