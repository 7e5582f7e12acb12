//! The table of blobs.

use plinth_domain::file::{MetadataState, Scan, ScanState};
use plinth_domain::id::{BlobId, JobId, UserId};
use plinth_platform::crypto::WrappedKey;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Blob, Received};
use crate::{Error, Result};

/// What is known of a blob when it begins.
pub(super) struct NewBlob<'a> {
    pub(super) id: BlobId,
    pub(super) owner: UserId,
    pub(super) object_key: &'a str,
    /// `None` for one that its client stores.
    pub(super) key: Option<&'a WrappedKey>,
}

/// A blob that is nobody's any more.
pub(super) struct Remains {
    pub(super) id: BlobId,
    pub(super) object_key: String,
    pub(super) multipart_upload_id: Option<String>,
}

struct Row {
    id: BlobId,
    owner_id: UserId,
    object_key: String,
    size: i64,
    data_key: Option<Vec<u8>>,
    master_key: Option<String>,
    segments: Vec<i32>,
    scan: ScanState,
    scanned_at: Option<OffsetDateTime>,
    signature: Option<String>,
    metadata: MetadataState,
    etag: Option<String>,
}

impl TryFrom<Row> for Blob {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let segments = row
            .segments
            .into_iter()
            .map(u32::try_from)
            .collect::<Result<_, _>>();
        Ok(Self {
            id: row.id,
            owner: row.owner_id,
            object_key: row.object_key,
            size: u64::try_from(row.size).map_err(Error::internal)?,
            key: row
                .master_key
                .zip(row.data_key)
                .map(|(master_key, bytes)| WrappedKey { master_key, bytes }),
            segments: segments.map_err(Error::internal)?,
            scan: Scan {
                state: row.scan,
                at: row.scanned_at,
                signature: row.signature,
            },
            metadata: row.metadata,
            etag: row.etag,
        })
    }
}

/// False when the owner's account is deleted, and then nothing of this change may stay; one that is being deleted is waited
/// for.
pub(super) async fn begin(
    connection: &mut PgConnection,
    blob: &NewBlob<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    // Before the account, as whoever holds that row: it may be about to go.
    let query = sqlx::query!(
        "INSERT INTO storage_usage (owner_id) VALUES ($1) ON CONFLICT DO NOTHING",
        blob.owner as _
    );
    named("storage_usage.begin", query.execute(&mut *connection)).await?;
    let query = sqlx::query!(
        "INSERT INTO blobs (id, owner_id, state, object_key, data_key, master_key, created_at, updated_at)
         SELECT $1, id, 'receiving', $3, $4, $5, $6, $6 FROM users WHERE id = $2 AND status NOT IN ('deleting', 'deleted') FOR KEY SHARE",
        blob.id as _,
        blob.owner as _,
        blob.object_key,
        blob.key.map(|key| key.bytes.as_slice()),
        blob.key.map(|key| key.master_key.as_str()),
        at,
    );
    Ok(named("blobs.begin", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(in crate::files) async fn note_parts(
    db: &PgPool,
    id: BlobId,
    upload: &str,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET multipart_upload_id = $2 WHERE id = $1",
        id as _,
        upload
    );
    named("blobs.note_parts", query.execute(db)).await.map(drop)
}

/// What was set aside for a blob that is received; nobody else ends it until the transaction does. `None` when it was
/// given up meanwhile.
pub(in crate::files) async fn hold_received(
    connection: &mut PgConnection,
    id: BlobId,
) -> sqlx::Result<Option<i64>> {
    let query = sqlx::query_scalar!(
        "SELECT reserved FROM blobs WHERE id = $1 AND state = 'receiving' FOR UPDATE",
        id as _
    );
    named("blobs.hold_received", query.fetch_optional(connection)).await
}

/// A stored blob of this owner with the same bytes. Whoever holds the owner's usage row may rely on it.
pub(in crate::files) async fn same(
    connection: &mut PgConnection,
    owner: UserId,
    sha256: &[u8; 32],
) -> sqlx::Result<Option<BlobId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM blobs WHERE owner_id = $1 AND sha256 = $2 AND state = 'stored' LIMIT 1",
        owner as _,
        sha256,
    );
    named("blobs.same", query.fetch_optional(connection)).await
}

/// Whole; with a job that asks the scanner its verdict is waited for.
pub(in crate::files) async fn set_stored(
    connection: &mut PgConnection,
    received: &Received,
    scan_job: Option<JobId>,
    metadata: MetadataState,
    at: OffsetDateTime,
) -> Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs
         SET state = 'stored', content_type = $2, size = $3, sha256 = $4, scan_job_id = $5, reserved = 0,
             scan = CASE WHEN $5::uuid IS NULL THEN 'unscanned' ELSE 'pending' END,
             metadata = $7, multipart_upload_id = NULL, updated_at = $6
         WHERE id = $1",
        received.id as _,
        received.detected.media_type,
        i64::try_from(received.size).map_err(Error::internal)?,
        &received.sha256,
        scan_job as _,
        at,
        metadata as _,
    );
    Ok(named("blobs.set_stored", query.execute(connection))
        .await
        .map(drop)?)
}

/// The job that makes its variants.
pub(in crate::files) async fn set_job(
    connection: &mut PgConnection,
    id: BlobId,
    job: JobId,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET job_id = $2 WHERE id = $1",
        id as _,
        job as _
    );
    named("blobs.set_job", query.execute(connection))
        .await
        .map(drop)
}

