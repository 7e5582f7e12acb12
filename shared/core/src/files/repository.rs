//! The tables of files, their versions and their tags.

use plinth_domain::file::{
    File, FileState, Metadata, MetadataState, Scan, ScanState, Tag, Version,
};
use plinth_domain::id::{BlobId, FileId, JobId, UserId};
use plinth_domain::preset::IMAGE_TYPES;
use plinth_platform::database::{PgPool, named};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::variants::{self, Derived};
use crate::{Error, Result};

/// What is known of a file when it is made.
pub(super) struct NewFile<'a> {
    pub(super) id: FileId,
    pub(super) owner: UserId,
    pub(super) name: &'a str,
    pub(super) content: Content<'a>,
}

/// The bytes that a version shows.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) blob: BlobId,
    pub(super) media_type: &'a str,
    /// Bytes.
    pub(super) size: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct FileRow {
    id: FileId,
    owner_id: UserId,
    name: String,
    tags: Vec<Tag>,
    content_type: String,
    size: i64,
    sha256: Option<Vec<u8>>,
    version: i32,
    blob_id: BlobId,
    scan: ScanState,
    scanned_at: Option<OffsetDateTime>,
    signature: Option<String>,
    metadata: MetadataState,
    strip_failure: Option<String>,
    job_id: Option<JobId>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    trashed_at: Option<OffsetDateTime>,
}

impl FileRow {
    fn into_file(self, derived: Derived) -> Result<File> {
        Ok(File {
            id: self.id,
            owner_id: self.owner_id,
            name: self.name,
            tags: self.tags,
            content_type: self.content_type,
            size: self.size,
            sha256: hash(self.sha256)?,
            state: if self.trashed_at.is_some() {
                FileState::Trashed
            } else {
                FileState::Ready
            },
            version: self.version,
            blob: self.blob_id,
            scan: Scan {
                state: self.scan,
                at: self.scanned_at,
                signature: self.signature,
            },
            metadata: Metadata {
                state: self.metadata,
                reason: self.strip_failure,
            },
            job: self.job_id,
            picture: derived.picture,
            variants: derived.variants,
            created_at: self.created_at,
            updated_at: self.updated_at,
            trashed_at: self.trashed_at,
        })
    }
}

fn hash(sha256: Option<Vec<u8>>) -> Result<[u8; 32]> {
    let hash = sha256.and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| Error::internal("a file's bytes have no hash"))
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    file: &NewFile<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO files (id, owner_id, name, content_type, size, blob_id, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7)",
        file.id as _,
        file.owner as _,
        file.name,
        file.content.media_type,
        file.content.size,
        file.content.blob as _,
        at,
    );
    named("files.insert", query.execute(&mut *connection)).await?;
    insert_version(connection, file.id, 1, file.content.blob, at).await
}

async fn insert_version(
    connection: &mut PgConnection,
    id: FileId,
    number: i32,
    blob: BlobId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO file_versions (file_id, number, blob_id, created_at) VALUES ($1, $2, $3, $4)",
        id as _,
        number,
        blob as _,
        at,
    );
    named("file_versions.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Adds a version, which is the current one from now on; its number. `None` when the owner has no such file.
pub(super) async fn add_version(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
    content: Content<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<Option<i32>> {
    let query = sqlx::query_scalar!(
        r#"UPDATE files
         SET version = (SELECT max(number) + 1 FROM file_versions WHERE file_id = $1), blob_id = $3, content_type = $4,
             size = $5, updated_at = $6
         WHERE id = $1 AND owner_id = $2 AND trashed_at IS NULL
         RETURNING version"#,
        id as _,
        owner as _,
        content.blob as _,
        content.media_type,
        content.size,
        at,
    );
    let Some(number) = named("files.add_version", query.fetch_optional(&mut *connection)).await?
    else {
        return Ok(None);
    };
    insert_version(connection, id, number, content.blob, at).await?;
    Ok(Some(number))
}

/// How many versions a file has.
pub(super) async fn count_versions(connection: &mut PgConnection, id: FileId) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM file_versions WHERE file_id = $1"#,
        id as _
    );
    named("file_versions.count", query.fetch_one(connection)).await
}

