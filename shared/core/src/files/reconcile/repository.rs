//! What PostgreSQL knows of the objects in S3.

use std::collections::HashSet;

use plinth_domain::id::{BlobId, FileId};
use plinth_platform::database::{PgPool, named};
use uuid::Uuid;

use crate::{Error, Result};

/// A blob with its objects.
pub(super) struct Row {
    pub(super) id: BlobId,
    pub(super) object_key: String,
    /// Bytes, before they were sealed.
    pub(super) size: u64,
    pub(super) is_stored: bool,
    pub(super) is_sealed: bool,
    /// Of the object that was verified, where a client stored it.
    pub(super) etag: Option<String>,
    /// The objects of its derived images.
    pub(super) variants: Vec<String>,
}

/// Blobs in the order of their ids.
pub(super) async fn page(db: &PgPool, after: Uuid, limit: i64) -> Result<Vec<Row>> {
    let query = sqlx::query!(
        r#"SELECT id, object_key, size, state = 'stored' AS "is_stored!", data_key IS NOT NULL AS "is_sealed!", etag,
             ARRAY(SELECT variant.object_key FROM file_variants AS variant
                   WHERE variant.blob_id = blobs.id AND variant.object_key IS NOT NULL) AS "variants!: Vec<String>"
         FROM blobs WHERE id > $1 ORDER BY id LIMIT $2"#,
        after,
        limit,
    );
    let rows = named("reconcile.page", query.fetch_all(db)).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Row {
                id: row.id,
                object_key: row.object_key,
                size: u64::try_from(row.size).map_err(Error::internal)?,
                is_stored: row.is_stored,
                is_sealed: row.is_sealed,
                etag: row.etag,
                variants: row.variants,
            })
        })
        .collect()
}

/// Those of the blobs that there are.
pub(super) async fn known(db: &PgPool, ids: &[BlobId]) -> sqlx::Result<HashSet<BlobId>> {
    let query = sqlx::query_scalar!("SELECT id FROM blobs WHERE id = ANY($1)", ids as _);
    Ok(named("reconcile.known", query.fetch_all(db))
        .await?
        .into_iter()
        .collect())
}

/// Those of the uploads in parts that a blob knows of.
pub(super) async fn known_parts(db: &PgPool, uploads: &[String]) -> sqlx::Result<HashSet<String>> {
    let query = sqlx::query_scalar!(
        r#"SELECT multipart_upload_id AS "upload!" FROM blobs
         WHERE state <> 'stored' AND multipart_upload_id = ANY($1)"#,
        uploads,
    );
    Ok(named("reconcile.known_parts", query.fetch_all(db))
        .await?
        .into_iter()
        .collect())
}

pub(super) async fn is_stored(db: &PgPool, id: BlobId) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM blobs WHERE id = $1 AND state = 'stored'",
        id as _
    );
    Ok(named("reconcile.is_stored", query.fetch_optional(db))
        .await?
        .is_some())
}

pub(super) async fn sha256(db: &PgPool, id: BlobId) -> sqlx::Result<Option<Vec<u8>>> {
    let query = sqlx::query_scalar!("SELECT sha256 FROM blobs WHERE id = $1", id as _);
    Ok(named("reconcile.sha256", query.fetch_optional(db))
        .await?
        .flatten())
}

/// From now on the object with this tag is meant, where it was the one with another.
pub(super) async fn set_etag(
    db: &PgPool,
    id: BlobId,
    before: &str,
    etag: &str,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET etag = $3 WHERE id = $1 AND etag = $2",
        id as _,
        before,
        etag
    );
    named("reconcile.set_etag", query.execute(db))
        .await
        .map(drop)
}

/// The objects of a blob's derived images as they are by now.
pub(super) async fn variants(db: &PgPool, id: BlobId) -> sqlx::Result<Vec<String>> {
    let query = sqlx::query_scalar!(
        r#"SELECT object_key AS "key!" FROM file_variants WHERE blob_id = $1 AND object_key IS NOT NULL"#,
        id as _,
    );
    named("reconcile.variants", query.fetch_all(db)).await
}

/// A file that shows the blob, or did.
pub(super) async fn file_of(db: &PgPool, id: BlobId) -> sqlx::Result<Option<FileId>> {
    let query = sqlx::query_scalar!(
        "SELECT file_id FROM file_versions WHERE blob_id = $1 ORDER BY file_id DESC LIMIT 1",
        id as _
    );
    named("reconcile.file_of", query.fetch_optional(db)).await
}
