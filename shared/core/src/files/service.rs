//! What an owner can do with files. A file of somebody else does not exist, and one in the trash only there.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::{File, FileName, FileState, Tag, Version};
use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_domain::preset::{PresetName, Presets};
use plinth_object_store::{ByteRange, ResponseHeaders};
use plinth_platform::settings::FilesSettings;
use serde_json::json;

use super::blobs::usage;
use super::blobs::{self, Available, Transfers, release};
use super::slots::Slots;
use super::upload::Purpose;
use super::{
    Bounds, Content, Download, Limits, ListRequest, Unlocked, Upload, UploadSlot, Usage, listing,
    repository, trash,
};
use crate::page::Page;
use crate::unit::Unit;
use crate::{Error, Result, Stores, access};

/// How long a download that is sent on may begin.
const REDIRECTED: Duration = Duration::from_mins(1);

/// Which transfers clients may have with the object store itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectTransfers {
    pub uploads: bool,
    pub downloads: bool,
}

impl DirectTransfers {
    pub fn of(settings: &FilesSettings) -> Self {
        Self {
            uploads: settings.direct_uploads,
            downloads: settings.direct_downloads,
        }
    }
}

/// What changes of a file; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<FileName>,
    pub tags: Option<Vec<Tag>>,
}

/// The door to files.
#[derive(Clone)]
pub struct Files {
    stores: Stores,
    limits: Limits,
    presets: Presets,
    transfers: Transfers,
    slots: Slots,
    direct: DirectTransfers,
}

impl Files {
    /// Of pictures, an image by each preset is made.
    pub fn new(stores: &Stores, limits: Limits, presets: &Presets) -> Self {
        let presets = presets.clone();
        let (stores, transfers) = (stores.clone(), Transfers::default());
        let slots = Slots::new(limits.uploads());
        Self {
            stores,
            limits,
            presets,
            transfers,
            slots,
            direct: DirectTransfers::default(),
        }
    }

    /// The same where clients may use the object store themselves; without, they may not.
    #[must_use]
    pub fn with_direct(self, direct: DirectTransfers) -> Self {
        Self { direct, ..self }
    }

    /// Takes the slot that one request with files of this account needs.
    ///
    /// # Errors
    /// [`Error::TooManyAtOnce`] if the account has as many as it may, [`Error::Busy`] if the process has.
    pub fn upload_slot(&self, owner: UserId) -> Result<UploadSlot> {
        self.slots.take(owner)
    }

    /// Begins the upload of a new file.
    pub async fn upload(
        &self,
        origin: &Origin,
        slot: &UploadSlot,
        name: &FileName,
    ) -> Result<Upload> {
        self.begin(origin, slot.owner(), Purpose::File(name.clone()))
            .await
    }

    /// Begins the upload of another version of a file.
    pub async fn upload_version(
        &self,
        origin: &Origin,
        slot: &UploadSlot,
        id: FileId,
    ) -> Result<Upload> {
        let file = self.check_version(slot.owner(), id).await?;
        self.begin(
            origin,
            slot.owner(),
            Purpose::Version(id, FileName::stored(file.name)),
        )
        .await
    }

