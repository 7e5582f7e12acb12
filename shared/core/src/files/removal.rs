//! The end of a file: its objects go first, its row last, so that a broken removal can be repeated.

use plinth_domain::id::{FileId, UserId};
use plinth_domain::job::PurgeFile;

use time::OffsetDateTime;

use super::processing::variant_key;
use super::repository::{self, Remains};
use crate::cleanup::{Batch, Pass};
use crate::unit::Unit;
use crate::{Result, Stores};

/// Uploads claimed for removal at once.
const BATCH: i64 = 100;

/// Files of one owner marked in one statement.
const MARKED_AT_ONCE: i64 = 500;

/// The worker's side of a deletion.
#[derive(Clone)]
pub struct Purge {
    stores: Stores,
}

impl Purge {
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone() }
    }

    /// Removes every object of a deleted file, then its row; fine when that was done before.
    pub async fn run(&self, id: FileId) -> Result<()> {
        match repository::remains(&self.stores.db, id).await? {
            Some(remains) => remove(&self.stores, &remains).await,
            None => Ok(()),
        }
    }
}

/// Deletes every file of this owner, also those whose upload goes on; how many there were.
pub(crate) async fn delete_all_of(unit: &mut Unit, owner: UserId) -> Result<u64> {
    let at = unit.at();
    let mut total = 0;
    loop {
        let ids = repository::mark_some_deleting(unit.connection(), owner, MARKED_AT_ONCE, at).await?;
        if ids.is_empty() {
            return Ok(total);
        }
        let jobs: Vec<_> = ids.iter().map(|id| PurgeFile { file_id: *id }).collect();
        unit.enqueue_all(&jobs).await?;
        total += ids.len() as u64;
    }
}

/// Uploads, and removals that broke off, that have stood still since this time, for the clean-up.
pub(crate) async fn abandoned(stores: &Stores, before: OffsetDateTime, pass: Pass) -> Result<Batch> {
    if pass == Pass::Count {
        return Ok(Batch::whole(repository::count_abandoned(&stores.db, before).await?));
    }
    let claimed = repository::claim_abandoned(&stores.db, before, stores.clock.now(), BATCH).await?;
    for remains in &claimed {
        remove(stores, remains).await?;
    }
    Ok(Batch::of(claimed.len() as u64, BATCH))
}

/// Removes an upload that broke off, with whatever of it may have reached S3; fine when the clean-up did it first.
pub(super) async fn discard(stores: &Stores, id: FileId) -> Result<()> {
    match repository::give_up(&stores.db, id, stores.clock.now()).await? {
        Some(remains) => remove(stores, &remains).await,
        None => Ok(()),
    }
}

async fn remove(stores: &Stores, remains: &Remains) -> Result<()> {
    if let Some(upload) = &remains.multipart_upload_id {
        stores.objects.abort_parts(&remains.object_key, upload).await?;
    }
    for preset in repository::variant_presets(&stores.db, remains.id).await? {
        stores.objects.delete(&variant_key(remains.id, &preset)).await?;
    }
    stores.objects.delete(&remains.object_key).await?;
    repository::remove(&stores.db, remains.id).await?;
    Ok(())
}
