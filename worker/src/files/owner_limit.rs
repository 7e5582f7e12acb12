//! The limit of jobs of one owner that run at once in the queue `files`, so that an owner with many
//! files delays only their own jobs.

use plinth_core::files::Owners;
use plinth_domain::id::{BlobId, FileId, UserId};

use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

/// The limit for the owners of files.
pub(super) struct OwnerLimit {
    pub(super) owners: Owners,
    /// The number of jobs of one owner that run at once in the whole fleet.
    pub(super) per_owner: u32,
}

impl OwnerLimit {
    /// Takes a share of the limit of a blob's owner.
    ///
    /// # Errors
    /// [`Failure::Parked`] if all shares of the owner are taken.
    pub(super) async fn acquire_for_blob(&self, attempt: &Attempt, blob: BlobId) -> JobResult {
        let owner = self.owners.of_blob(blob).await?;
        self.acquire(attempt, owner).await
    }

    /// Takes a share of the limit of a file's owner.
    ///
    /// # Errors
    /// [`Failure::Parked`] if all shares of the owner are taken.
    pub(super) async fn acquire_for_file(&self, attempt: &Attempt, file: FileId) -> JobResult {
        let owner = self.owners.of_file(file).await?;
        self.acquire(attempt, owner).await
    }

    async fn acquire(&self, attempt: &Attempt, owner: Option<UserId>) -> Result<(), Failure> {
        // A deleted file has no owner, and its job ends at once.
        let Some(owner) = owner else { return Ok(()) };
        attempt
            .acquire_limit(&format!("files:{owner}"), self.per_owner)
            .await
    }
}
