//! What an owner can do with files. A file of somebody else does not exist.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, FileName, Variant};
use plinth_domain::id::{FileId, UserId};
use plinth_domain::job::PurgeFile;
use plinth_domain::preset::{PresetName, Presets};
use plinth_object_store::ByteRange;

use super::{Content, Download, Upload, repository};
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// The door to files.
#[derive(Clone)]
pub struct Files {
    stores: Stores,
    max_size: u64,
    presets: Presets,
}

impl Files {
    /// `max_size` is in bytes; of pictures, an image by each preset is made.
    pub fn new(stores: &Stores, max_size: u64, presets: &Presets) -> Self {
        Self { stores: stores.clone(), max_size, presets: presets.clone() }
    }

    /// Begins an upload.
    pub async fn upload(&self, origin: &Origin, owner: UserId, name: &FileName) -> Result<Upload> {
        Upload::begin(&self.stores, origin, owner, name, self.max_size, &self.presets).await
    }

    /// The owner's files, the newest first.
    pub async fn list(&self, owner: UserId, page: PageRequest) -> Result<Page<File>> {
        let files = repository::list(&self.stores.db, owner, page).await?;
        Ok(Page::cut(files, page, |file| file.id.0))
    }

    pub async fn find(&self, owner: UserId, id: FileId) -> Result<File> {
        repository::find(&self.stores.db, id, Some(owner)).await?.ok_or(Error::NotFound)
    }

    /// What a download of the file itself is.
    pub async fn content(&self, owner: UserId, id: FileId) -> Result<Content> {
        let file = self.find(owner, id).await?;
        Ok(Content {
            size: u64::try_from(file.size).map_err(Error::internal)?,
            etag: file.sha256_hex(),
            name: file.name,
            content_type: file.content_type,
            object_key: file.object_key,
        })
    }

    /// What a download of a derived image is; not found while it is not made.
    pub async fn variant(&self, owner: UserId, id: FileId, preset: &PresetName) -> Result<Content> {
        let file = self.find(owner, id).await?;
        let hash = file.sha256_hex();
        let variant = file.variants.into_iter().find(|variant| variant.preset == *preset);
        let Variant { recipe, rendition, .. } = variant.ok_or(Error::NotFound)?;
        let rendition = rendition.ok_or(Error::NotFound)?;
        let recipe = recipe.map(|recipe| recipe.to_string().replace(' ', "-")).unwrap_or_default();
        Ok(Content {
            size: u64::try_from(rendition.size).map_err(Error::internal)?,
            // A variant of the same bytes by the same recipe is the same picture.
            etag: format!("{hash}-{preset}-{recipe}-{}", rendition.size),
            name: format!("{}-{preset}.{}", file.name, extension(&rendition.content_type)),
            content_type: rendition.content_type,
            object_key: rendition.object_key,
        })
    }

    /// The bytes of a download.
    pub async fn open(&self, content: &Content, range: Option<ByteRange>) -> Result<Download> {
        content.open(&self.stores.objects, range).await
    }

    /// Deletes the file: gone for everybody at once, its bytes as soon as a worker gets to it.
    pub async fn delete(&self, origin: &Origin, owner: UserId, id: FileId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !repository::mark_deleting(unit.connection(), id, owner, at).await? {
            return Err(Error::NotFound);
        }
        unit.audit(Action::FileDeleted, Target::File(id), Outcome::Success).await?;
        unit.enqueue(&PurgeFile { file_id: id }).await?;
        unit.commit().await
    }
}

/// What the name of a derived image ends with.
fn extension(content_type: &str) -> &'static str {
    match content_type {
        "image/png" => "png",
        "image/webp" => "webp",
        _ => "jpg",
    }
}