/// A stored blob.
pub(in crate::files) async fn find(db: &PgPool, id: BlobId) -> Result<Option<Blob>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, owner_id, object_key, size, data_key, master_key, segments, scan, scanned_at, signature, metadata, etag
         FROM blobs WHERE id = $1 AND state = 'stored'",
        id as _,
    );
    named("blobs.find", query.fetch_optional(db))
        .await?
        .map(Blob::try_from)
        .transpose()
}

/// Nobody's any more; what of the owner's quota it had. `None` when it was so before, or a version has it.
pub(super) async fn set_removing(
    connection: &mut PgConnection,
    id: BlobId,
    at: OffsetDateTime,
) -> sqlx::Result<Option<(UserId, i64, i64)>> {
    let query = sqlx::query!(
        r#"UPDATE blobs SET state = 'removing', updated_at = $2
         FROM (SELECT id, state FROM blobs WHERE id = $1 FOR UPDATE) AS before
         WHERE blobs.id = before.id AND before.state <> 'removing'
           AND NOT EXISTS (SELECT FROM file_versions WHERE blob_id = $1)
         RETURNING blobs.owner_id, blobs.reserved,
             CASE before.state WHEN 'stored' THEN blobs.size ELSE 0 END AS "bytes!""#,
        id as _,
        at,
    );
    let row = named("blobs.set_removing", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| (row.owner_id, row.bytes, row.reserved)))
}

/// The same for all of an owner, of whom no version is left.
pub(super) async fn set_all_removing(
    connection: &mut PgConnection,
    owner: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "UPDATE blobs SET state = 'removing', updated_at = $2
         WHERE id IN (SELECT id FROM blobs WHERE owner_id = $1 AND state = 'stored'
                      UNION ALL
                      SELECT id FROM blobs WHERE owner_id = $1 AND state = 'receiving')
         RETURNING id",
        owner as _,
        at,
    );
    named("blobs.set_all_removing", query.fetch_all(connection)).await
}

/// Of whom a blob is that is not stored.
pub(super) async fn owner_of_unfinished(db: &PgPool, id: BlobId) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT owner_id FROM blobs WHERE id = $1 AND state <> 'stored'",
        id as _
    );
    named("blobs.owner_of_unfinished", query.fetch_optional(db)).await
}

/// Of whom a blob is, in whatever state.
pub(in crate::files) async fn owner(db: &PgPool, id: BlobId) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!("SELECT owner_id FROM blobs WHERE id = $1", id as _);
    named("blobs.owner", query.fetch_optional(db)).await
}

/// What is to be removed of a blob.
pub(super) async fn remains(db: &PgPool, id: BlobId) -> sqlx::Result<Option<Remains>> {
    let query = sqlx::query!(
        "SELECT object_key, multipart_upload_id FROM blobs WHERE id = $1 AND state = 'removing'",
        id as _
    );
    let row = named("blobs.remains", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Remains {
        id,
        object_key: row.object_key,
        multipart_upload_id: row.multipart_upload_id,
    }))
}

/// Blobs that are not stored and have stood still since `before`; those that wait for their verification, since `verified`.
pub(super) async fn count_abandoned(
    db: &PgPool,
    before: OffsetDateTime,
    verified: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM blobs
         WHERE state <> 'stored' AND updated_at < $1
           AND (updated_at < $2 OR state = 'removing'
                OR NOT EXISTS (SELECT FROM direct_uploads WHERE blob_id = blobs.id AND job_id IS NOT NULL))"#,
        before,
        verified,
    );
    named("blobs.count_abandoned", query.fetch_one(db)).await
}

/// The same, some of them, as no other clean-up sees them for a while.
pub(super) async fn claim_abandoned(
    connection: &mut PgConnection,
    before: OffsetDateTime,
    verified: OffsetDateTime,
    at: OffsetDateTime,
    (limit, skip): (i64, i64),
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "UPDATE blobs SET updated_at = $3
         WHERE id IN (SELECT id FROM blobs
                      WHERE state <> 'stored' AND updated_at < $1
                        AND (updated_at < $4 OR state = 'removing'
                             OR NOT EXISTS (SELECT FROM direct_uploads WHERE blob_id = blobs.id AND job_id IS NOT NULL))
                      ORDER BY updated_at, id LIMIT $2 OFFSET $5 FOR UPDATE SKIP LOCKED)
         RETURNING id",
        before,
        limit,
        at,
        verified,
        skip,
    );
    named("blobs.claim_abandoned", query.fetch_all(connection)).await
}

pub(super) async fn remove(db: &PgPool, id: BlobId) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "WITH removed AS (DELETE FROM blobs WHERE id = $1 AND state = 'removing' RETURNING id),
             direct AS (DELETE FROM direct_uploads USING removed
                        WHERE blob_id = removed.id AND made_file IS NULL AND refusal IS NULL)
         DELETE FROM uploads USING removed WHERE blob_id = removed.id AND made_file IS NULL",
        id as _
    );
    named("blobs.remove", query.execute(db)).await.map(drop)
}

/// Forgets uploads that have become files, or were refused, since before `before`: nobody asks any more what became of them.
pub(super) async fn forget_made(
    db: &PgPool,
    before: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM uploads WHERE blob_id IN
             (SELECT blob_id FROM uploads WHERE made_file IS NOT NULL AND updated_at < $1 LIMIT $2)",
        before,
        limit,
    );
    named("uploads.forget_made", query.execute(db)).await?;
    let query = sqlx::query!(
        "DELETE FROM direct_uploads WHERE blob_id IN
             (SELECT blob_id FROM direct_uploads
              WHERE (made_file IS NOT NULL OR refusal IS NOT NULL) AND updated_at < $1 LIMIT $2)",
        before,
        limit,
    );
    named("direct_uploads.forget_over", query.execute(db))
        .await
        .map(drop)
}
