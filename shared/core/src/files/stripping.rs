//! Metadata of pictures, where the policy is that none is kept: what is to lose it, and what takes its place.
//!
//! What is in a blob never changes: the stripped picture is another one, which takes the place of the first under every
//! version that has it, in one transaction; the first one then goes as any that nobody has. Whoever does so, or gives a
//! file bytes, holds the owner's usage row.

use bytes::Bytes;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::closed_set::Recorded;
use plinth_domain::file::{Metadata, MetadataState, ScanState};
use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_domain::job::{DeliverNotification, ScanBlob, StripMetadata};
use plinth_domain::notification::{NewNotification, NotificationKind};
use plinth_domain::picture::TakenAt;
use plinth_domain::preset::Presets;
use serde_json::json;

use super::blobs::usage::{self, More};
use super::blobs::{self, Blob, Received, Receiver, Transfers, passes_scan, release};
use super::repository::{self, Content};
use super::variants::{self, Derivable};
use super::{Bounds, scans};
use crate::cleanup::{Pass, PassedOver, Slice, Tally, all_or_each};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Blobs for which jobs are asked at once.
const BATCH: i64 = 500;

/// A picture with the metadata that it came with.
#[derive(Debug)]
pub struct Unstripped(Blob);

impl Unstripped {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }
}

/// The worker's door to metadata.
#[derive(Clone)]
pub struct Stripping {
    stores: Stores,
    presets: Presets,
    transfers: Transfers,
}

impl Stripping {
    pub fn new(stores: &Stores, presets: &Presets) -> Self {
        Self {
            stores: stores.clone(),
            presets: presets.clone(),
            transfers: Transfers::default(),
        }
    }

    /// `None` where nothing is to be done any more, or the scanner keeps it back: of what it lets pass later it is asked
    /// for then.
    pub async fn find(&self, id: BlobId) -> Result<Option<Unstripped>> {
        let Some(blob) = blobs::repository::find(&self.stores.db, id).await? else {
            return Ok(None);
        };
        let is_due = self.hold(&blob).await?.is_some();
        Ok(is_due.then_some(Unstripped(blob)))
    }

    /// All of its bytes, in memory.
    pub async fn read(&self, picture: &Unstripped) -> Result<Bytes> {
        let source = picture.0.internal_source(&self.stores).await?;
        blobs::read(&self.stores.objects, source).await
    }

    /// There is nothing in it: it is available as it is.
    pub async fn pass(&self, picture: &Unstripped) -> Result<()> {
        let Some(mut unit) = self.hold(&picture.0).await? else {
            return Ok(());
        };
        let (id, owner) = (picture.0.id, picture.0.owner);
        let stripped = Metadata {
            state: MetadataState::Stripped,
            reason: None,
        };
        let (are_due, content_type) =
            blobs::stages::set_stripped(unit.connection(), id, &stripped).await?;
        let files = repository::files_with(unit.connection(), id, None).await?;
        if let (Some((file, _)), true) = (files.first(), are_due) {
            let of = Derivable {
                file: *file,
                blob: id,
                owner,
                content_type: &content_type,
            };
            variants::begin(&mut unit, of, &self.presets).await?;
        }
        unit.commit().await
    }

    /// It cannot be taken out: nobody gets the picture, and its owner is told why.
    pub async fn refuse(&self, picture: &Unstripped, reason: &str) -> Result<()> {
        let Some(mut unit) = self.hold(&picture.0).await? else {
            return Ok(());
        };
        let (id, owner) = (picture.0.id, picture.0.owner);
        let failed = Metadata {
            state: MetadataState::Failed,
            reason: Some(reason.to_owned()),
        };
        blobs::stages::set_stripped(unit.connection(), id, &failed).await?;
        let files = repository::files_with(unit.connection(), id, None).await?;
        tell(&mut unit, owner, &files, reason).await?;
        unit.commit().await
    }

