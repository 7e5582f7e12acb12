//! The door to resumable uploads. One of somebody else does not exist.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::FileName;
use plinth_domain::id::{BlobId, FileId, UserId};
use serde_json::json;

use super::repository;
use super::{Resumable, Writer};
use crate::files::blobs::{self, Receiver, Transfers, usage};
use crate::files::{Bounds, Files, UploadSlot, unfinished};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// The door. Clones share the parts in memory.
#[derive(Clone)]
pub struct Resumables {
    stores: Stores,
    files: Files,
}

impl Resumables {
    pub fn new(stores: &Stores, files: &Files) -> Self {
        Self {
            stores: stores.clone(),
            files: files.clone(),
        }
    }

    /// The largest file that anybody may have, in bytes.
    pub fn largest(&self) -> u64 {
        self.files.limits().largest().min(blobs::LARGEST)
    }

    async fn bounds(&self, owner: UserId) -> Result<Bounds> {
        let bounds = self.files.limits().of_owner(&self.stores.db, owner).await?;
        Ok(Bounds {
            size: bounds.size.min(blobs::LARGEST),
            ..bounds
        })
    }

    /// Takes the slot that one request with bytes of this account needs.
    ///
    /// # Errors
    /// [`Error::TooManyAtOnce`] if the account has as many as it may, [`Error::Busy`] if the process has.
    pub fn slot(&self, owner: UserId) -> Result<UploadSlot> {
        self.files.upload_slot(owner)
    }

    fn transfers(&self) -> &Transfers {
        self.files.transfers()
    }

    /// Begins an upload, of a new file or of a version of one. The length may be told later; the metadata is kept as it is.
    pub async fn begin(
        &self,
        origin: &Origin,
        owner: UserId,
        (name, metadata): (&FileName, Option<&str>),
        file: Option<FileId>,
        length: Option<u64>,
    ) -> Result<Resumable> {
        if let Some(file) = file {
            self.files.check_version(owner, file).await?;
        }
        let bounds = self.bounds(owner).await?;
        if let Some(length) = length {
            check(length, &bounds)?;
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        usage::hold(unit.connection(), owner).await?;
        let blob = Receiver::begin(&self.stores, self.transfers(), &mut unit, owner, &bounds)
            .await?
            .id();
        let described = (name.as_str(), metadata);
        repository::insert(unit.connection(), blob, owner, described, file, length).await?;
        // A length that is not known yet is reserved as it comes.
        usage::reserve_in(
            unit.connection(),
            owner,
            blob,
            length.unwrap_or(0),
            bounds.quota,
        )
        .await?;
        unfinished::check(unit.connection(), owner, self.files.limits().unfinished()).await?;
        if file.is_none() {
            usage::check_count(unit.connection(), owner, bounds.quota).await?;
        }
        let details = json!({ "kind": "resumable", "size": length });
        unit.audit_with(
            Action::UploadBegun,
            Target::Upload(blob),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        self.find(owner, blob).await
    }

    /// How far an upload is.
    pub async fn find(&self, owner: UserId, id: BlobId) -> Result<Resumable> {
        repository::find(&self.stores.db, id, owner)
            .await?
            .ok_or(Error::NotFound)
    }

    /// Says how long an upload will be that was begun without.
    pub async fn set_length(
        &self,
        origin: &Origin,
        owner: UserId,
        id: BlobId,
        length: u64,
    ) -> Result<()> {
        let upload = self.find(owner, id).await?;
        if upload.length == Some(length) {
            return Ok(());
        }
        let bounds = self.bounds(owner).await?;
        check(length, &bounds)?;
        let reason = "the length is part of an upload under way";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        usage::hold(unit.connection(), owner).await?;
        if length < upload.position
            || !repository::set_length(unit.connection(), id, length).await?
        {
            let detail = "The length of the upload is known, and another one.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::UploadLength,
                detail,
            });
        }
        usage::reserve_in(unit.connection(), owner, id, length, bounds.quota).await?;
        unit.commit().await
    }

    /// Goes on with an upload that is at `position`. Whoever wrote before changes nothing any more. What comes is kept part
    /// by part, or `whole_or_nothing`, where it is still to be seen whether it is right.
    ///
    /// # Errors
    /// [`Error::UploadOffset`] if it is at another position.
    pub async fn write(
        &self,
        origin: &Origin,
        slot: UploadSlot,
        id: BlobId,
        position: u64,
        whole_or_nothing: bool,
    ) -> Result<Writer> {
        let owner = slot.owner();
        let found = self.find(owner, id).await?;
        let claimed = if found.position == position {
            let reason = "which connection writes is no state that a user sees";
            let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
            let at = i64::try_from(position).map_err(Error::internal)?;
            let chunks = blobs::PART_CHUNKS.into();
            let claimed = repository::claim(unit.connection(), id, owner, at, chunks).await?;
            unit.commit().await?;
            claimed
        } else {
            None
        };
        let Some(claimed) = claimed else {
            // It may have gone on since.
            let offset = self.find(owner, id).await?.position;
            return Err(Error::UploadOffset {
                offset,
                detail: "Upload-Offset is not where the upload is.",
            });
        };
        let bounds = self.bounds(owner).await?;
        Writer::resume(
            &self.stores,
            &self.files,
            slot,
            claimed,
            bounds,
            whole_or_nothing,
        )
        .await
    }

    /// Makes the file of an upload that has all of its bytes and whose process ended before it had made it, if it is
    /// still to be made.
    pub async fn finish_whole(&self, id: BlobId) -> Result<()> {
        let Some((owner, upload)) = repository::find_unmade(&self.stores.db, id).await? else {
            return Ok(());
        };
        if !upload.is_whole() {
            return Ok(());
        }
        let origin = Origin::system().by(owner);
        let finished = match self
            .write(&origin, self.slot(owner)?, id, upload.position, false)
            .await
        {
            Ok(writer) => writer.finish(&origin).await.map(drop),
            Err(error) => Err(error),
        };
        match finished {
            // Its client goes on with it, or has to send it again, or what it is a version of is gone.
            Err(
                error @ (Error::Conflict { .. }
                | Error::UploadOffset { .. }
                | Error::NotFound
                | Error::TypeNotAllowed { .. }),
            ) => {
                tracing::info!(%error, upload.id = %id, "an upload does not become a file");
                Ok(())
            }
            other => other,
        }
    }

    /// Gives an upload up; nothing of it stays. One that has become a file is forgotten, and the file is not touched.
    pub async fn abandon(&self, origin: &Origin, owner: UserId, id: BlobId) -> Result<()> {
        if self.find(owner, id).await?.made.is_none() {
            blobs::discard(&self.stores, origin, id).await?;
        }
        // Its file may have been made since.
        let reason = "the file that an upload has become has its own event";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        repository::forget_made(unit.connection(), id, owner).await?;
        unit.commit().await
    }
}

fn check(length: u64, bounds: &Bounds) -> Result<()> {
    if length > bounds.size {
        Err(Error::TooLarge { limit: bounds.size })
    } else {
        Ok(())
    }
}
