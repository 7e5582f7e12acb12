//! The tables of resumable uploads.

use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_object_store::Part;
use plinth_platform::crypto::WrappedKey;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::Resumable;
use crate::{Error, Result};

struct Row {
    blob_id: BlobId,
    name: String,
    metadata: Option<String>,
    file_id: Option<FileId>,
    length: Option<i64>,
    position: i64,
    made_file: Option<FileId>,
    updated_at: OffsetDateTime,
}

impl TryFrom<Row> for Resumable {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.blob_id,
            name: row.name,
            metadata: row.metadata,
            file: row.file_id,
            length: row
                .length
                .map(u64::try_from)
                .transpose()
                .map_err(Error::internal)?,
            position: u64::try_from(row.position).map_err(Error::internal)?,
            made: row.made_file,
            updated_at: row.updated_at,
        })
    }
}

/// What a writer goes on with.
pub(super) struct Claimed {
    pub(super) upload: Resumable,
    pub(super) writer: i32,
    pub(super) tail_writer: i32,
    pub(super) hash_state: Option<Vec<u8>>,
    /// Set where only the object is still to be made of its parts.
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) object_key: String,
    pub(super) multipart_upload_id: Option<String>,
    pub(super) key: WrappedKey,
    pub(super) segments: Vec<u32>,
    /// Bytes that are set aside for it.
    pub(super) reserved: u64,
}

/// How far an upload is, as it is written down.
pub(super) struct Progress<'a> {
    pub(super) position: u64,
    pub(super) tail_writer: i32,
    pub(super) hash_state: &'a [u8],
    /// Parts that S3 has taken since.
    pub(super) parts: &'a [Part],
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    id: BlobId,
    owner: UserId,
    (name, metadata): (&str, Option<&str>),
    file: Option<FileId>,
    length: Option<u64>,
) -> Result<()> {
    let length = length
        .map(i64::try_from)
        .transpose()
        .map_err(Error::internal)?;
    let query = sqlx::query!(
        "INSERT INTO uploads (blob_id, owner_id, name, metadata, file_id, length) VALUES ($1, $2, $3, $4, $5, $6)",
        id as _,
        owner as _,
        name,
        metadata,
        file as _,
        length,
    );
    named("uploads.insert", query.execute(&mut *connection)).await?;
    // Each writer adds where he began.
    let query = sqlx::query!("UPDATE blobs SET segments = '{}' WHERE id = $1", id as _);
    Ok(named("blobs.clear_segments", query.execute(connection))
        .await
        .map(drop)?)
}

pub(super) async fn find(db: &PgPool, id: BlobId, owner: UserId) -> Result<Option<Resumable>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT blob_id, name, metadata, file_id, length, position, made_file, updated_at
         FROM uploads
         WHERE blob_id = $1 AND owner_id = $2
           AND (made_file IS NOT NULL OR EXISTS (SELECT FROM blobs WHERE id = $1 AND state = 'receiving'))",
        id as _,
        owner as _,
    );
    named("uploads.find", query.fetch_optional(db))
        .await?
        .map(Resumable::try_from)
        .transpose()
}

/// An upload that has not become a file, with its owner.
pub(super) async fn find_unmade(db: &PgPool, id: BlobId) -> Result<Option<(UserId, Resumable)>> {
    let query = sqlx::query_scalar!(
        "SELECT owner_id FROM uploads WHERE blob_id = $1 AND made_file IS NULL",
        id as _
    );
    let Some(owner) = named("uploads.owner_of_unmade", query.fetch_optional(db)).await? else {
        return Ok(None);
    };
    Ok(find(db, id, owner)
        .await?
        .filter(|upload| upload.made.is_none())
        .map(|upload| (owner, upload)))
}

