//! The table of derived images, and what else is known of a picture.

use std::collections::HashMap;

use plinth_domain::file::{Rendition, Variant, VariantFailure, VariantState};
use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_domain::job::MakeThumbnails;
use plinth_domain::picture::{Blurhash, Picture, TakenAt};
use plinth_domain::preset::{self, Preset, PresetName, Presets};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::blobs::repository as blobs;
use crate::unit::Unit;
use crate::{Error, Result};

/// What was made of a blob, as it was at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Derived {
    pub(super) picture: Option<Picture>,
    pub(super) variants: Vec<Variant>,
}

/// A blob with one of its variants, or without any.
struct Row {
    blob_id: BlobId,
    picture_width: Option<i32>,
    picture_height: Option<i32>,
    taken_at: Option<String>,
    blurhash: Option<String>,
    preset: Option<String>,
    recipe: Option<String>,
    state: Option<VariantState>,
    object_key: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
    content_type: Option<String>,
    size: Option<i64>,
    sha256: Option<Vec<u8>>,
    reason: Option<String>,
    failure: Option<VariantFailure>,
}

impl Row {
    /// `None` for what is no picture, or was not read, or not yet.
    fn picture(&self) -> Option<Picture> {
        Some(Picture {
            width: self.picture_width?.try_into().ok()?,
            height: self.picture_height?.try_into().ok()?,
            taken_at: self.taken_at.as_deref().and_then(|text| text.parse().ok()),
            blurhash: self.blurhash.as_deref().and_then(|text| text.parse().ok()),
        })
    }

    /// `None` where there is none, and for what another release has written and this one cannot read.
    fn into_variant(self) -> Option<Variant> {
        let sha256 = self.sha256.and_then(|hash| hash.try_into().ok());
        let rendition = (|| {
            Some(Rendition {
                width: self.width?,
                height: self.height?,
                content_type: self.content_type?,
                size: self.size?,
                sha256,
                object_key: self.object_key?,
            })
        })();
        Some(Variant {
            preset: self.preset?.parse().ok()?,
            recipe: self.recipe.and_then(|text| text.parse().ok()),
            state: self.state?,
            rendition,
            reason: self.reason,
            failure: self.failure,
        })
    }
}

/// Bytes that images may be derived from.
pub(super) struct Derivable<'a> {
    /// Whose owner is told.
    pub(super) file: FileId,
    pub(super) blob: BlobId,
    pub(super) owner: UserId,
    pub(super) content_type: &'a str,
}

/// Asks for the variants where these bytes are an image.
pub(super) async fn begin(unit: &mut Unit, of: Derivable<'_>, presets: &Presets) -> Result<()> {
    if !preset::is_image(of.content_type) {
        return Ok(());
    }
    let at = unit.at();
    let job = MakeThumbnails {
        file_id: of.file,
        blob_id: Some(of.blob),
    };
    let job = unit.enqueue_for(of.owner, &job).await?;
    blobs::set_job(unit.connection(), of.blob, job).await?;
    Ok(expect(unit.connection(), of.blob, presets, at).await?)
}