/// A file, trashed or not, and its owner's only where one is named.
pub(super) async fn find(db: &PgPool, id: FileId, owner: Option<UserId>) -> Result<Option<File>> {
    let query = sqlx::query_as!(
        FileRow,
        r#"SELECT files.id, files.owner_id, name, files.content_type, files.size, sha256, version, blob_id,
             scan, scanned_at, signature, metadata, strip_failure, blobs.job_id, files.created_at, files.updated_at, trashed_at,
             ARRAY(SELECT tag FROM file_tags WHERE file_id = files.id ORDER BY tag) AS "tags!: Vec<Tag>"
         FROM files JOIN blobs ON blobs.id = files.blob_id
         WHERE files.id = $1 AND ($2::uuid IS NULL OR files.owner_id = $2)"#,
        id as _,
        owner as _,
    );
    let Some(row) = named("files.find", query.fetch_optional(db)).await? else {
        return Ok(None);
    };
    with_variants(db, vec![row])
        .await
        .map(|mut files| files.pop())
}

/// Those of the files that are the owner's, trashed or not, in the order of their ids here.
pub(super) async fn find_all(db: &PgPool, ids: &[FileId], owner: UserId) -> Result<Vec<File>> {
    let query = sqlx::query_as!(
        FileRow,
        r#"SELECT files.id, files.owner_id, name, files.content_type, files.size, sha256, version, blob_id,
             scan, scanned_at, signature, metadata, strip_failure, blobs.job_id, files.created_at, files.updated_at, trashed_at,
             ARRAY(SELECT tag FROM file_tags WHERE file_id = files.id ORDER BY tag) AS "tags!: Vec<Tag>"
         FROM files JOIN blobs ON blobs.id = files.blob_id
         WHERE files.id = ANY($1) AND files.owner_id = $2 ORDER BY array_position($1, files.id)"#,
        ids as _,
        owner as _,
    );
    with_variants(db, named("files.find_all", query.fetch_all(db)).await?).await
}

/// The next files that are pictures, by their ids, whoever has them.
pub(super) async fn pictures(db: &PgPool, after: Option<FileId>, limit: i64) -> Result<Vec<File>> {
    let types = IMAGE_TYPES.map(str::to_owned);
    let query = sqlx::query_as!(
        FileRow,
        r#"SELECT files.id, files.owner_id, name, files.content_type, files.size, sha256, version, blob_id,
             scan, scanned_at, signature, metadata, strip_failure, blobs.job_id, files.created_at, files.updated_at, trashed_at,
             ARRAY(SELECT tag FROM file_tags WHERE file_id = files.id ORDER BY tag) AS "tags!: Vec<Tag>"
         FROM files JOIN blobs ON blobs.id = files.blob_id
         WHERE files.id > $1 AND files.content_type = ANY($2) ORDER BY files.id LIMIT $3"#,
        after.map_or(Uuid::nil(), |after| after.0),
        &types,
        limit,
    );
    with_variants(db, named("files.pictures", query.fetch_all(db)).await?).await
}

/// How many files are pictures, those up to `after` and all.
pub(super) async fn count_pictures(db: &PgPool, after: Option<FileId>) -> Result<(i64, i64)> {
    let types = IMAGE_TYPES.map(str::to_owned);
    let query = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE id <= $1) AS "before!", count(*) AS "all!" FROM files WHERE content_type = ANY($2)"#,
        after.map_or(Uuid::nil(), |after| after.0),
        &types,
    );
    let row = named("files.count_pictures", query.fetch_one(db)).await?;
    Ok((row.before, row.all))
}

/// The rows as files, with what is derived from their bytes.
pub(super) async fn with_variants(db: &PgPool, rows: Vec<FileRow>) -> Result<Vec<File>> {
    let ids: Vec<BlobId> = rows.iter().map(|row| row.blob_id).collect();
    let derived = variants::of_blobs(db, &ids).await?;
    rows.into_iter()
        .map(|row| {
            // Two files may have the same bytes.
            let own = derived.get(&row.blob_id).cloned().unwrap_or_default();
            row.into_file(own)
        })
        .collect()
}

