//! The end of a blob: its objects go first, its row last, so that a broken removal can be repeated.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::{BlobId, UserId};
use plinth_domain::job::{JobPayload as _, PurgeBlob, VerifyDirectUpload};
use time::OffsetDateTime;

use super::repository::{self, Remains};
use super::{folder, usage};
use crate::cleanup::{Batch, Pass, PassedOver, StepTransaction};
use crate::files::{reconcile, unfinished};
use crate::unit::Unit;
use crate::{Result, Stores};

/// Uploads claimed for removal at once.
const BATCH: i64 = 100;

/// Uploads that have become files and are forgotten at once.
const FORGOTTEN: i64 = 10_000;

/// Jobs in one statement.
const JOBS: usize = 1_000;

/// The worker's side of a removal.
#[derive(Clone)]
pub struct Purge {
    stores: Stores,
}

impl Purge {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Removes every object of a blob that is nobody's, then its row; fine when that was done before. If the bucket does not
    /// belong to this database, both stay for a later clean-up.
    pub async fn run(&self, id: BlobId) -> Result<()> {
        match repository::remains(&self.stores.db, id).await? {
            Some(remains) => remove(&self.stores, &remains).await,
            None => Ok(()),
        }
    }
}

/// A version has gone: the blob is removed unless another one has it. Whoever calls holds the owner's usage row, as
/// whoever gives a blob to a version does.
pub(in crate::files) async fn release(unit: &mut Unit, id: BlobId) -> Result<()> {
    let at = unit.at();
    if let Some((owner, bytes, reserved)) =
        repository::set_removing(unit.connection(), id, at).await?
    {
        usage::give_back(unit.connection(), owner, bytes, reserved, 0).await?;
        unit.enqueue(&PurgeBlob { blob_id: id }).await?;
    }
    Ok(())
}

/// The same for every blob of an owner whose files are gone; nothing of his quota is taken any more.
pub(in crate::files) async fn release_all_of(unit: &mut Unit, owner: UserId) -> Result<()> {
    let at = unit.at();
    let blobs = repository::set_all_removing(unit.connection(), owner, at).await?;
    usage::forget(unit.connection(), owner).await?;
    let jobs: Vec<_> = blobs
        .into_iter()
        .map(|blob_id| PurgeBlob { blob_id })
        .collect();
    for some in jobs.chunks(JOBS) {
        unit.enqueue_all(some).await?;
    }
    Ok(())
}

/// Blobs on their way, and removals that broke off, that have stood still since this time, for the clean-up.
pub(crate) async fn abandoned(
    stores: &Stores,
    before: OffsetDateTime,
    pass: Pass,
) -> Result<Batch> {
    // What waits for its verification is not its client's to go on with: it stays as long as that may begin.
    let verified = before.min(stores.clock.now() - VerifyDirectUpload::DEADLINE);
    let Pass::Remove(slice) = pass else {
        return Ok(Batch::whole(
            repository::count_abandoned(&stores.db, before, verified).await?,
        ));
    };
    repository::forget_made(&stores.db, before, FORGOTTEN).await?;
    if let Some(reason) = reconcile::objection_to_removal(stores).await? {
        return Ok(Batch::held_back(reason));
    }
    let (limit, at) = (slice.limit(BATCH), stores.clock.now());
    let window = (limit, slice.skip());
    let mut step = StepTransaction::begin(stores).await?;
    let claimed =
        repository::claim_abandoned(step.connection(), before, verified, at, window).await;
    let claimed = step.end(claimed).await?;
    let mut passed_over = PassedOver::default();
    for id in &claimed {
        if let Err(error) = discard(stores, &Origin::system(), *id).await {
            passed_over.note(format_args!("blob {id}"), error)?;
        }
    }
    Ok(Batch::of_claimed(claimed.len(), limit, passed_over))
}

/// Removes a blob that did not become anybody's, with whatever of it may have reached S3; fine when that was done before. If
/// the bucket does not belong to this database, the objects and the row stay for a later clean-up.
pub(in crate::files) async fn discard(stores: &Stores, origin: &Origin, id: BlobId) -> Result<()> {
    let Some(owner) = repository::owner_of_unfinished(&stores.db, id).await? else {
        return Ok(());
    };
    let reason = "bytes of a form are no file yet; the end of an upload has its event";
    let mut unit = Unit::begin_exempt(stores, origin, reason).await?;
    usage::hold(unit.connection(), owner).await?;
    let at = unit.at();
    if let Some((owner, bytes, reserved)) =
        repository::set_removing(unit.connection(), id, at).await?
    {
        usage::give_back(unit.connection(), owner, bytes, reserved, 0).await?;
        if let Some(kind) = unfinished::kind(unit.connection(), id).await? {
            let details = serde_json::json!({ "kind": kind, "owner": owner });
            unit.audit_with(
                Action::UploadAbandoned,
                Target::Upload(id),
                Outcome::Success,
                details,
            )
            .await?;
        }
    }
    unit.commit().await?;
    match repository::remains(&stores.db, id).await? {
        Some(remains) => remove(stores, &remains).await,
        None => Ok(()),
    }
}

async fn remove(stores: &Stores, remains: &Remains) -> Result<()> {
    if !reconcile::may_remove(stores).await? {
        return Ok(());
    }
    // Needless if the upload was completed, which the store alone knows: the objects go whatever it says.
    let freed = match &remains.multipart_upload_id {
        Some(upload) => {
            stores
                .objects
                .abort_parts(&remains.object_key, upload)
                .await
        }
        None => Ok(()),
    };
    stores.objects.delete(&remains.object_key).await?;
    let folder = folder(remains.id);
    loop {
        let page = stores.objects.list(&folder, None).await?;
        for object in &page.objects {
            stores.objects.delete(&object.key).await?;
        }
        if !page.has_more {
            break;
        }
    }
    if let (Err(error), Some(upload)) = (freed, &remains.multipart_upload_id) {
        let unfinished = stores.objects.list_unfinished_parts(&folder).await;
        let holds_parts = unfinished
            .is_ok_and(|all| all.is_some_and(|all| all.iter().any(|one| one.upload == *upload)));
        if holds_parts {
            return Err(error.into());
        }
        tracing::debug!(%error, blob.id = %remains.id, "the upload in parts was over already");
    }
    repository::remove(&stores.db, remains.id).await?;
    Ok(())
}
