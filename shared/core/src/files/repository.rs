//! The tables of files and their variants.

use plinth_domain::file::{File, FileState, Rendition, Variant, VariantState};
use plinth_domain::id::{FileId, UserId};
use plinth_domain::picture::{Blurhash, Picture, TakenAt};
use plinth_domain::preset::{IMAGE_TYPES, Preset, PresetName, Presets};
use plinth_platform::database::{PgPool, named};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::page::PageRequest;
use crate::{Error, Result};

/// What is known of an upload when it begins.
pub(super) struct NewFile<'a> {
    pub(super) id: FileId,
    pub(super) owner: UserId,
    pub(super) name: &'a str,
    pub(super) object_key: &'a str,
}

/// What is known of an upload when it ends.
pub(super) struct Stored<'a> {
    pub(super) content_type: &'a str,
    pub(super) size: i64,
    pub(super) sha256: &'a [u8; 32],
}

/// A file that is not, or no longer, there for anybody.
pub(super) struct Remains {
    pub(super) id: FileId,
    pub(super) object_key: String,
    pub(super) multipart_upload_id: Option<String>,
}

struct FileRow {
    id: Uuid,
    owner_id: Uuid,
    name: String,
    content_type: String,
    size: i64,
    sha256: Option<Vec<u8>>,
    state: String,
    object_key: String,
    created_at: OffsetDateTime,
    width: Option<i32>,
    height: Option<i32>,
    taken_at: Option<String>,
    blurhash: Option<String>,
}

struct VariantRow {
    file_id: Uuid,
    preset: String,
    recipe: Option<String>,
    state: String,
    object_key: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
    content_type: Option<String>,
    size: Option<i64>,
    reason: Option<String>,
}

impl FileRow {
    fn into_file(self, variants: Vec<Variant>) -> Result<File> {
        let picture = self.picture();
        let sha256 = self.sha256.and_then(|hash| hash.try_into().ok());
        Ok(File {
            id: FileId(self.id),
            owner_id: UserId(self.owner_id),
            name: self.name,
            content_type: self.content_type,
            size: self.size,
            sha256: sha256.ok_or_else(|| Error::internal("a ready file has no hash"))?,
            state: FileState::parse(&self.state)
                .ok_or_else(|| Error::internal("a file is in an unknown state"))?,
            object_key: self.object_key,
            picture,
            variants,
            created_at: self.created_at,
        })
    }
}

impl FileRow {
    fn picture(&self) -> Option<Picture> {
        Some(Picture {
            width: self.width?.try_into().ok()?,
            height: self.height?.try_into().ok()?,
            taken_at: self.taken_at.as_deref().and_then(|text| text.parse().ok()),
            blurhash: self.blurhash.as_deref().and_then(|text| text.parse().ok()),
        })
    }
}

impl VariantRow {
    /// `None` for what another release has written and this one cannot read.
    fn into_variant(self) -> Option<Variant> {
        let rendition = (|| {
            Some(Rendition {
                width: self.width?,
                height: self.height?,
                content_type: self.content_type?,
                size: self.size?,
                object_key: self.object_key?,
            })
        })();
        Some(Variant {
            preset: self.preset.parse().ok()?,
            recipe: self.recipe.and_then(|recipe| recipe.parse().ok()),
            state: VariantState::parse(&self.state)?,
            rendition,
            reason: self.reason,
        })
    }
}

