//! The table of direct uploads.

use plinth_domain::closed_set::Recorded;
use plinth_domain::direct_upload::DirectRefusal;
use plinth_domain::id::{BlobId, FileId, JobId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{DirectState, DirectUpload};
use crate::{Error, Result};

/// An upload with what only we know of it.
pub(super) struct Found {
    pub(super) upload: DirectUpload,
    pub(super) owner: UserId,
    /// `None` where it is not received any more.
    pub(super) object: Option<Object>,
    /// Bytes that were read back, and the state of the hash over them.
    pub(super) read: (u64, Option<Vec<u8>>),
}

/// What is to become the bytes of the blob.
pub(super) struct Object {
    pub(super) key: String,
    /// Its parts, while it is not made of them.
    pub(super) parts: Option<String>,
    /// Of the object that is being read back.
    pub(super) etag: Option<String>,
}

struct Row {
    blob_id: BlobId,
    owner_id: UserId,
    name: String,
    file_id: Option<FileId>,
    size: i64,
    sha256: Vec<u8>,
    part_size: i64,
    job_id: Option<JobId>,
    position: i64,
    hash_state: Option<Vec<u8>>,
    made_file: Option<FileId>,
    refusal: Option<Recorded<DirectRefusal>>,
    updated_at: OffsetDateTime,
    object_key: Option<String>,
    multipart_upload_id: Option<String>,
    etag: Option<String>,
}

impl TryFrom<Row> for Found {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let state = match (row.made_file, row.refusal, row.job_id) {
            (Some(file), _, _) => DirectState::Done(file),
            (None, Some(reason), _) => DirectState::Refused(reason),
            (None, None, Some(_)) => DirectState::Verifying,
            (None, None, None) => DirectState::Waiting,
        };
        let unsigned = |number| u64::try_from(number).map_err(Error::internal);
        let (parts, etag) = (row.multipart_upload_id, row.etag);
        Ok(Self {
            upload: DirectUpload {
                id: row.blob_id,
                name: row.name,
                file: row.file_id,
                size: unsigned(row.size)?,
                sha256: row
                    .sha256
                    .try_into()
                    .map_err(|_| Error::internal("a digest has 32 bytes"))?,
                part_size: unsigned(row.part_size)?,
                state,
                job: row.job_id,
                updated_at: row.updated_at,
            },
            owner: row.owner_id,
            object: row.object_key.map(|key| Object { key, parts, etag }),
            read: (unsigned(row.position)?, row.hash_state),
        })
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    upload: &DirectUpload,
    owner: UserId,
) -> Result<()> {
    let query = sqlx::query!(
        "INSERT INTO direct_uploads (blob_id, owner_id, name, file_id, size, sha256, part_size, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        upload.id as _,
        owner as _,
        upload.name,
        upload.file as _,
        i64::try_from(upload.size).map_err(Error::internal)?,
        &upload.sha256,
        i64::try_from(upload.part_size).map_err(Error::internal)?,
        upload.updated_at,
    );
    Ok(named("direct_uploads.insert", query.execute(connection))
        .await
        .map(drop)?)
}

/// An upload, and its owner's only where one is named; one that is over as long as it is remembered.
pub(super) async fn find(db: &PgPool, id: BlobId, owner: Option<UserId>) -> Result<Option<Found>> {
    let query = sqlx::query_as!(
        Row,
        r#"SELECT blob_id, direct.owner_id, name, file_id, direct.size, direct.sha256, part_size, direct.job_id, position,
             hash_state, made_file, refusal, direct.updated_at, object_key AS "object_key?", multipart_upload_id, etag
         FROM direct_uploads AS direct LEFT JOIN blobs ON blobs.id = blob_id AND state = 'receiving'
         WHERE blob_id = $1 AND ($2::uuid IS NULL OR direct.owner_id = $2)
           AND (made_file IS NOT NULL OR refusal IS NOT NULL OR object_key IS NOT NULL)"#,
        id as _,
        owner as _,
    );
    named("direct_uploads.find", query.fetch_optional(db))
        .await?
        .map(Found::try_from)
        .transpose()
}

/// This job verifies it; false where another one does, or it is not received any more.
pub(super) async fn set_verifying(
    connection: &mut PgConnection,
    id: BlobId,
    job: JobId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE direct_uploads SET job_id = $2, updated_at = $3 WHERE blob_id = $1 AND job_id IS NULL",
        id as _,
        job as _,
        at,
    );
    if named(
        "direct_uploads.set_verifying",
        query.execute(&mut *connection),
    )
    .await?
    .rows_affected()
        == 0
    {
        return Ok(false);
    }
    touch(connection, id).await
}

/// It is not abandoned; false where it is not received any more.
async fn touch(connection: &mut PgConnection, id: BlobId) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE blobs SET updated_at = now() WHERE id = $1 AND state = 'receiving'",
        id as _
    );
    Ok(named("blobs.touch_direct", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// The object is whole and has this tag: nothing but it is read from now on, from its beginning. False where it is not
/// received any more.
pub(super) async fn note_object(
    connection: &mut PgConnection,
    id: BlobId,
    etag: &str,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE blobs SET etag = $2, multipart_upload_id = NULL, updated_at = now()
         WHERE id = $1 AND state = 'receiving'",
        id as _,
        etag,
    );
    if named("blobs.note_object", query.execute(&mut *connection))
        .await?
        .rows_affected()
        == 0
    {
        return Ok(false);
    }
    let query = sqlx::query!(
        "UPDATE direct_uploads SET position = 0, hash_state = NULL WHERE blob_id = $1",
        id as _
    );
    named("direct_uploads.begin_reading", query.execute(connection)).await?;
    Ok(true)
}

/// So much was read back; false where it is not received any more.
pub(super) async fn record(
    connection: &mut PgConnection,
    id: BlobId,
    position: i64,
    hash_state: &[u8],
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE direct_uploads SET position = $2, hash_state = $3, updated_at = now() WHERE blob_id = $1",
        id as _,
        position,
        hash_state,
    );
    named("direct_uploads.record", query.execute(&mut *connection)).await?;
    touch(connection, id).await
}

/// It has become this file.
pub(super) async fn set_made(
    connection: &mut PgConnection,
    id: BlobId,
    file: FileId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE direct_uploads SET made_file = $2, hash_state = NULL, updated_at = $3 WHERE blob_id = $1",
        id as _,
        file as _,
        at,
    );
    named("direct_uploads.set_made", query.execute(connection))
        .await
        .map(drop)
}

/// It becomes nothing, for this reason; false where that is settled already.
pub(super) async fn set_refused(
    connection: &mut PgConnection,
    id: BlobId,
    reason: DirectRefusal,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE direct_uploads SET refusal = $2, hash_state = NULL, updated_at = $3
         WHERE blob_id = $1 AND made_file IS NULL AND refusal IS NULL",
        id as _,
        reason as _,
        at,
    );
    Ok(
        named("direct_uploads.set_refused", query.execute(connection))
            .await?
            .rows_affected()
            == 1,
    )
}