    /// Gives its place to the same picture without metadata.
    pub async fn replace(
        &self,
        picture: &Unstripped,
        bytes: Bytes,
        taken_at: Option<&TakenAt>,
    ) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let (owner, bounds) = (picture.0.owner, Bounds::none());
        let begun = Receiver::begin(&self.stores, &self.transfers, &mut unit, owner, &bounds).await;
        let mut receiver = match begun {
            // The account is deleted, and the picture with it.
            Err(Error::NotFound) => return Ok(()),
            begun => begun?,
        };
        unit.commit().await?;
        let swapped = match self.receive(&mut receiver, bytes).await {
            Ok(stripped) => self.swap(&picture.0, &stripped, taken_at).await,
            Err(error) => Err(error),
        };
        if !matches!(swapped, Ok(true)) {
            receiver.abandon().await;
        }
        swapped.map(drop)
    }

    async fn receive(&self, receiver: &mut Receiver, bytes: Bytes) -> Result<Received> {
        receiver.write(bytes).await?;
        receiver.store().await
    }

    /// False where the picture has gone meanwhile, or has lost its metadata, or the scanner keeps it back.
    async fn swap(
        &self,
        before: &Blob,
        received: &Received,
        taken_at: Option<&TakenAt>,
    ) -> Result<bool> {
        let Some(mut unit) = self.hold(before).await? else {
            return Ok(false);
        };
        let (owner, at) = (before.owner, unit.at());
        let reserved = blobs::repository::hold_received(unit.connection(), received.id).await?;
        let reserved = reserved.ok_or(Error::Interrupted)?;
        let same = blobs::repository::same(unit.connection(), owner, &received.sha256).await?;
        let id = same.unwrap_or(received.id);
        let size = i64::try_from(received.size).map_err(Error::internal)?;
        if same.is_none() {
            let more = More {
                bytes: received.size,
                reserved,
                files: 0,
            };
            usage::take(unit.connection(), owner, &more, Bounds::none().quota).await?;
            // A verdict is on bytes, and these are others.
            let scan = if before.scan.state == ScanState::Unscanned
                || self.stores.antivirus.clamd().is_none()
            {
                None
            } else {
                Some(
                    unit.enqueue(&ScanBlob {
                        blob_id: received.id,
                    })
                    .await?,
                )
            };
            let stripped = MetadataState::Stripped;
            blobs::repository::set_stored(unit.connection(), received, scan, stripped, at).await?;
        }
        if let Some(taken_at) = taken_at {
            blobs::stages::note_taken_at(unit.connection(), id, taken_at.as_str()).await?;
        }
        let files = repository::files_with(unit.connection(), before.id, None).await?;
        let content_type = received.detected.media_type;
        let content = Content {
            blob: id,
            media_type: content_type,
            size,
        };
        repository::replace_blob(unit.connection(), before.id, content, at).await?;
        let details = json!({ "size_before": before.size, "size": size });
        for (file, _) in &files {
            let (action, target) = (Action::FileStripped, Target::File(*file));
            unit.audit_with(action, target, Outcome::Success, details.clone())
                .await?;
        }
        release(&mut unit, before.id).await?;
        if let Some(same) = same {
            release(&mut unit, received.id).await?;
            // They came before the policy without any, or wait to be found so.
            let standing = blobs::stages::hold_stored(unit.connection(), same).await?;
            if standing.is_some_and(|standing| standing.metadata == MetadataState::Kept) {
                let stripped = Metadata {
                    state: MetadataState::Stripped,
                    reason: None,
                };
                blobs::stages::set_stripped(unit.connection(), same, &stripped).await?;
            }
            for (file, _) in &files {
                scans::joined(&mut unit, id, owner, *file).await?;
            }
        } else if let Some((file, _)) = files.first()
            && before.scan.state == ScanState::Unscanned
        {
            let of = Derivable {
                file: *file,
                blob: id,
                owner,
                content_type,
            };
            variants::begin(&mut unit, of, &self.presets).await?;
        }
        unit.commit().await?;
        Ok(true)
    }

    /// The transaction in which something comes of a blob that is still to lose its metadata.
    async fn hold(&self, blob: &Blob) -> Result<Option<Unit>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        usage::hold(unit.connection(), blob.owner).await?;
        let standing = blobs::stages::hold_stored(unit.connection(), blob.id).await?;
        let Some(standing) = standing.filter(|standing| is_unstripped(standing.metadata)) else {
            return Ok(None);
        };
        if passes_scan(standing.scan, &self.stores.antivirus) {
            return Ok(Some(unit));
        }
        // Nobody gets it now anyway. So it waits for this, too, and the verdict that lets it pass asks again.
        blobs::stages::set_unstripped(unit.connection(), blob.id).await?;
        unit.commit().await?;
        Ok(None)
    }

    /// Asks for the metadata of all pictures of before the policy to be taken out; how many were asked for. What is
    /// available stays so until that is done.
    pub async fn ask_for_kept(&self) -> Result<Tally> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::StrippingRequested, Target::None, Outcome::Success)
            .await?;
        unit.commit().await?;
        ask_for(
            &self.stores,
            MetadataState::Kept,
            Pass::Remove(Slice::default()),
        )
        .await
    }

    /// Asks again for what is waited for and nobody is about to do; how many there were.
    pub async fn ask_again(&self) -> Result<Tally> {
        ask_again(&self.stores, Pass::Remove(Slice::default())).await
    }
}