/// From now on it has this length; false where it has one already.
pub(super) async fn set_length(
    connection: &mut PgConnection,
    id: BlobId,
    length: u64,
) -> Result<bool> {
    let length = i64::try_from(length).map_err(Error::internal)?;
    let query = sqlx::query!(
        "UPDATE uploads SET length = $2 WHERE blob_id = $1 AND length IS NULL",
        id as _,
        length
    );
    Ok(named("uploads.set_length", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Takes the next writer's number, if the upload is this far. `None` where it is not, or there is none.
pub(super) async fn claim(
    connection: &mut PgConnection,
    id: BlobId,
    owner: UserId,
    position: i64,
    part_chunks: i64,
) -> Result<Option<Claimed>> {
    let query = sqlx::query!(
        "UPDATE uploads SET writer = writer + 1
         FROM blobs
         WHERE blob_id = $1 AND blobs.id = blob_id AND uploads.owner_id = $2 AND state = 'receiving' AND position = $3
         RETURNING blob_id, name, uploads.metadata, file_id, length, position, writer, tail_writer, hash_state, uploads.sha256,
             object_key, multipart_upload_id, data_key, master_key, reserved, uploads.updated_at",
        id as _,
        owner as _,
        position,
    );
    let Some(row) = named("uploads.claim", query.fetch_optional(&mut *connection)).await? else {
        return Ok(None);
    };
    let query = sqlx::query_scalar!(
        r#"UPDATE blobs
         SET updated_at = now(), segments = array_append(segments,
             ((SELECT count(*) FROM upload_parts WHERE blob_id = $1) * $2::bigint)::integer)
         WHERE id = $1
         RETURNING segments"#,
        id as _,
        part_chunks,
    );
    let segments = named("blobs.add_segment", query.fetch_one(connection)).await?;
    let segments = segments
        .into_iter()
        .map(u32::try_from)
        .collect::<Result<_, _>>();
    let (bytes, master_key) = row
        .data_key
        .zip(row.master_key)
        .ok_or_else(|| Error::internal("an upload has no key"))?;
    let upload = Row {
        blob_id: row.blob_id,
        name: row.name,
        metadata: row.metadata,
        file_id: row.file_id,
        length: row.length,
        position: row.position,
        made_file: None,
        updated_at: row.updated_at,
    };
    Ok(Some(Claimed {
        upload: upload.try_into()?,
        writer: row.writer,
        tail_writer: row.tail_writer,
        hash_state: row.hash_state,
        sha256: row.sha256.and_then(|hash| hash.try_into().ok()),
        object_key: row.object_key,
        multipart_upload_id: row.multipart_upload_id,
        key: WrappedKey { master_key, bytes },
        segments: segments.map_err(Error::internal)?,
        reserved: u64::try_from(row.reserved).map_err(Error::internal)?,
    }))
}

/// Whether nobody else has gone on with it.
pub(super) async fn is_of(db: &PgPool, id: BlobId, writer: i32) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE uploads SET updated_at = now() WHERE blob_id = $1 AND writer = $2",
        id as _,
        writer
    );
    Ok(named("uploads.is_of", query.execute(db))
        .await?
        .rows_affected()
        == 1)
}

/// Begins anew: nothing that was kept can be used. Numbers of writers go on rising, so that no nonce comes again.
pub(super) async fn reset(
    connection: &mut PgConnection,
    id: BlobId,
    writer: i32,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE uploads SET position = 0, tail_writer = 0, hash_state = NULL, sha256 = NULL, writer = writer + 1
         WHERE blob_id = $1 AND writer = $2",
        id as _,
        writer,
    );
    if named("uploads.reset", query.execute(&mut *connection))
        .await?
        .rows_affected()
        == 0
    {
        return Ok(());
    }
    let query = sqlx::query!("DELETE FROM upload_parts WHERE blob_id = $1", id as _);
    named("upload_parts.remove", query.execute(&mut *connection)).await?;
    let query = sqlx::query!(
        "UPDATE blobs SET multipart_upload_id = NULL, segments = array_fill(0, ARRAY[$2::integer + 1]) WHERE id = $1",
        id as _,
        writer,
    );
    named("blobs.reset_parts", query.execute(connection))
        .await
        .map(drop)
}

/// Writes down how far it is; false where somebody else writes by now.
pub(super) async fn record(
    connection: &mut PgConnection,
    id: BlobId,
    writer: i32,
    progress: &Progress<'_>,
) -> Result<bool> {
    let query = sqlx::query!(
        "UPDATE uploads SET position = $3, tail_writer = $4, hash_state = $5, updated_at = now()
         WHERE blob_id = $1 AND writer = $2",
        id as _,
        writer,
        i64::try_from(progress.position).map_err(Error::internal)?,
        progress.tail_writer,
        progress.hash_state,
    );
    if named("uploads.record", query.execute(&mut *connection))
        .await?
        .rows_affected()
        == 0
    {
        return Ok(false);
    }
    let numbers: Vec<i32> = progress.parts.iter().map(Part::number).collect();
    let etags: Vec<String> = progress
        .parts
        .iter()
        .map(|part| part.etag().to_owned())
        .collect();
    let query = sqlx::query!(
        "INSERT INTO upload_parts (blob_id, number, etag) SELECT $1, number, etag
         FROM unnest($2::integer[], $3::text[]) AS part (number, etag)",
        id as _,
        &numbers,
        &etags,
    );
    named("upload_parts.insert", query.execute(&mut *connection)).await?;
    let query = sqlx::query!("UPDATE blobs SET updated_at = now() WHERE id = $1", id as _);
    named("blobs.touch", query.execute(connection)).await?;
    Ok(true)
}

/// All bytes are in parts; the object is to be made of them. False where somebody else writes by now.
pub(super) async fn set_whole(
    connection: &mut PgConnection,
    id: BlobId,
    writer: i32,
    sha256: &[u8; 32],
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE uploads SET sha256 = $3, tail_writer = 0 WHERE blob_id = $1 AND writer = $2",
        id as _,
        writer,
        sha256,
    );
    Ok(named("uploads.set_whole", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// The parts that S3 has, in order.
pub(super) async fn parts(db: &PgPool, id: BlobId) -> sqlx::Result<Vec<Part>> {
    let query = sqlx::query!(
        "SELECT number, etag FROM upload_parts WHERE blob_id = $1 ORDER BY number",
        id as _
    );
    let rows = named("upload_parts.list", query.fetch_all(db)).await?;
    Ok(rows
        .into_iter()
        .map(|row| Part::new(row.number, row.etag))
        .collect())
}

/// It has become this file. False where somebody else writes by now.
pub(super) async fn set_made(
    connection: &mut PgConnection,
    id: BlobId,
    writer: i32,
    file: FileId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE uploads SET made_file = $3, position = length, updated_at = now() WHERE blob_id = $1 AND writer = $2",
        id as _,
        writer,
        file as _,
    );
    Ok(named("uploads.set_made", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Forgets an upload that has become a file.
pub(super) async fn forget_made(
    connection: &mut PgConnection,
    id: BlobId,
    owner: UserId,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM uploads WHERE blob_id = $1 AND owner_id = $2 AND made_file IS NOT NULL",
        id as _,
        owner as _,
    );
    named("uploads.forget", query.execute(connection))
        .await
        .map(drop)
}
