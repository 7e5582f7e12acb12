//! The end of a file: first the trash, from which it comes back as it was, then its bytes go.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::{FileId, UserId};
use time::OffsetDateTime;

use super::blobs::{release, release_all_of, usage};
use super::{reconcile, repository};
use crate::cleanup::{Batch, Pass, PassedOver};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Files removed in one step of a clean-up.
const BATCH: i64 = 100;

/// Puts a file into the trash.
pub(super) async fn trash(
    stores: &Stores,
    origin: &Origin,
    owner: UserId,
    id: FileId,
) -> Result<()> {
    let mut unit = Unit::begin(stores, origin).await?;
    let at = unit.at();
    if !repository::trash(unit.connection(), id, owner, at).await? {
        return Err(Error::NotFound);
    }
    unit.audit(Action::FileTrashed, Target::File(id), Outcome::Success)
        .await?;
    unit.commit().await
}

/// Takes a file out of the trash.
pub(super) async fn restore(
    stores: &Stores,
    origin: &Origin,
    owner: UserId,
    id: FileId,
) -> Result<()> {
    let mut unit = Unit::begin(stores, origin).await?;
    if !repository::restore(unit.connection(), id, owner).await? {
        return Err(Error::NotFound);
    }
    unit.audit(Action::FileRestored, Target::File(id), Outcome::Success)
        .await?;
    unit.commit().await
}

/// Removes a file for good, trashed or not: gone at once, its bytes as soon as a worker gets to it.
pub(super) async fn delete(
    stores: &Stores,
    origin: &Origin,
    owner: UserId,
    id: FileId,
) -> Result<()> {
    let mut unit = Unit::begin(stores, origin).await?;
    usage::hold(unit.connection(), owner).await?;
    remove(&mut unit, owner, id).await?;
    unit.audit(Action::FileDeleted, Target::File(id), Outcome::Success)
        .await?;
    unit.commit().await
}

/// The owner's usage row is held.
async fn remove(unit: &mut Unit, owner: UserId, id: FileId) -> Result<()> {
    let blobs = repository::blobs_of(unit.connection(), id).await?;
    if !repository::remove(unit.connection(), id, owner).await? {
        return Err(Error::NotFound);
    }
    usage::give_back(unit.connection(), owner, 0, 0, 1).await?;
    for blob in blobs {
        release(unit, blob).await?;
    }
    Ok(())
}

/// Deletes every file of this owner, and whatever he uploads just now; how many files there were.
pub(crate) async fn delete_all_of(unit: &mut Unit, owner: UserId) -> Result<u64> {
    usage::hold(unit.connection(), owner).await?;
    let total = repository::remove_all_of(unit.connection(), owner).await?;
    release_all_of(unit, owner).await?;
    Ok(total)
}

/// What has been in the trash since this time, for the clean-up.
pub(crate) async fn trashed(stores: &Stores, before: OffsetDateTime, pass: Pass) -> Result<Batch> {
    let Pass::Remove(slice) = pass else {
        return Ok(Batch::whole(
            repository::count_trashed(&stores.db, before).await?,
        ));
    };
    let limit = slice.limit(BATCH);
    let found = repository::trashed(&stores.db, before, limit, slice.skip()).await?;
    // Their purges would be refused, and without the rows nothing is left to restore from.
    if !found.is_empty()
        && let Some(reason) = reconcile::objection_to_removal(stores).await?
    {
        return Ok(Batch::held_back(reason));
    }
    let mut passed_over = PassedOver::default();
    for (id, owner) in &found {
        match delete(stores, &Origin::system(), *owner, *id).await {
            // Another clean-up, or its owner, was faster.
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => passed_over.note(format_args!("file {id}"), error)?,
        }
    }
    Ok(Batch::of_items(found.len(), limit, passed_over))
}