/// Whether the metadata may still be in it.
fn is_unstripped(state: MetadataState) -> bool {
    matches!(state, MetadataState::Kept | MetadataState::Pending)
}

/// Asks again for what is waited for and no job is about to do, as after one that ended as a dead letter; how many there
/// were. They are only counted where that is the pass.
pub(super) async fn ask_again(stores: &Stores, pass: Pass) -> Result<Tally> {
    ask_for(stores, MetadataState::Pending, pass).await
}

async fn ask_for(stores: &Stores, state: MetadataState, pass: Pass) -> Result<Tally> {
    let too_large_pass = stores.antivirus.allows_too_large();
    let (mut asked, mut after) = (Tally::default(), None);
    loop {
        let found = blobs::stages::not_about_to_be_stripped(
            &stores.db,
            state,
            too_large_pass,
            after,
            BATCH,
        )
        .await?;
        let Some(last) = found.last() else {
            return Ok(asked);
        };
        after = Some(*last);
        let passed_over = match pass {
            Pass::Count => PassedOver::default(),
            Pass::Remove(_) => all_or_each(&found, |some| ask_for_some(stores, some)).await?,
        };
        asked.add(found.len(), &passed_over);
    }
}

async fn ask_for_some(stores: &Stores, blobs: Vec<BlobId>) -> Result<()> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let mut jobs = Vec::with_capacity(blobs.len());
    for blob_id in &blobs {
        jobs.push(unit.enqueue(&StripMetadata { blob_id: *blob_id }).await?);
    }
    blobs::stages::set_strip_jobs(unit.connection(), &blobs, &jobs).await?;
    unit.commit().await
}

/// What comes next of bytes that no scan keeps back: their metadata is taken out, or they are available and images are
/// derived from them.
pub(super) async fn go_on(
    unit: &mut Unit,
    of: Derivable<'_>,
    metadata: MetadataState,
    presets: &Presets,
) -> Result<()> {
    match metadata {
        MetadataState::Pending => ask(unit, of.blob).await,
        MetadataState::Kept | MetadataState::Stripped => variants::begin(unit, of, presets).await,
        MetadataState::Failed => Ok(()),
    }
}

async fn ask(unit: &mut Unit, blob: BlobId) -> Result<()> {
    let job = unit.enqueue(&StripMetadata { blob_id: blob }).await?;
    Ok(blobs::stages::set_strip_jobs(unit.connection(), &[blob], &[job]).await?)
}

/// Under the policy, a file has got bytes that were there before, perhaps since before the policy. Whoever calls holds the
/// owner's usage row.
pub(super) async fn joined(
    unit: &mut Unit,
    blob: BlobId,
    owner: UserId,
    file: FileId,
) -> Result<()> {
    if let Some(scan) = blobs::stages::set_unstripped(unit.connection(), blob).await? {
        // With its verdict it is asked for otherwise.
        if passes_scan(scan, &unit.stores().antivirus) {
            ask(unit, blob).await?;
        }
    } else if let Some(reason) = blobs::stages::strip_failure(unit.connection(), blob).await? {
        let files = repository::files_with(unit.connection(), blob, Some(file)).await?;
        tell(unit, owner, &files, &reason).await?;
    }
    Ok(())
}

/// Writes down that nobody gets the files, and tells their owner.
async fn tell(
    unit: &mut Unit,
    owner: UserId,
    files: &[(FileId, String)],
    reason: &str,
) -> Result<()> {
    let mut told = Vec::new();
    for (id, name) in files {
        let details = json!({ "reason": reason });
        unit.audit_with(
            Action::FileStripped,
            Target::File(*id),
            Outcome::Refused,
            details,
        )
        .await?;
        told.push(DeliverNotification {
            notification: NewNotification {
                user_id: owner,
                kind: Recorded::Known(NotificationKind::FileUnavailable),
                title: "Your image cannot be downloaded".to_owned(),
                body: format!("The metadata of {name} has to be taken out and cannot be: {reason}"),
                subject: id.to_string(),
            },
        });
    }
    unit.enqueue_all(&told).await
}
