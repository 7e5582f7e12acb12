//! The worker's side of derived images: the source, and what became of it.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, Rendition};
use plinth_domain::id::BlobId;
use plinth_domain::job::{DeliverNotification, MakeThumbnails};
use plinth_domain::notification::NewNotification;
use plinth_domain::preset::Preset;
use plinth_platform::crypto::{CHUNK, Chunks, Place, TAG, hex, sealed_size, sha256};
use serde_json::json;

use super::blobs::{self, Blob};
use super::download::variant_name;
use super::{repository, variants};
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

/// What images are derived from.
#[derive(Debug)]
pub struct Source {
    file: File,
    blob: Blob,
}

impl Source {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.blob.size
    }
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

    /// What the job is about, unless it has been deleted meanwhile.
    pub async fn find(&self, job: &MakeThumbnails) -> Result<Option<Source>> {
        let Some(file) = repository::find(&self.stores.db, job.file_id, None).await? else { return Ok(None) };
        let blob = blobs::repository::find(&self.stores.db, job.blob()).await?;
        Ok(blob.map(|blob| Source { file, blob }))
    }

    /// All of its bytes, in memory.
    pub async fn read(&self, source: &Source) -> Result<Bytes> {
        let mut bytes = BytesMut::with_capacity(usize::try_from(source.blob.size).map_err(Error::internal)?);
        let opened = source.blob.source(&self.stores).await?;
        let mut stream = blobs::open(&self.stores.objects, opened, None).await.map_err(Error::internal)?;
        while let Some(some) = stream.try_next().await.map_err(Error::internal)? {
            bytes.extend_from_slice(&some);
        }
        Ok(bytes.freeze())
    }

    /// Keeps the images, the same under the same keys each time, and tells the owner.
    pub async fn keep(&self, source: &Source, images: Vec<Made>) -> Result<()> {
        let mut renditions = Vec::with_capacity(images.len());
        for image in images {
            renditions.push((image.preset, self.store(&source.blob, image).await?));
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        for (preset, rendition) in &renditions {
            variants::set_ready(unit.connection(), source.blob.id, *preset, rendition, at).await?;
        }
        let file = &source.file;
        unit.audit(Action::FileProcessed, Target::File(file.id), Outcome::Success).await?;
        let body = format!("The previews of {} are there.", file.name);
        unit.enqueue(&told(source, "file.processed", "Your image is ready", body)).await?;
        unit.commit().await
    }

    async fn store(&self, blob: &Blob, image: Made) -> Result<Rendition> {
        let sha256 = sha256(&image.bytes);
        let key = blob.variant_key(&self.stores, &sha256).await?;
        let size = i64::try_from(image.bytes.len()).map_err(Error::internal)?;
        let bytes = match &key {
            Some(key) => seal(&Chunks::new(key, variant_name(&sha256)), &image.bytes),
            None => image.bytes,
        };
        let object_key = variant_key(blob.id, image.preset, &sha256);
        self.stores.objects.put(&object_key, bytes, "application/octet-stream").await?;
        Ok(Rendition {
            width: i32::try_from(image.width).map_err(Error::internal)?,
            height: i32::try_from(image.height).map_err(Error::internal)?,
            content_type: image.content_type.to_owned(),
            size,
            sha256: key.is_some().then_some(sha256),
            object_key,
        })
    }

    /// Notes that no image can be made, and tells the owner why.
    pub async fn give_up(&self, source: &Source, reason: &str) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        variants::set_failed(unit.connection(), source.blob.id, reason, at).await?;
        let file = &source.file;
        let details = json!({ "reason": reason });
        unit.audit_with(Action::FileProcessed, Target::File(file.id), Outcome::Refused, details).await?;
        let body = format!("There are no previews of {}: {reason}", file.name);
        unit.enqueue(&told(source, "file.unprocessable", "Your image cannot be shown", body)).await?;
        unit.commit().await
    }
}

/// Where a variant lies. Its bytes are in the name, so that none is ever written over by another.
fn variant_key(blob: BlobId, preset: Preset, sha256: &[u8; 32]) -> String {
    format!("{}variants/{preset}-{}", blobs::folder(blob), hex(&sha256[..8]))
}

/// The bytes sealed, chunk by chunk.
fn seal(chunks: &Chunks, bytes: &[u8]) -> Bytes {
    let size = usize::try_from(sealed_size(bytes.len() as u64)).unwrap_or(bytes.len() + TAG);
    let mut sealed = BytesMut::with_capacity(size);
    let mut pieces = bytes.chunks(CHUNK).peekable();
    let mut index = 0;
    loop {
        let piece = pieces.next().unwrap_or_default();
        let is_last = pieces.peek().is_none();
        let begin = sealed.len();
        sealed.extend_from_slice(piece);
        let tag = chunks.seal(Place { segment: 1, index, is_last }, &mut sealed[begin..]);
        sealed.extend_from_slice(&tag);
        if is_last {
            return sealed.freeze();
        }
        index += 1;
    }
}

fn told(source: &Source, kind: &str, title: &str, body: String) -> DeliverNotification {
    let file = &source.file;
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