/// Locks the owner's file and returns the number of its current version; `None` if the owner has no such file outside
/// the trash.
pub(super) async fn hold(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
) -> sqlx::Result<Option<i32>> {
    let query = sqlx::query_scalar!(
        "SELECT version FROM files WHERE id = $1 AND owner_id = $2 AND trashed_at IS NULL FOR UPDATE",
        id as _,
        owner as _,
    );
    named("files.hold", query.fetch_optional(connection)).await
}

/// Another name; false when the owner has no such file.
pub(super) async fn rename(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
    name: &str,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files SET name = $3, updated_at = $4 WHERE id = $1 AND owner_id = $2 AND trashed_at IS NULL",
        id as _,
        owner as _,
        name,
        at,
    );
    Ok(named("files.rename", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// These tags and no others; false when the owner has no such file.
pub(super) async fn set_tags(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
    tags: &[Tag],
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files SET updated_at = $3 WHERE id = $1 AND owner_id = $2 AND trashed_at IS NULL",
        id as _,
        owner as _,
        at,
    );
    if named("files.touch", query.execute(&mut *connection))
        .await?
        .rows_affected()
        == 0
    {
        return Ok(false);
    }
    let query = sqlx::query!(
        "DELETE FROM file_tags WHERE file_id = $1 AND tag <> ALL($2)",
        id as _,
        tags as _
    );
    named("file_tags.remove", query.execute(&mut *connection)).await?;
    let query = sqlx::query!(
        "INSERT INTO file_tags (owner_id, tag, file_id) SELECT $2, tag, $1 FROM unnest($3::text[]) AS tag
         ON CONFLICT DO NOTHING",
        id as _,
        owner as _,
        tags as _,
    );
    named("file_tags.insert", query.execute(connection)).await?;
    Ok(true)
}

/// Into the trash; false when the owner has no such file outside it.
pub(super) async fn trash(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files SET trashed_at = $3 WHERE id = $1 AND owner_id = $2 AND trashed_at IS NULL",
        id as _,
        owner as _,
        at,
    );
    Ok(named("files.trash", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Out of the trash; false when the owner has no such file in it.
pub(super) async fn restore(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE files SET trashed_at = NULL WHERE id = $1 AND owner_id = $2 AND trashed_at IS NOT NULL",
        id as _,
        owner as _,
    );
    Ok(named("files.restore", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// The blobs of all versions of a file.
pub(super) async fn blobs_of(
    connection: &mut PgConnection,
    id: FileId,
) -> sqlx::Result<Vec<BlobId>> {
    let query = sqlx::query_scalar!(
        "SELECT DISTINCT blob_id FROM file_versions WHERE file_id = $1",
        id as _
    );
    named("file_versions.blobs", query.fetch_all(connection)).await
}

/// The files that have a blob in one of their versions, with their names, or the one of them that is named.
pub(super) async fn files_with(
    connection: &mut PgConnection,
    blob: BlobId,
    file: Option<FileId>,
) -> sqlx::Result<Vec<(FileId, String)>> {
    let query = sqlx::query!(
        "SELECT DISTINCT files.id, name FROM file_versions JOIN files ON files.id = file_id
         WHERE file_versions.blob_id = $1 AND ($2::uuid IS NULL OR files.id = $2) ORDER BY files.id",
        blob as _,
        file as _,
    );
    let rows = named("file_versions.files_with", query.fetch_all(connection)).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Every version that has a blob has these bytes from now on.
pub(super) async fn replace_blob(
    connection: &mut PgConnection,
    before: BlobId,
    content: Content<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE files SET blob_id = $2, content_type = $3, size = $4, updated_at = $5
         WHERE id IN (SELECT file_id FROM file_versions WHERE blob_id = $1) AND blob_id = $1",
        before as _,
        content.blob as _,
        content.media_type,
        content.size,
        at,
    );
    named("files.replace_blob", query.execute(&mut *connection)).await?;
    let query = sqlx::query!(
        "UPDATE file_versions SET blob_id = $2 WHERE blob_id = $1",
        before as _,
        content.blob as _
    );
    named("file_versions.replace_blob", query.execute(connection))
        .await
        .map(drop)
}

/// Removes the row, with its versions and tags; false when the owner has no such file.
pub(super) async fn remove(
    connection: &mut PgConnection,
    id: FileId,
    owner: UserId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "DELETE FROM files WHERE id = $1 AND owner_id = $2",
        id as _,
        owner as _
    );
    Ok(named("files.remove", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Removes every file of an owner; how many there were.
pub(super) async fn remove_all_of(
    connection: &mut PgConnection,
    owner: UserId,
) -> sqlx::Result<u64> {
    let query = sqlx::query!("DELETE FROM files WHERE owner_id = $1", owner as _);
    Ok(named("files.remove_all_of", query.execute(connection))
        .await?
        .rows_affected())
}

/// What has been in the trash since `before`.
pub(super) async fn count_trashed(db: &PgPool, before: OffsetDateTime) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM files WHERE trashed_at < $1"#,
        before
    );
    named("files.count_trashed", query.fetch_one(db)).await
}

/// The same, some of them with their owners.
pub(super) async fn trashed(
    db: &PgPool,
    before: OffsetDateTime,
    limit: i64,
    skip: i64,
) -> sqlx::Result<Vec<(FileId, UserId)>> {
    let query = sqlx::query!(
        "SELECT id, owner_id FROM files WHERE trashed_at < $1 ORDER BY trashed_at, id LIMIT $2 OFFSET $3",
        before,
        limit,
        skip,
    );
    let rows = named("files.trashed", query.fetch_all(db)).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.owner_id)).collect())
}

/// Of whom a file is.
pub(super) async fn owner(db: &PgPool, id: FileId) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!("SELECT owner_id FROM files WHERE id = $1", id as _);
    named("files.owner", query.fetch_optional(db)).await
}

/// The versions of a file, the newest first, from before `before` on.
pub(super) async fn versions(
    db: impl PgExecutor<'_>,
    id: FileId,
    before: i32,
    limit: i64,
) -> Result<Vec<Version>> {
    let query = sqlx::query!(
        "SELECT number, blob_id, content_type, size, sha256, scan, scanned_at, signature, metadata, strip_failure,
             file_versions.created_at
         FROM file_versions JOIN blobs ON blobs.id = file_versions.blob_id
         WHERE file_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        id as _,
        before,
        limit,
    );
    let rows = named("file_versions.list", query.fetch_all(db)).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Version {
                number: row.number,
                content_type: row.content_type,
                size: row.size,
                sha256: hash(row.sha256)?,
                blob: row.blob_id,
                scan: Scan {
                    state: row.scan,
                    at: row.scanned_at,
                    signature: row.signature,
                },
                metadata: Metadata {
                    state: row.metadata,
                    reason: row.strip_failure,
                },
                created_at: row.created_at,
            })
        })
        .collect()
}

/// The version of a file that has this number.
pub(super) async fn version(
    db: impl PgExecutor<'_>,
    id: FileId,
    number: i32,
) -> Result<Option<Version>> {
    let Some(before) = number.checked_add(1) else {
        return Ok(None);
    };
    Ok(versions(db, id, before, 1)
        .await?
        .pop()
        .filter(|version| version.number == number))
}

/// Removes a version that is not the current one; its blob. `None` when there is no such one.
pub(super) async fn remove_version(
    connection: &mut PgConnection,
    id: FileId,
    number: i32,
) -> sqlx::Result<Option<BlobId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM file_versions
         WHERE file_id = $1 AND number = $2 AND number <> (SELECT version FROM files WHERE id = $1)
         RETURNING blob_id",
        id as _,
        number,
    );
    named("file_versions.remove", query.fetch_optional(connection)).await
}