/// False when the owner's account is deleted; one that is being deleted is waited for.
pub(super) async fn begin(
    connection: &mut PgConnection,
    file: &NewFile<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO files (id, owner_id, name, state, object_key, created_at, updated_at)
         SELECT $1, id, $3, 'uploading', $4, $5, $5 FROM users WHERE id = $2 AND status <> 'deleted' FOR KEY SHARE",
        file.id.0,
        file.owner.0,
        file.name,
        file.object_key,
        at,
    );
    Ok(named("files.begin", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn note_parts(db: &PgPool, id: FileId, upload: &str) -> sqlx::Result<()> {
    let query = sqlx::query!("UPDATE files SET multipart_upload_id = $2 WHERE id = $1", id.0, upload);
    named("files.note_parts", query.execute(db)).await.map(drop)
}

/// False when the upload was given up meanwhile.
pub(super) async fn finish(
    connection: &mut PgConnection,
    id: FileId,
    stored: &Stored<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files
         SET state = 'ready', content_type = $2, size = $3, sha256 = $4, multipart_upload_id = NULL, updated_at = $5
         WHERE id = $1 AND state = 'uploading'",
        id.0,
        stored.content_type,
        stored.size,
        stored.sha256,
        at,
    );
    Ok(named("files.finish", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn expect_variants(
    connection: &mut PgConnection,
    id: FileId,
    presets: &Presets,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let presets: Vec<String> = presets.iter().map(|preset| preset.name.as_str().to_owned()).collect();
    let query = sqlx::query!(
        "INSERT INTO file_variants (file_id, preset, state, updated_at)
         SELECT $1, preset, 'pending', $3 FROM unnest($2::text[]) AS preset",
        id.0,
        &presets,
        at,
    );
    named("file_variants.expect", query.execute(connection)).await.map(drop)
}

pub(super) async fn set_picture(connection: &mut PgConnection, id: FileId, picture: &Picture) -> Result<()> {
    let query = sqlx::query!(
        "UPDATE files SET width = $2, height = $3, taken_at = $4, blurhash = $5 WHERE id = $1 AND state = 'ready'",
        id.0,
        i32::try_from(picture.width).map_err(Error::internal)?,
        i32::try_from(picture.height).map_err(Error::internal)?,
        picture.taken_at.as_ref().map(TakenAt::as_str),
        picture.blurhash.as_ref().map(Blurhash::as_str),
    );
    named("files.set_picture", query.execute(connection)).await?;
    Ok(())
}

/// False when the file is being deleted; otherwise that waits until the transaction ends.
pub(super) async fn set_variant_ready(
    connection: &mut PgConnection,
    id: FileId,
    preset: &Preset,
    rendition: &Rendition,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO file_variants
             (file_id, preset, state, object_key, width, height, content_type, size, updated_at, recipe)
         SELECT id, $2, 'ready', $3, $4, $5, $6, $7, $8, $9 FROM files
         WHERE id = $1 AND state = 'ready' FOR SHARE
         ON CONFLICT (file_id, preset) DO UPDATE
         SET state = 'ready', object_key = excluded.object_key, width = excluded.width, height = excluded.height,
             content_type = excluded.content_type, size = excluded.size, reason = NULL,
             updated_at = excluded.updated_at, recipe = excluded.recipe",
        id.0,
        preset.name.as_str(),
        rendition.object_key,
        rendition.width,
        rendition.height,
        rendition.content_type,
        rendition.size,
        at,
        preset.recipe.to_string(),
    );
    Ok(named("file_variants.ready", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn set_variant_failed(
    connection: &mut PgConnection,
    id: FileId,
    preset: &Preset,
    reason: &str,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO file_variants (file_id, preset, state, reason, updated_at, recipe)
         SELECT id, $2, 'failed', $3, $4, $5 FROM files WHERE id = $1 AND state = 'ready' FOR SHARE
         ON CONFLICT (file_id, preset) DO UPDATE
         SET state = 'failed', reason = excluded.reason, updated_at = excluded.updated_at, recipe = excluded.recipe",
        id.0,
        preset.name.as_str(),
        reason,
        at,
        preset.recipe.to_string(),
    );
    named("file_variants.failed", query.execute(connection)).await.map(drop)
}

pub(super) async fn remove_variant(db: &PgPool, id: FileId, preset: &PresetName) -> sqlx::Result<()> {
    let query =
        sqlx::query!("DELETE FROM file_variants WHERE file_id = $1 AND preset = $2", id.0, preset.as_str());
    named("file_variants.remove", query.execute(db)).await.map(drop)
}

/// The presets of which a file that is being deleted may have images.
pub(super) async fn variant_presets(db: &PgPool, id: FileId) -> sqlx::Result<Vec<String>> {
    let query = sqlx::query_scalar!("SELECT preset FROM file_variants WHERE file_id = $1", id.0);
    named("file_variants.presets", query.fetch_all(db)).await
}

/// The next pictures, by their ids.
pub(super) async fn pictures(db: &PgPool, after: Option<FileId>, limit: i64) -> Result<Vec<File>> {
    let types = IMAGE_TYPES.map(str::to_owned);
    let query = sqlx::query_as!(
        FileRow,
        "SELECT id, owner_id, name, content_type, size, sha256, state, object_key, created_at, width, height, taken_at,
             blurhash
         FROM files WHERE id > $1 AND state = 'ready' AND content_type = ANY($2) ORDER BY id LIMIT $3",
        after.map_or(Uuid::nil(), |after| after.0),
        &types,
        limit,
    );
    with_variants(db, named("files.pictures", query.fetch_all(db)).await?).await
}

/// A ready file, and its owner's only where one is named.
pub(super) async fn find(db: &PgPool, id: FileId, owner: Option<UserId>) -> Result<Option<File>> {
    let query = sqlx::query_as!(
        FileRow,
        "SELECT id, owner_id, name, content_type, size, sha256, state, object_key, created_at, width, height, taken_at,
             blurhash
         FROM files WHERE id = $1 AND state = 'ready' AND ($2::uuid IS NULL OR owner_id = $2)",
        id.0,
        owner.map(|owner| owner.0),
    );
    let Some(row) = named("files.find", query.fetch_optional(db)).await? else { return Ok(None) };
    let variants = variants(db, &[row.id]).await?;
    row.into_file(variants.into_iter().filter_map(VariantRow::into_variant).collect()).map(Some)
}

pub(super) async fn list(db: &PgPool, owner: UserId, page: PageRequest) -> Result<Vec<File>> {
    let query = sqlx::query_as!(
        FileRow,
        "SELECT id, owner_id, name, content_type, size, sha256, state, object_key, created_at, width, height, taken_at,
             blurhash
         FROM files WHERE owner_id = $1 AND state = 'ready' AND id < $2 ORDER BY id DESC LIMIT $3",
        owner.0,
        page.before(),
        page.fetch(),
    );
    with_variants(db, named("files.list", query.fetch_all(db)).await?).await
}

async fn with_variants(db: &PgPool, rows: Vec<FileRow>) -> Result<Vec<File>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut variants = variants(db, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let own = variants.extract_if(.., |variant| variant.file_id == row.id);
            let own = own.filter_map(VariantRow::into_variant).collect();
            row.into_file(own)
        })
        .collect()
}

async fn variants(db: &PgPool, files: &[Uuid]) -> sqlx::Result<Vec<VariantRow>> {
    let query = sqlx::query_as!(
        VariantRow,
        "SELECT file_id, preset, recipe, state, object_key, width, height, content_type, size, reason
         FROM file_variants WHERE file_id = ANY($1) ORDER BY file_id, preset DESC",
        files,
    );
    named("file_variants.list", query.fetch_all(db)).await
}

/// False when there is no such ready file of this owner.
pub(super) async fn mark_deleting(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files SET state = 'deleting', updated_at = $3 WHERE id = $1 AND owner_id = $2 AND state = 'ready'",
        id.0,
        owner.0,
        at,
    );
    Ok(named("files.mark_deleting", query.execute(connection)).await?.rows_affected() == 1)
}

/// Up to so many of the owner's finished files and as many of the others; those that are being deleted already are not among them.
pub(super) async fn mark_some_deleting(
    connection: &mut PgConnection,
    owner: UserId,
    limit: i64,
    at: OffsetDateTime,
) -> sqlx::Result<Vec<FileId>> {
    let query = sqlx::query_scalar!(
        "UPDATE files SET state = 'deleting', updated_at = $3
         WHERE id IN ((SELECT id FROM files WHERE owner_id = $1 AND state = 'ready' LIMIT $2)
                      UNION ALL
                      (SELECT id FROM files WHERE owner_id = $1 AND state = 'uploading' LIMIT $2))
           AND state <> 'deleting'
         RETURNING id",
        owner.0,
        limit,
        at,
    );
    let ids = named("files.mark_some_deleting", query.fetch_all(connection)).await?;
    Ok(ids.into_iter().map(FileId).collect())
}

/// What is to be removed of a file that is being deleted.
pub(super) async fn remains(db: impl PgExecutor<'_>, id: FileId) -> sqlx::Result<Option<Remains>> {
    let query = sqlx::query!(
        "SELECT object_key, multipart_upload_id FROM files WHERE id = $1 AND state = 'deleting'",
        id.0
    );
    let row = named("files.remains", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Remains {
        id,
        object_key: row.object_key,
        multipart_upload_id: row.multipart_upload_id,
    }))
}

/// Gives an upload up: it does not finish any more. `None` when it is none, or was given up before.
pub(super) async fn give_up(db: &PgPool, id: FileId, at: OffsetDateTime) -> sqlx::Result<Option<Remains>> {
    let query = sqlx::query!(
        "UPDATE files SET state = 'deleting', updated_at = $2 WHERE id = $1 AND state = 'uploading'
         RETURNING object_key, multipart_upload_id",
        id.0,
        at,
    );
    let row = named("files.give_up", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Remains {
        id,
        object_key: row.object_key,
        multipart_upload_id: row.multipart_upload_id,
    }))
}

