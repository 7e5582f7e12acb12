//! The table of derived images.

use plinth_domain::file::{Rendition, Variant, VariantState};
use plinth_domain::id::BlobId;
use plinth_domain::preset::Preset;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    blob_id: Uuid,
    preset: String,
    state: String,
    object_key: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
    content_type: Option<String>,
    size: Option<i64>,
    sha256: Option<Vec<u8>>,
    reason: Option<String>,
}

impl Row {
    /// `None` for a preset that this build does not know.
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
            preset: Preset::parse(&self.preset)?,
            state: VariantState::parse(&self.state)?,
            rendition,
            reason: self.reason,
        })
    }
}

/// The variants are to be made.
pub(super) async fn expect(
    connection: &mut PgConnection,
    blob: BlobId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let presets: Vec<String> = Preset::ALL.iter().map(|preset| preset.as_str().to_owned()).collect();
    let query = sqlx::query!(
        "INSERT INTO file_variants (blob_id, preset, state, updated_at)
         SELECT $1, preset, 'pending', $3 FROM unnest($2::text[]) AS preset",
        blob.0,
        &presets,
        at,
    );
    named("file_variants.expect", query.execute(connection)).await.map(drop)
}

pub(super) async fn set_ready(
    connection: &mut PgConnection,
    blob: BlobId,
    preset: Preset,
    rendition: &Rendition,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE file_variants
         SET state = 'ready', object_key = $3, width = $4, height = $5, content_type = $6, size = $7, sha256 = $8,
             reason = NULL, updated_at = $9
         WHERE blob_id = $1 AND preset = $2",
        blob.0,
        preset.as_str(),
        rendition.object_key,
        rendition.width,
        rendition.height,
        rendition.content_type,
        rendition.size,
        rendition.sha256.as_ref().map(<[u8; 32]>::as_slice),
        at,
    );
    named("file_variants.ready", query.execute(connection)).await.map(drop)
}

/// They are to be made anew.
pub(super) async fn set_pending(
    connection: &mut PgConnection,
    blob: BlobId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE file_variants SET state = 'pending', reason = NULL, updated_at = $2 WHERE blob_id = $1",
        blob.0,
        at,
    );
    named("file_variants.pending", query.execute(connection)).await.map(drop)
}

pub(super) async fn set_failed(
    connection: &mut PgConnection,
    blob: BlobId,
    reason: &str,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE file_variants SET state = 'failed', reason = $2, updated_at = $3 WHERE blob_id = $1",
        blob.0,
        reason,
        at,
    );
    named("file_variants.failed", query.execute(connection)).await.map(drop)
}

pub(super) async fn of_blobs(db: &PgPool, blobs: &[Uuid]) -> sqlx::Result<Vec<(BlobId, Variant)>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT blob_id, preset, state, object_key, width, height, content_type, size, sha256, reason
         FROM file_variants WHERE blob_id = ANY($1) ORDER BY blob_id, preset DESC",
        blobs,
    );
    let rows = named("file_variants.list", query.fetch_all(db)).await?;
    Ok(rows.into_iter().filter_map(|row| Some((BlobId(row.blob_id), row.into_variant()?))).collect())
}
