//! The door to resumable uploads. One of somebody else does not exist.

use plinth_domain::audit::Origin;
use plinth_domain::file::FileName;
use plinth_domain::id::{BlobId, FileId, UserId};

use super::repository;
use super::{Resumable, Writer};
use crate::files::blobs::{self, Receiver, Transfers};
use crate::files::{Bounds, Files};
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
        Self { stores: stores.clone(), files: files.clone() }
    }

    /// The largest file that anybody may have, in bytes.
    pub fn largest(&self) -> u64 {
        self.files.limits().largest().min(blobs::LARGEST)
    }

    async fn bounds(&self, owner: UserId) -> Result<Bounds> {
        let bounds = self.files.limits().of_owner(&self.stores.db, owner).await?;
        Ok(Bounds { size: bounds.size.min(blobs::LARGEST), ..bounds })
    }

    fn transfers(&self) -> &Transfers {
        self.files.transfers()
    }

    /// Begins an upload, of a new file or of a version of one. The length may be told later.
    pub async fn begin(
        &self,
        origin: &Origin,
        owner: UserId,
        name: &FileName,
        file: Option<FileId>,
        length: Option<u64>,
    ) -> Result<Resumable> {
        if let Some(file) = file {
            self.files.find(owner, file).await?;
        }
        let bounds = self.bounds(owner).await?;
        let length = length.map(|length| checked(length, &bounds)).transpose()?;
        let reason = "the file that it becomes is audited";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        let blob = Receiver::begin(&self.stores, self.transfers(), &mut unit, owner, &bounds).await?.id();
        repository::insert(unit.connection(), blob, owner, name.as_str(), file, length).await?;
        if let Some(length) = length {
            // Whoever says how much it will be is refused at once where there is no room.
            blobs::usage::check(unit.connection(), owner, length, bounds.quota).await?;
        }
        unit.commit().await?;
        self.find(owner, blob).await
    }

    /// How far an upload is.
    pub async fn find(&self, owner: UserId, id: BlobId) -> Result<Resumable> {
        repository::find(&self.stores.db, id, owner).await?.ok_or(Error::NotFound)
    }

    /// Says how long an upload will be that was begun without.
    pub async fn set_length(&self, origin: &Origin, owner: UserId, id: BlobId, length: u64) -> Result<()> {
        let upload = self.find(owner, id).await?;
        if upload.length == Some(length) {
            return Ok(());
        }
        let checked = checked(length, &self.bounds(owner).await?)?;
        let reason = "the length is part of an upload under way";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        if length < upload.position || !repository::set_length(unit.connection(), id, checked).await? {
            let detail = "The length of the upload is known, and another one.".to_owned();
            return Err(Error::Conflict { code: "upload_length", detail });
        }
        unit.commit().await
    }

    /// Goes on with an upload that is at `position`. Whoever wrote before changes nothing any more. What comes is kept part
    /// by part, or `whole_or_nothing`, where it is still to be seen whether it is right.
    ///
    /// # Errors
    /// [`Error::Conflict`] with `upload_offset` where it is at another position.
    pub async fn write(
        &self,
        origin: &Origin,
        owner: UserId,
        id: BlobId,
        position: u64,
        whole_or_nothing: bool,
    ) -> Result<Writer> {
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
        let claimed = claimed.ok_or_else(|| Error::Conflict {
            code: "upload_offset",
            detail: format!("The upload is not at {position}."),
        })?;
        let bounds = self.bounds(owner).await?;
        Writer::resume(&self.stores, &self.files, owner, claimed, bounds, whole_or_nothing).await
    }

    /// Makes the file of an upload that has all of its bytes and was broken off before it was one.
    pub async fn complete(&self, origin: &Origin, owner: UserId, id: BlobId) -> Result<FileId> {
        let upload = self.find(owner, id).await?;
        if let Some(file) = upload.made {
            return Ok(file);
        }
        let writer = self.write(origin, owner, id, upload.position, false).await?;
        Ok(writer.finish(origin).await?.id)
    }

    /// Gives an upload up; nothing of it stays. A file that it has become is not touched.
    pub async fn abandon(&self, owner: UserId, id: BlobId) -> Result<()> {
        if self.find(owner, id).await?.made.is_some() {
            return Err(Error::NotFound);
        }
        blobs::discard(&self.stores, id).await
    }
}

fn checked(length: u64, bounds: &Bounds) -> Result<i64> {
    if length > bounds.size {
        return Err(Error::TooLarge { limit: bounds.size });
    }
    i64::try_from(length).map_err(Error::internal)
}
