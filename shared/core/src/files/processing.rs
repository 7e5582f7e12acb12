//! The worker's side of derived images: the source, and what became of it.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, Rendition};
use plinth_domain::id::FileId;
use plinth_domain::job::DeliverNotification;
use plinth_domain::notification::NewNotification;
use plinth_domain::preset::Preset;
use serde_json::json;

use super::repository;
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// A derived image as it was made.
#[derive(Debug)]
pub struct Made {
    pub preset: Preset,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub content_type: &'static str,
    pub bytes: Bytes,
}

/// The worker's door to files.
#[derive(Clone)]
pub struct Processing {
    stores: Stores,
}

impl Processing {
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone() }
    }

    /// The file, unless it has been deleted meanwhile.
    pub async fn find(&self, id: FileId) -> Result<Option<File>> {
        repository::find(&self.stores.db, id, None).await
    }

    /// All bytes of the file, in memory.
    pub async fn source(&self, file: &File) -> Result<Bytes> {
        let mut source = BytesMut::with_capacity(usize::try_from(file.size).map_err(Error::internal)?);
        let mut stream = self.stores.objects.get(&file.object_key, None).await?;
        while let Some(bytes) = stream.try_next().await? {
            source.extend_from_slice(&bytes);
        }
        Ok(source.freeze())
    }

    /// Keeps the images, under the same keys each time, and tells the owner.
    pub async fn keep(&self, file: &File, images: Vec<Made>) -> Result<()> {
        let mut renditions = Vec::with_capacity(images.len());
        for image in images {
            let object_key = variant_key(file.id, image.preset);
            let rendition = Rendition {
                width: i32::try_from(image.width).map_err(Error::internal)?,
                height: i32::try_from(image.height).map_err(Error::internal)?,
                content_type: image.content_type.to_owned(),
                size: i64::try_from(image.bytes.len()).map_err(Error::internal)?,
                object_key,
            };
            self.stores.objects.put(&rendition.object_key, image.bytes, image.content_type).await?;
            renditions.push((image.preset, rendition));
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        for (preset, rendition) in &renditions {
            repository::set_variant_ready(unit.connection(), file.id, *preset, rendition, at).await?;
        }
        unit.audit(Action::FileProcessed, Target::File(file.id), Outcome::Success).await?;
        let body = format!("The previews of {} are there.", file.name);
        unit.enqueue(&told(file, "file.processed", "Your image is ready", body)).await?;
        unit.commit().await
    }

    /// Notes that no image can be made, and tells the owner why.
    pub async fn give_up(&self, file: &File, reason: &str) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        repository::set_variants_failed(unit.connection(), file.id, reason, at).await?;
        let details = json!({ "reason": reason });
        unit.audit_with(Action::FileProcessed, Target::File(file.id), Outcome::Refused, details).await?;
        let body = format!("There are no previews of {}: {reason}", file.name);
        unit.enqueue(&told(file, "file.unprocessable", "Your image cannot be shown", body)).await?;
        unit.commit().await
    }
}

pub(super) fn variant_key(file: FileId, preset: Preset) -> String {
    format!("files/{file}/{preset}")
}

fn told(file: &File, kind: &str, title: &str, body: String) -> DeliverNotification {
    DeliverNotification {
        notification: NewNotification {
            user_id: file.owner_id,
            kind: kind.to_owned(),
            title: title.to_owned(),
            body,
            subject: file.id.to_string(),
        },
    }
}
