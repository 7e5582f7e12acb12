//! What the stages before a file is available, the scan and the stripping of metadata, say in the table of blobs.

use plinth_domain::file::{Metadata, MetadataState, Scan, ScanState};
use plinth_domain::id::{BlobId, JobId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Standing;
use crate::Result;

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
        id as _,
        scan.state as _,
        scan.at,
        scan.signature,
    );
    let row = named("blobs.set_scanned", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| Scanned {
        content_type: row.content_type,
        metadata: row.metadata,
        are_variants_due: row.are_due,
    }))
}

/// From here on its verdict is waited for.
pub(in crate::files) async fn set_pending(
    connection: &mut PgConnection,
    id: BlobId,
    job: JobId,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET scan = 'pending', scan_job_id = $2 WHERE id = $1 AND scan = 'unscanned'",
        id as _,
        job as _,
    );
    named("blobs.set_pending", query.execute(connection))
        .await
        .map(drop)
}

/// The jobs that ask for these, which are as available as before.
pub(in crate::files) async fn set_asked(
    connection: &mut PgConnection,
    ids: &[BlobId],
    jobs: &[JobId],
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET scan_job_id = asked.job
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (id, job) WHERE blobs.id = asked.id",
        ids as _,
        jobs as _,
    );
    named("blobs.set_asked", query.execute(connection))
        .await
        .map(drop)
}

pub(in crate::files) async fn scan_of(connection: &mut PgConnection, id: BlobId) -> Result<Scan> {
    let query = sqlx::query!(
        "SELECT scan, scanned_at, signature FROM blobs WHERE id = $1",
        id as _
    );
    let row = named("blobs.scan_of", query.fetch_one(connection)).await?;
    Ok(Scan {
        state: row.scan,
        at: row.scanned_at,
        signature: row.signature,
    })
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
    named("blobs.waiting", query.fetch_all(db)).await
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
        state as _,
        after.map_or(Uuid::nil(), |after| after.0),
        limit,
    );
    named("blobs.not_asked_for", query.fetch_all(db)).await
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
        id as _,
    );
    let row = named("blobs.set_unstripped", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| row.scan))
}

/// Why the metadata of a blob cannot be taken out, where it cannot.
pub(in crate::files) async fn strip_failure(
    connection: &mut PgConnection,
    id: BlobId,
) -> sqlx::Result<Option<String>> {
    let query = sqlx::query_scalar!("SELECT strip_failure FROM blobs WHERE id = $1", id as _);
    named("blobs.strip_failure", query.fetch_one(connection)).await
}

/// The jobs that take the metadata out of these.
pub(in crate::files) async fn set_strip_jobs(
    connection: &mut PgConnection,
    ids: &[BlobId],
    jobs: &[JobId],
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE blobs SET strip_job_id = asked.job
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (id, job) WHERE blobs.id = asked.id",
        ids as _,
        jobs as _,
    );
    named("blobs.set_strip_jobs", query.execute(connection))
        .await
        .map(drop)
}

/// Stored pictures in this state which no job is about to strip. Those that wait for it and that the scanner keeps back are
/// none of them: its verdict asks.
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
           AND (metadata <> 'pending' OR scan IN ('unscanned', 'clean') OR $3 AND scan = 'too_large')
           AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = strip_job_id AND finished_at IS NULL)
         ORDER BY id LIMIT $4",
        state as _,
        after.map_or(Uuid::nil(), |after| after.0),
        too_large_pass,
        limit,
    );
    named("blobs.not_about_to_be_stripped", query.fetch_all(db)).await
}

/// How far a stored blob has come; nobody changes that until the transaction ends.
pub(in crate::files) async fn hold_stored(
    connection: &mut PgConnection,
    id: BlobId,
) -> Result<Option<Standing>> {
    let query = sqlx::query!(
        "SELECT scan, metadata FROM blobs WHERE id = $1 AND state = 'stored' FOR UPDATE",
        id as _
    );
    let row = named("blobs.hold_stored", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| Standing {
        scan: row.scan,
        metadata: row.metadata,
    }))
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
        id as _,
        metadata.state as _,
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
    let query = sqlx::query!(
        "UPDATE blobs SET taken_at = coalesce(taken_at, $2) WHERE id = $1",
        id as _,
        taken_at
    );
    named("blobs.note_taken_at", query.execute(connection))
        .await
        .map(drop)
}
