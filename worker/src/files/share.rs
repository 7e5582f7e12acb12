//! The share of the queue `files` that one owner may have, so that an owner with many files holds up their own only.

use plinth_core::files::Owners;
use plinth_domain::id::{BlobId, FileId, UserId};

use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

/// Takes shares for the owners of files.
pub(super) struct OwnerShare {
    pub(super) owners: Owners,
    /// Jobs of one owner that run at once, in the whole fleet.
    pub(super) per_owner: u32,
}

impl OwnerShare {
    /// Takes a share for the owner of a blob.
    ///
    /// # Errors
    /// [`Failure::Parked`] if the owner has as many as they may.
    pub(super) async fn take_for_blob(&self, attempt: &Attempt, blob: BlobId) -> JobResult {
        let owner = self.owners.of_blob(blob).await?;
        self.take(attempt, owner).await
    }

    /// The same for the owner of a file.
    pub(super) async fn take_for_file(&self, attempt: &Attempt, file: FileId) -> JobResult {
        let owner = self.owners.of_file(file).await?;
        self.take(attempt, owner).await
    }

    async fn take(&self, attempt: &Attempt, owner: Option<UserId>) -> Result<(), Failure> {
        // Of what is gone nothing is left to do, which takes no time.
        let Some(owner) = owner else { return Ok(()) };
        attempt
            .hold(&format!("files:{owner}"), self.per_owner)
            .await
    }
}
