//! The table of blobs.

use plinth_domain::file::{Metadata, MetadataState, Scan, ScanState};
use plinth_domain::id::{BlobId, JobId, UserId};
use plinth_platform::crypto::WrappedKey;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Blob, Received, Standing};
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
    id: Uuid,
    owner_id: Uuid,
    object_key: String,
    size: i64,
    data_key: Option<Vec<u8>>,
    master_key: Option<String>,
    segments: Vec<i32>,
    scan: String,
    scanned_at: Option<OffsetDateTime>,
    signature: Option<String>,
    metadata: String,
    etag: Option<String>,
}

impl TryFrom<Row> for Blob {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let segments = row.segments.into_iter().map(u32::try_from).collect::<Result<_, _>>();
        Ok(Self {
            id: BlobId(row.id),
            owner: UserId(row.owner_id),
            object_key: row.object_key,
            size: u64::try_from(row.size).map_err(Error::internal)?,
            key: row.master_key.zip(row.data_key).map(|(master_key, bytes)| WrappedKey { master_key, bytes }),
            segments: segments.map_err(Error::internal)?,
            scan: scan(&row.scan, row.scanned_at, row.signature)?,
            metadata: metadata_state(&row.metadata)?,
            etag: row.etag,
        })
    }
}

/// What is known of viruses in a blob, as its row has it.
pub(in crate::files) fn scan(
    state: &str,
    at: Option<OffsetDateTime>,
    signature: Option<String>,
) -> Result<Scan> {
    let state = ScanState::parse(state).ok_or_else(|| Error::internal("a scan's state is none"))?;
    Ok(Scan { state, at, signature })
}

/// What is known of metadata in a blob, as its row has it.
pub(in crate::files) fn metadata(state: &str, reason: Option<String>) -> Result<Metadata> {
    Ok(Metadata { state: metadata_state(state)?, reason })
}

fn metadata_state(state: &str) -> Result<MetadataState> {
    MetadataState::parse(state).ok_or_else(|| Error::internal("a state of metadata is none"))
}

/// False when the owner's account is deleted; one that is being deleted is waited for.
pub(super) async fn begin(
    connection: &mut PgConnection,
    blob: &NewBlob<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO blobs (id, owner_id, state, object_key, data_key, master_key, created_at, updated_at)
         SELECT $1, id, 'receiving', $3, $4, $5, $6, $6 FROM users WHERE id = $2 AND status <> 'deleted' FOR KEY SHARE",
        blob.id.0,
        blob.owner.0,
        blob.object_key,
        blob.key.map(|key| key.bytes.as_slice()),
        blob.key.map(|key| key.master_key.as_str()),
        at,
    );
    if named("blobs.begin", query.execute(&mut *connection)).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let query =
        sqlx::query!("INSERT INTO storage_usage (owner_id) VALUES ($1) ON CONFLICT DO NOTHING", blob.owner.0);
    named("storage_usage.begin", query.execute(connection)).await?;
    Ok(true)
}

pub(in crate::files) async fn note_parts(db: &PgPool, id: BlobId, upload: &str) -> sqlx::Result<()> {
    let query = sqlx::query!("UPDATE blobs SET multipart_upload_id = $2 WHERE id = $1", id.0, upload);
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
        id.0
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
        owner.0,
        sha256,
    );
    Ok(named("blobs.same", query.fetch_optional(connection)).await?.map(BlobId))
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
        received.id.0,
        received.content_type,
        i64::try_from(received.size).map_err(Error::internal)?,
        &received.sha256,
        scan_job.map(|job| job.0),
        at,
        metadata.as_str(),
    );
    Ok(named("blobs.set_stored", query.execute(connection)).await.map(drop)?)
}

/// The job that makes its variants.
pub(in crate::files) async fn set_job(
    connection: &mut PgConnection,
    id: BlobId,
    job: JobId,
) -> sqlx::Result<()> {
    let query = sqlx::query!("UPDATE blobs SET job_id = $2 WHERE id = $1", id.0, job.0);
    named("blobs.set_job", query.execute(connection)).await.map(drop)
}

/// What is known of a blob whose verdict was just written down.
pub(in crate::files) struct Scanned {
    pub(in crate::files) content_type: String,
    pub(in crate::files) metadata: MetadataState,
    /// Its variants were not asked for, or are still to be made.
    pub(in crate::files) are_variants_due: bool,
}

/// `None` where it is not stored any more, or has its verdict, or is unscanned and shall be so.
pub(in crate::files) async fn set_scanned(
    connection: &mut PgConnection,
    id: BlobId,
    scan: &Scan,
) -> Result<Option<Scanned>> {
    let query = sqlx::query!(
        r#"UPDATE blobs SET scan = $2, scanned_at = $3, signature = $4
         WHERE id = $1 AND state = 'stored' AND scan IN ('unscanned', 'pending') AND scan <> $2
         RETURNING content_type, metadata, job_id IS NULL OR EXISTS
             (SELECT FROM file_variants WHERE blob_id = blobs.id AND file_variants.state = 'pending') AS "are_due!""#,
        id.0,
        scan.state.as_str(),
        scan.at,
        scan.signature,
    );
    let row = named("blobs.set_scanned", query.fetch_optional(connection)).await?;
    row.map(|row| {
        let (content_type, metadata) = (row.content_type, metadata_state(&row.metadata)?);
        Ok(Scanned { content_type, metadata, are_variants_due: row.are_due })
    })
    .transpose()
}

