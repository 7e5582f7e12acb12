//! What can be downloaded: everything that its headers need, before a byte of it is asked for.

use std::sync::Arc;

use plinth_domain::file::{File, Variant, Version};
use plinth_domain::preset::PresetName;
use plinth_platform::crypto::{Chunks, hex};
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
    pub(super) source: Source,
}

impl Content {
    pub(super) async fn of_file(stores: &Stores, file: File, blob: &Available) -> Result<Self> {
        Ok(Self {
            size: blob.size,
            etag: file.sha256_hex(),
            sha256: Some(file.sha256),
            // Its content: another name changes no byte.
            last_modified: blob.id.minted_at(),
            name: file.name,
            content_type: file.content_type,
            source: blob.source(stores).await?,
        })
    }

    pub(super) async fn of_version(
        stores: &Stores,
        name: String,
        version: Version,
        blob: &Available,
    ) -> Result<Self> {
        Ok(Self {
            size: blob.size,
            etag: version.sha256_hex(),
            sha256: Some(version.sha256),
            last_modified: version.created_at,
            name,
            content_type: version.content_type,
            source: blob.source(stores).await?,
        })
    }

    /// Not found while the variant is not made.
    pub(super) async fn of_variant(
        stores: &Stores,
        file: &File,
        blob: &Available,
        preset: &PresetName,
    ) -> Result<Self> {
        let variant = file.variants.iter().find(|variant| variant.preset == *preset);
        let rendition =
            variant.and_then(|Variant { rendition, .. }| rendition.clone()).ok_or(Error::NotFound)?;
        let size = u64::try_from(rendition.size).map_err(Error::internal)?;
        let (chunks, etag) = match rendition.sha256 {
            Some(sha256) => {
                let key = blob.variant_key(stores, &sha256).await?;
                let key = key.ok_or_else(|| Error::internal("a sealed variant of a blob without a key"))?;
                (Some(Arc::new(Chunks::new(&key, variant_name(&sha256)))), hex(&sha256))
            }
            // A variant of the same bytes by the same recipe is the same picture.
            None => (None, format!("{}-{preset}-{}", file.sha256_hex(), rendition.size)),
        };
        Ok(Self {
            size,
            etag,
            sha256: rendition.sha256,
            last_modified: blob.id.minted_at(),
            name: format!("{}-{preset}.{}", file.name, extension(&rendition.content_type)),
            content_type: rendition.content_type,
            source: Source { object_key: rendition.object_key, size, chunks, segments: vec![0], etag: None },
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