/// What [`claim_abandoned`] would claim.
pub(super) async fn count_abandoned(db: &PgPool, before: OffsetDateTime) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM files WHERE state <> 'ready' AND updated_at < $1"#,
        before
    );
    named("files.count_abandoned", query.fetch_one(db)).await
}

/// Claims uploads that have stood still since `before` for removal: no upload finishes any more once claimed.
pub(super) async fn claim_abandoned(
    db: &PgPool,
    before: OffsetDateTime,
    at: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<Remains>> {
    let query = sqlx::query!(
        "UPDATE files SET state = 'deleting', updated_at = $3
         WHERE id IN (SELECT id FROM files
                      WHERE state <> 'ready' AND updated_at < $1
                      ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id, object_key, multipart_upload_id",
        before,
        limit,
        at,
    );
    let rows = named("files.claim_abandoned", query.fetch_all(db)).await?;
    Ok(rows
        .into_iter()
        .map(|row| Remains {
            id: FileId(row.id),
            object_key: row.object_key,
            multipart_upload_id: row.multipart_upload_id,
        })
        .collect())
}

pub(super) async fn remove(db: &PgPool, id: FileId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM files WHERE id = $1 AND state = 'deleting'", id.0);
    named("files.remove", query.execute(db)).await.map(drop)
}