/// From here on its verdict is waited for.
pub(in crate::files) async fn set_pending(
    connection: &mut PgConnection,
    id: BlobId,
    job: JobId,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET scan = 'pending', scan_job_id = $2 WHERE id = $1 AND scan = 'unscanned'",
        id.0,
        job.0,
    );
    named("blobs.set_pending", query.execute(connection)).await.map(drop)
}

/// The jobs that ask for these, which are as available as before.
pub(in crate::files) async fn set_asked(
    connection: &mut PgConnection,
    ids: &[BlobId],
    jobs: &[JobId],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let jobs: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
    let query = sqlx::query!(
        "UPDATE blobs SET scan_job_id = asked.job
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (id, job) WHERE blobs.id = asked.id",
        &ids,
        &jobs,
    );
    named("blobs.set_asked", query.execute(connection)).await.map(drop)
}

pub(in crate::files) async fn scan_of(connection: &mut PgConnection, id: BlobId) -> Result<Scan> {
    let query = sqlx::query!("SELECT scan, scanned_at, signature FROM blobs WHERE id = $1", id.0);
    let row = named("blobs.scan_of", query.fetch_one(connection)).await?;
    scan(&row.scan, row.scanned_at, row.signature)
}

/// Stored blobs whose verdict is waited for.
pub(in crate::files) async fn waiting(
    db: &PgPool,
    after: Option<BlobId>,
    limit: i64,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM blobs WHERE state = 'stored' AND scan = 'pending' AND id > $1 ORDER BY id LIMIT $2",
        after.map_or(Uuid::nil(), |after| after.0),
        limit,
    );
    Ok(named("blobs.waiting", query.fetch_all(db)).await?.into_iter().map(BlobId).collect())
}

/// Stored blobs in this state for which no job is about to ask the scanner.
pub(in crate::files) async fn not_asked_for(
    db: &PgPool,
    state: ScanState,
    after: Option<BlobId>,
    limit: i64,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM blobs
         WHERE state = 'stored' AND scan = $1 AND scan IN ('unscanned', 'pending') AND id > $2
           AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = scan_job_id AND finished_at IS NULL)
         ORDER BY id LIMIT $3",
        state.as_str(),
        after.map_or(Uuid::nil(), |after| after.0),
        limit,
    );
    Ok(named("blobs.not_asked_for", query.fetch_all(db)).await?.into_iter().map(BlobId).collect())
}

/// A picture with the metadata that it came with is to lose it, where it is none of which that was asked before; what the
/// scanner says of it.
pub(in crate::files) async fn set_unstripped(
    connection: &mut PgConnection,
    id: BlobId,
) -> Result<Option<ScanState>> {
    let query = sqlx::query!(
        "UPDATE blobs SET metadata = 'pending'
         WHERE id = $1 AND metadata = 'kept' AND content_type LIKE 'image/%' RETURNING scan",
        id.0,
    );
    let row = named("blobs.set_unstripped", query.fetch_optional(connection)).await?;
    row.map(|row| scan(&row.scan, None, None).map(|scan| scan.state)).transpose()
}

/// Why the metadata of a blob cannot be taken out, where it cannot.
pub(in crate::files) async fn strip_failure(
    connection: &mut PgConnection,
    id: BlobId,
) -> sqlx::Result<Option<String>> {
    let query = sqlx::query_scalar!("SELECT strip_failure FROM blobs WHERE id = $1", id.0);
    named("blobs.strip_failure", query.fetch_one(connection)).await
}

/// The jobs that take the metadata out of these.
pub(in crate::files) async fn set_strip_jobs(
    connection: &mut PgConnection,
    ids: &[BlobId],
    jobs: &[JobId],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let jobs: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
    let query = sqlx::query!(
        "UPDATE blobs SET strip_job_id = asked.job
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (id, job) WHERE blobs.id = asked.id",
        &ids,
        &jobs,
    );
    named("blobs.set_strip_jobs", query.execute(connection)).await.map(drop)
}

/// Stored pictures in this state which no job is about to strip and no scan keeps back, unless they are too large for one
/// and that is allowed.
pub(in crate::files) async fn not_about_to_be_stripped(
    db: &PgPool,
    state: MetadataState,
    too_large_pass: bool,
    after: Option<BlobId>,
    limit: i64,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM blobs
         WHERE state = 'stored' AND metadata = $1 AND content_type LIKE 'image/%' AND id > $2
           AND (scan IN ('unscanned', 'clean') OR $3 AND scan = 'too_large')
           AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = strip_job_id AND finished_at IS NULL)
         ORDER BY id LIMIT $4",
        state.as_str(),
        after.map_or(Uuid::nil(), |after| after.0),
        too_large_pass,
        limit,
    );
    Ok(named("blobs.not_about_to_be_stripped", query.fetch_all(db)).await?.into_iter().map(BlobId).collect())
}

