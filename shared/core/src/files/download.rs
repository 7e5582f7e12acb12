//! What can be downloaded: everything that its headers need, before its key is unwrapped and a byte of it asked for.

use std::sync::Arc;

use plinth_domain::file::{File, Variant, Version};
use plinth_domain::preset::PresetName;
use plinth_platform::crypto::{ChunkCipher, hex};
use time::OffsetDateTime;

use super::blobs::{Available, Source};
use crate::{Error, Result, Stores};

/// A content, still closed.
#[derive(Debug, Clone)]
pub struct Content {
    pub name: String,
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Strong: the same tag means the same bytes.
    pub etag: String,
    pub sha256: Option<[u8; 32]>,
    pub last_modified: OffsetDateTime,
    stored: Stored,
}

/// A content whose key is at hand. Clones share it.
#[derive(Debug, Clone)]
pub struct Unlocked(pub(super) Source);

/// What a content's bytes are.
#[derive(Debug, Clone)]
enum Stored {
    Blob(Available),
    Variant(StoredVariant),
}

#[derive(Debug, Clone)]
struct StoredVariant {
    blob: Available,
    object_key: String,
    size: u64,
    /// `None` for one that is not sealed.
    sha256: Option<[u8; 32]>,
}

impl Content {
    pub(super) fn of_file(file: File, blob: Available) -> Self {
        Self {
            size: blob.size,
            etag: file.sha256_hex(),
            sha256: Some(file.sha256),
            // Not the time of the blob: a version that comes back, or has the bytes of another file, has an older one, and a
            // client would take it for what it has.
            last_modified: file.updated_at,
            name: file.name,
            content_type: file.content_type,
            stored: Stored::Blob(blob),
        }
    }

    pub(super) fn of_version(name: String, version: Version, blob: Available) -> Self {
        Self {
            size: blob.size,
            etag: version.sha256_hex(),
            sha256: Some(version.sha256),
            // Its metadata may have been taken out since.
            last_modified: version.created_at.max(blob.id.minted_at()),
            name,
            content_type: version.content_type,
            stored: Stored::Blob(blob),
        }
    }

    /// Not found while the variant is not made.
    pub(super) fn of_variant(file: &File, blob: Available, preset: &PresetName) -> Result<Self> {
        let variant = file
            .variants
            .iter()
            .find(|variant| variant.preset == *preset);
        let rendition = variant
            .and_then(|Variant { rendition, .. }| rendition.clone())
            .ok_or(Error::NotFound)?;
        let size = u64::try_from(rendition.size).map_err(Error::internal)?;
        let etag = match &rendition.sha256 {
            Some(sha256) => hex(sha256),
            // A variant of the same bytes by the same recipe is the same picture.
            None => format!("{}-{preset}-{}", file.sha256_hex(), rendition.size),
        };
        let (object_key, sha256) = (rendition.object_key, rendition.sha256);
        Ok(Self {
            size,
            etag,
            sha256,
            last_modified: file.updated_at,
            name: format!(
                "{}-{preset}.{}",
                file.name,
                extension(&rendition.content_type)
            ),
            content_type: rendition.content_type,
            stored: Stored::Variant(StoredVariant {
                blob,
                object_key,
                size,
                sha256,
            }),
        })
    }

    /// The object that has these very bytes, where a client stored it and nothing is sealed.
    pub(super) fn plain_object(&self) -> Option<&str> {
        match &self.stored {
            Stored::Blob(blob) if blob.etag.is_some() => Some(&blob.object_key),
            _ => None,
        }
    }

    pub(super) async fn unlock(&self, stores: &Stores) -> Result<Unlocked> {
        Ok(Unlocked(match &self.stored {
            Stored::Blob(blob) => blob.source(stores).await?,
            Stored::Variant(variant) => variant.source(stores).await?,
        }))
    }
}

impl StoredVariant {
    async fn source(&self, stores: &Stores) -> Result<Source> {
        let chunks = match &self.sha256 {
            Some(sha256) => {
                let key = self.blob.variant_key(stores, sha256).await?;
                let key =
                    key.ok_or_else(|| Error::internal("a sealed variant of a blob without a key"))?;
                Some(Arc::new(ChunkCipher::new(&key, variant_name(sha256))))
            }
            None => None,
        };
        let object_key = self.object_key.clone();
        Ok(Source {
            object_key,
            size: self.size,
            chunks,
            segments: vec![0],
            etag: None,
        })
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

/// What the chunks of a variant with these bytes are bound to.
pub(super) fn variant_name(sha256: &[u8; 32]) -> [u8; 16] {
    let mut name = [0; 16];
    name.copy_from_slice(&sha256[..16]);
    name
}