    /// Returns the file if it may have another version: nobody sends one in vain.
    pub(super) async fn check_version(&self, owner: UserId, id: FileId) -> Result<File> {
        let file = self.find(owner, id).await?;
        let mut connection = self.stores.db.acquire().await?;
        self.limits
            .general()
            .check_versions(&mut connection, id)
            .await?;
        Ok(file)
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn presets(&self) -> &Presets {
        &self.presets
    }

    pub(super) fn transfers(&self) -> &Transfers {
        &self.transfers
    }

    pub(super) fn direct(&self) -> DirectTransfers {
        self.direct
    }

    async fn begin(&self, origin: &Origin, owner: UserId, purpose: Purpose) -> Result<Upload> {
        Upload::begin(&self.stores, self, origin, owner, purpose).await
    }

    /// What the owner's files take, and what they may.
    pub async fn storage(&self, owner: UserId) -> Result<(Usage, Bounds)> {
        let bounds = self.limits.of_owner(&self.stores.db, owner).await?;
        Ok((usage::of(&self.stores.db, owner).await?, bounds))
    }

    /// A page of the owner's files.
    pub async fn list(&self, owner: UserId, request: &ListRequest) -> Result<Page<File>> {
        listing::list(&self.stores.db, owner, request).await
    }

    pub async fn find(&self, owner: UserId, id: FileId) -> Result<File> {
        let file = repository::find(&self.stores.db, id, Some(owner))
            .await?
            .ok_or(Error::NotFound)?;
        if file.state == FileState::Trashed {
            return Err(Error::NotFound);
        }
        Ok(file)
    }

    /// Another name, other tags.
    pub async fn change(
        &self,
        origin: &Origin,
        owner: UserId,
        id: FileId,
        change: &Change,
    ) -> Result<File> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let mut details = json!({});
        if let Some(name) = &change.name {
            if !repository::rename(unit.connection(), id, owner, name.as_str(), at).await? {
                return Err(Error::NotFound);
            }
            details["renamed"] = true.into();
        }
        if let Some(tags) = &change.tags {
            if !repository::set_tags(unit.connection(), id, owner, tags, at).await? {
                return Err(Error::NotFound);
            }
            details["tags"] = tags.len().into();
        }
        unit.audit_with(
            Action::FileChanged,
            Target::File(id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        self.find(owner, id).await
    }

    /// What a download of the file itself is.
    pub async fn content(&self, owner: UserId, id: FileId) -> Result<Content> {
        let (file, blob) = self.current(owner, id).await?;
        Ok(Content::of_file(file, blob))
    }

    /// What an archive of these files has, in their order. Refused if the session or API key of the request has ended
    /// since it was admitted.
    pub async fn contents(
        &self,
        origin: &Origin,
        owner: UserId,
        ids: &[FileId],
    ) -> Result<Vec<Content>> {
        access::require_standing(&self.stores.db, origin, self.stores.clock.now()).await?;
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            contents.push(self.content(owner, *id).await?);
        }
        Ok(contents)
    }

    /// What a download of a derived image is; not found while it is not made.
    pub async fn variant(&self, owner: UserId, id: FileId, preset: &PresetName) -> Result<Content> {
        let (file, blob) = self.current(owner, id).await?;
        Content::of_variant(&file, blob, preset)
    }

    /// A file with its bytes, which are others where they were stripped between the two questions.
    async fn current(&self, owner: UserId, id: FileId) -> Result<(File, Available)> {
        let file = self.find(owner, id).await?;
        if let Some(blob) = blobs::repository::find(&self.stores.db, file.blob).await? {
            return Ok((file, blob.available(&self.stores.antivirus)?));
        }
        let file = self.find(owner, id).await?;
        let blob = self.blob(file.blob).await?;
        Ok((file, blob))
    }

    async fn blob(&self, id: BlobId) -> Result<Available> {
        let blob = blobs::repository::find(&self.stores.db, id)
            .await?
            .ok_or(Error::NotFound)?;
        blob.available(&self.stores.antivirus)
    }

    /// Unwraps the key of a content.
    pub async fn unlock(&self, content: &Content) -> Result<Unlocked> {
        content.unlock(&self.stores).await
    }

    /// The bytes of a download. What is wrong with the first of them is told at once.
    pub async fn open(&self, content: Unlocked, range: Option<ByteRange>) -> Result<Download> {
        blobs::open(&self.stores.objects, content.0, range)
            .await
            .map_err(Error::from)
    }

    /// Where the object store itself gives these bytes, described so, for a minute. `None` where they are sealed, or are
    /// to be served from here.
    pub async fn redirect(
        &self,
        content: &Content,
        description: ResponseHeaders<'_>,
    ) -> Result<Option<String>> {
        match content.plain_object() {
            Some(key) if self.direct.downloads => Ok(Some(
                self.stores
                    .objects
                    .sign_get(key, description, REDIRECTED)
                    .await?,
            )),
            _ => Ok(None),
        }
    }

    /// The versions of a file, the newest first, from before the number `before` on.
    pub async fn versions(
        &self,
        owner: UserId,
        id: FileId,
        before: Option<i32>,
        limit: u16,
    ) -> Result<Vec<Version>> {
        self.find(owner, id).await?;
        repository::versions(
            &self.stores.db,
            id,
            before.unwrap_or(i32::MAX),
            limit.into(),
        )
        .await
    }

    /// A version of a file, with the file.
    pub(super) async fn version(
        &self,
        owner: UserId,
        id: FileId,
        number: i32,
    ) -> Result<(File, Version)> {
        let file = self.find(owner, id).await?;
        let version = repository::version(&self.stores.db, id, number)
            .await?
            .ok_or(Error::NotFound)?;
        Ok((file, version))
    }

    /// What a download of an older version is.
    pub async fn version_content(&self, owner: UserId, id: FileId, number: i32) -> Result<Content> {
        let (file, version) = self.version(owner, id, number).await?;
        let blob = self.blob(version.blob).await?;
        Ok(Content::of_version(file.name, version, blob))
    }

    /// Makes a copy of an older version the current one; nothing of what came between is lost.
    pub async fn restore_version(
        &self,
        origin: &Origin,
        owner: UserId,
        id: FileId,
        number: i32,
    ) -> Result<File> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let (_, version) = lock_version(&mut unit, owner, id, number).await?;
        self.limits
            .general()
            .check_versions(unit.connection(), id)
            .await?;
        let at = unit.at();
        let content = repository::Content {
            blob: version.blob,
            media_type: &version.content_type,
            size: version.size,
        };
        let made = repository::add_version(unit.connection(), id, owner, content, at).await?;
        let made = made.ok_or(Error::NotFound)?;
        let details = json!({ "of": number, "version": made });
        unit.audit_with(
            Action::FileVersionRestored,
            Target::File(id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        self.find(owner, id).await
    }

    /// Removes a version for good; not the current one.
    pub async fn delete_version(
        &self,
        origin: &Origin,
        owner: UserId,
        id: FileId,
        number: i32,
    ) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let (current, _) = lock_version(&mut unit, owner, id, number).await?;
        if current == number {
            let detail = "The current version goes with the file, or when another one is current."
                .to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::CurrentVersion,
                detail,
            });
        }
        let blob = repository::remove_version(unit.connection(), id, number)
            .await?
            .ok_or(Error::NotFound)?;
        release(&mut unit, blob).await?;
        let details = json!({ "version": number });
        unit.audit_with(
            Action::FileDeleted,
            Target::File(id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await
    }

    /// Puts the file into the trash.
    pub async fn trash(&self, origin: &Origin, owner: UserId, id: FileId) -> Result<()> {
        trash::trash(&self.stores, origin, owner, id).await
    }

    /// Takes the file out of the trash.
    pub async fn restore(&self, origin: &Origin, owner: UserId, id: FileId) -> Result<File> {
        trash::restore(&self.stores, origin, owner, id).await?;
        self.find(owner, id).await
    }

    /// Removes the file for good, trashed or not.
    pub async fn delete(&self, origin: &Origin, owner: UserId, id: FileId) -> Result<()> {
        trash::delete(&self.stores, origin, owner, id).await
    }
}

/// Locks the owner's storage and the file, and returns the number of the current version and the version that is asked for.
/// Until the unit ends no version of the owner is removed, and no blob.
async fn lock_version(
    unit: &mut Unit,
    owner: UserId,
    id: FileId,
    number: i32,
) -> Result<(i32, Version)> {
    usage::hold(unit.connection(), owner).await?;
    let current = repository::hold(unit.connection(), id, owner)
        .await?
        .ok_or(Error::NotFound)?;
    let version = repository::version(unit.connection(), id, number)
        .await?
        .ok_or(Error::NotFound)?;
    Ok((current, version))
}
