//! The table of share links.

use plinth_domain::file::{MetadataState, ScanState};
use plinth_domain::id::{BlobId, FileId, ShareLinkId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{LiveLink, ShareLink};
use crate::cleanup::{BATCH, Slice};
use crate::files::blobs::Standing;
use crate::page::PageRequest;

pub(super) async fn insert(
    connection: &mut PgConnection,
    file: FileId,
    link: &ShareLink,
    token_hash: &[u8; 32],
    password_hash: Option<&str>,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO share_links (id, file_id, token_hash, password_hash, max_downloads, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        link.id.0,
        file.0,
        token_hash,
        password_hash,
        link.max_downloads,
        link.expires_at,
        link.created_at,
    );
    named("share_links.insert", query.execute(connection)).await.map(drop)
}

/// How many of a file have not expired.
pub(super) async fn count_live(
    connection: &mut PgConnection,
    file: FileId,
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM share_links WHERE file_id = $1 AND expires_at > $2"#,
        file.0,
        now,
    );
    named("share_links.count_live", query.fetch_one(connection)).await
}

/// Those of a file, the newest first.
pub(super) async fn list(db: &PgPool, file: FileId, page: PageRequest) -> sqlx::Result<Vec<ShareLink>> {
    let query = sqlx::query!(
        r#"SELECT id, password_hash IS NOT NULL AS "has_password!", max_downloads, downloads, expires_at, created_at
           FROM share_links WHERE file_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"#,
        file.0,
        page.before(),
        page.fetch(),
    );
    let rows = named("share_links.list", query.fetch_all(db)).await?;
    let link = rows.into_iter().map(|row| ShareLink {
        id: ShareLinkId(row.id),
        has_password: row.has_password,
        max_downloads: row.max_downloads,
        downloads: row.downloads,
        expires_at: row.expires_at,
        created_at: row.created_at,
    });
    Ok(link.collect())
}

/// False when the file has no such link.
pub(super) async fn remove(
    connection: &mut PgConnection,
    file: FileId,
    id: ShareLinkId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!("DELETE FROM share_links WHERE id = $1 AND file_id = $2", id.0, file.0);
    Ok(named("share_links.remove", query.execute(connection)).await?.rows_affected() == 1)
}

struct LiveRow {
    id: Uuid,
    file_id: Uuid,
    owner_id: Uuid,
    blob_id: Uuid,
    scan: String,
    metadata: String,
    password_hash: Option<String>,
    expires_at: OffsetDateTime,
    is_used_up: bool,
}

/// The link with this token, while it and its file are there and its owner may act.
pub(super) async fn find_live(
    db: &PgPool,
    token_hash: &[u8; 32],
    now: OffsetDateTime,
) -> sqlx::Result<Option<LiveLink>> {
    let query = sqlx::query_as!(
        LiveRow,
        r#"SELECT share_links.id, file_id, files.owner_id, blob_id, scan, metadata, share_links.password_hash, expires_at,
             coalesce(downloads >= max_downloads, false) AS "is_used_up!"
           FROM share_links JOIN files ON files.id = file_id JOIN blobs ON blobs.id = blob_id
             JOIN users ON users.id = files.owner_id
           WHERE token_hash = $1 AND expires_at > $2 AND trashed_at IS NULL AND users.status = 'active'"#,
        token_hash,
        now,
    );
    let row = named("share_links.find_live", query.fetch_optional(db)).await?;
    // Of a state that another release has written nothing is given.
    Ok(row.map(|row| LiveLink {
        id: ShareLinkId(row.id),
        file: FileId(row.file_id),
        owner: UserId(row.owner_id),
        blob: BlobId(row.blob_id),
        standing: Standing {
            scan: ScanState::parse(&row.scan).unwrap_or(ScanState::Pending),
            metadata: MetadataState::parse(&row.metadata).unwrap_or(MetadataState::Pending),
        },
        password_hash: row.password_hash,
        expires_at: row.expires_at,
        is_used_up: row.is_used_up,
    }))
}

/// Counts a download. False where the link has ended or is used up: who comes at the same time waits for the row, so
/// that no two take the last one.
pub(super) async fn count_download(
    connection: &mut PgConnection,
    id: ShareLinkId,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE share_links SET downloads = downloads + 1
         WHERE id = $1 AND expires_at > $2 AND (max_downloads IS NULL OR downloads < max_downloads)",
        id.0,
        now,
    );
    Ok(named("share_links.count_download", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn count_expired(db: &PgPool, before: OffsetDateTime) -> sqlx::Result<i64> {
    let query =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM share_links WHERE expires_at < $1"#, before);
    named("share_links.count_expired", query.fetch_one(db)).await
}

pub(super) async fn remove_expired(db: &PgPool, before: OffsetDateTime, slice: Slice) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "DELETE FROM share_links WHERE id IN
             (SELECT id FROM share_links WHERE expires_at < $1 ORDER BY expires_at, id LIMIT $2 OFFSET $3 FOR UPDATE SKIP LOCKED)",
        before,
        slice.limit(BATCH),
        slice.skip(),
    );
    Ok(named("share_links.remove_expired", query.execute(db)).await?.rows_affected())
}