/// How far a stored blob has come; nobody changes that until the transaction ends.
pub(in crate::files) async fn hold_stored(
    connection: &mut PgConnection,
    id: BlobId,
) -> Result<Option<Standing>> {
    let query =
        sqlx::query!("SELECT scan, metadata FROM blobs WHERE id = $1 AND state = 'stored' FOR UPDATE", id.0);
    let row = named("blobs.hold_stored", query.fetch_optional(connection)).await?;
    row.map(|row| {
        let scan = scan(&row.scan, None, None)?.state;
        Ok(Standing { scan, metadata: metadata_state(&row.metadata)? })
    })
    .transpose()
}

/// What came of taking the metadata out of a blob that is held, whose bytes stay; whether its variants were not asked for,
/// or are still to be made, and of what type it is.
pub(in crate::files) async fn set_stripped(
    connection: &mut PgConnection,
    id: BlobId,
    metadata: &Metadata,
) -> sqlx::Result<(bool, String)> {
    let query = sqlx::query!(
        r#"UPDATE blobs SET metadata = $2, strip_failure = $3 WHERE id = $1
         RETURNING content_type, job_id IS NULL OR EXISTS
             (SELECT FROM file_variants WHERE blob_id = blobs.id AND file_variants.state = 'pending') AS "are_due!""#,
        id.0,
        metadata.state.as_str(),
        metadata.reason,
    );
    let row = named("blobs.set_stripped", query.fetch_one(connection)).await?;
    Ok((row.are_due, row.content_type))
}

/// When the picture was taken, where that is not known yet.
pub(in crate::files) async fn note_taken_at(
    connection: &mut PgConnection,
    id: BlobId,
    taken_at: &str,
) -> sqlx::Result<()> {
    let query =
        sqlx::query!("UPDATE blobs SET taken_at = coalesce(taken_at, $2) WHERE id = $1", id.0, taken_at);
    named("blobs.note_taken_at", query.execute(connection)).await.map(drop)
}

/// A stored blob.
pub(in crate::files) async fn find(db: &PgPool, id: BlobId) -> Result<Option<Blob>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, owner_id, object_key, size, data_key, master_key, segments, scan, scanned_at, signature, metadata, etag
         FROM blobs WHERE id = $1 AND state = 'stored'",
        id.0,
    );
    named("blobs.find", query.fetch_optional(db)).await?.map(Blob::try_from).transpose()
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
        id.0,
        at,
    );
    let row = named("blobs.set_removing", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| (UserId(row.owner_id), row.bytes, row.reserved)))
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
        owner.0,
        at,
    );
    Ok(named("blobs.set_all_removing", query.fetch_all(connection)).await?.into_iter().map(BlobId).collect())
}

/// Of whom a blob is that is not stored.
pub(super) async fn owner_of_unfinished(db: &PgPool, id: BlobId) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!("SELECT owner_id FROM blobs WHERE id = $1 AND state <> 'stored'", id.0);
    Ok(named("blobs.owner_of_unfinished", query.fetch_optional(db)).await?.map(UserId))
}

/// What is to be removed of a blob.
pub(super) async fn remains(db: &PgPool, id: BlobId) -> sqlx::Result<Option<Remains>> {
    let query = sqlx::query!(
        "SELECT object_key, multipart_upload_id FROM blobs WHERE id = $1 AND state = 'removing'",
        id.0
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
    db: &PgPool,
    before: OffsetDateTime,
    verified: OffsetDateTime,
    at: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "UPDATE blobs SET updated_at = $3
         WHERE id IN (SELECT id FROM blobs
                      WHERE state <> 'stored' AND updated_at < $1
                        AND (updated_at < $4 OR state = 'removing'
                             OR NOT EXISTS (SELECT FROM direct_uploads WHERE blob_id = blobs.id AND job_id IS NOT NULL))
                      ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id",
        before,
        limit,
        at,
        verified,
    );
    Ok(named("blobs.claim_abandoned", query.fetch_all(db)).await?.into_iter().map(BlobId).collect())
}

pub(super) async fn remove(db: &PgPool, id: BlobId) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "WITH removed AS (DELETE FROM blobs WHERE id = $1 AND state = 'removing' RETURNING id),
             direct AS (DELETE FROM direct_uploads USING removed
                        WHERE blob_id = removed.id AND made_file IS NULL AND refusal IS NULL)
         DELETE FROM uploads USING removed WHERE blob_id = removed.id AND made_file IS NULL",
        id.0
    );
    named("blobs.remove", query.execute(db)).await.map(drop)
}

/// Forgets uploads that have become files, or were refused, since before `before`: nobody asks any more what became of them.
pub(super) async fn forget_made(db: &PgPool, before: OffsetDateTime, limit: i64) -> sqlx::Result<()> {
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
    named("direct_uploads.forget_over", query.execute(db)).await.map(drop)
}
