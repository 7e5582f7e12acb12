//! Whose the bytes are that a job of the queue `files` is about.

use plinth_domain::id::{BlobId, FileId, UserId};

use super::{blobs, repository};
use crate::{Result, Stores};

/// Finds owners.
#[derive(Clone)]
pub struct Owners {
    stores: Stores,
}

impl Owners {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Returns the owner of a blob; `None` if it is gone.
    pub async fn of_blob(&self, id: BlobId) -> Result<Option<UserId>> {
        Ok(blobs::repository::owner(&self.stores.db, id).await?)
    }

    /// Returns the owner of a file; `None` if it is gone.
    pub async fn of_file(&self, id: FileId) -> Result<Option<UserId>> {
        Ok(repository::owner(&self.stores.db, id).await?)
    }
}