/// The variants are to be made.
async fn expect(
    connection: &mut PgConnection,
    blob: BlobId,
    presets: &Presets,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let presets: Vec<String> = presets
        .iter()
        .map(|preset| preset.name.as_str().to_owned())
        .collect();
    let query = sqlx::query!(
        "INSERT INTO file_variants (blob_id, preset, state, updated_at)
         SELECT $1, preset, 'pending', $3 FROM unnest($2::text[]) AS preset ON CONFLICT DO NOTHING",
        blob as _,
        &presets,
        at,
    );
    named("file_variants.expect", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn set_picture(
    connection: &mut PgConnection,
    blob: BlobId,
    picture: &Picture,
) -> Result<()> {
    let query = sqlx::query!(
        // What was stripped does not say any more when it was taken.
        "UPDATE blobs SET width = $2, height = $3, taken_at = coalesce($4, taken_at), blurhash = $5
         WHERE id = $1 AND state = 'stored'",
        blob as _,
        i32::try_from(picture.width).map_err(Error::internal)?,
        i32::try_from(picture.height).map_err(Error::internal)?,
        picture.taken_at.as_ref().map(TakenAt::as_str),
        picture.blurhash.as_ref().map(Blurhash::as_str),
    );
    named("blobs.set_picture", query.execute(connection)).await?;
    Ok(())
}

/// False when the blob is nobody's any more; otherwise that waits until the transaction ends.
pub(super) async fn set_ready(
    connection: &mut PgConnection,
    blob: BlobId,
    preset: &Preset,
    rendition: &Rendition,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO file_variants
             (blob_id, preset, state, object_key, width, height, content_type, size, sha256, updated_at, recipe)
         SELECT id, $2, 'ready', $3, $4, $5, $6, $7, $8, $9, $10 FROM blobs
         WHERE id = $1 AND state = 'stored' FOR SHARE
         ON CONFLICT (blob_id, preset) DO UPDATE
         SET state = 'ready', object_key = excluded.object_key, width = excluded.width, height = excluded.height,
             content_type = excluded.content_type, size = excluded.size, sha256 = excluded.sha256, reason = NULL, failure = NULL,
             updated_at = excluded.updated_at, recipe = excluded.recipe",
        blob as _,
        preset.name.as_str(),
        rendition.object_key,
        rendition.width,
        rendition.height,
        rendition.content_type,
        rendition.size,
        rendition.sha256.as_ref().map(<[u8; 32]>::as_slice),
        at,
        preset.recipe.to_string(),
    );
    Ok(named("file_variants.ready", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn set_failed(
    connection: &mut PgConnection,
    blob: BlobId,
    preset: &Preset,
    (failure, reason): (VariantFailure, &str),
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO file_variants (blob_id, preset, state, reason, updated_at, recipe, failure)
         SELECT id, $2, 'failed', $3, $4, $5, $6 FROM blobs WHERE id = $1 AND state = 'stored' FOR SHARE
         ON CONFLICT (blob_id, preset) DO UPDATE
         SET state = 'failed', reason = excluded.reason, updated_at = excluded.updated_at, recipe = excluded.recipe,
             failure = excluded.failure",
        blob as _,
        preset.name.as_str(),
        reason,
        at,
        preset.recipe.to_string(),
        failure as _,
    );
    named("file_variants.failed", query.execute(connection))
        .await
        .map(drop)
}

/// They are to be made anew.
pub(super) async fn set_pending(
    connection: &mut PgConnection,
    blob: BlobId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE file_variants SET state = 'pending', reason = NULL, failure = NULL, updated_at = $2 WHERE blob_id = $1",
        blob as _,
        at,
    );
    named("file_variants.pending", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn remove(db: &PgPool, blob: BlobId, preset: &PresetName) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM file_variants WHERE blob_id = $1 AND preset = $2",
        blob as _,
        preset.as_str()
    );
    named("file_variants.remove", query.execute(db))
        .await
        .map(drop)
}

/// In one statement: whoever sees that the variants are ready knows the picture.
pub(super) async fn of_blobs(
    db: &PgPool,
    blobs: &[BlobId],
) -> sqlx::Result<HashMap<BlobId, Derived>> {
    let query = sqlx::query_as!(
        Row,
        r#"SELECT blobs.id AS blob_id, blobs.width AS picture_width, blobs.height AS picture_height, taken_at, blurhash,
             preset AS "preset?", recipe, variant.state AS "state?", variant.object_key, variant.width, variant.height,
             variant.content_type AS "content_type?", variant.size AS "size?", variant.sha256, reason, failure
         FROM blobs LEFT JOIN file_variants AS variant ON variant.blob_id = blobs.id
         WHERE blobs.id = ANY($1) ORDER BY blobs.id, preset DESC"#,
        blobs as _,
    );
    let mut derived: HashMap<BlobId, Derived> = HashMap::new();
    for row in named("file_variants.list", query.fetch_all(db)).await? {
        let of_blob = derived.entry(row.blob_id).or_default();
        of_blob.picture = row.picture();
        of_blob.variants.extend(row.into_variant());
    }
    Ok(derived)
}
