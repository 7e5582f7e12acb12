//! The table of share links.

use plinth_domain::id::{FileId, ShareLinkId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{LiveLink, MadeBy, OwnLink, ShareLink};
use crate::cleanup::expired_rows;
use crate::files::blobs::Standing;
use crate::page::PageRequest;

/// A link that is about to be.
pub(super) struct NewLink<'a> {
    pub(super) link: &'a ShareLink,
    pub(super) file: FileId,
    pub(super) owner: UserId,
    pub(super) made_by: MadeBy,
    pub(super) token_hash: [u8; 32],
    pub(super) password_hash: Option<&'a str>,
}

pub(super) async fn insert(connection: &mut PgConnection, new: NewLink<'_>) -> sqlx::Result<()> {
    let NewLink {
        link,
        file,
        owner,
        made_by,
        token_hash,
        password_hash,
    } = new;
    let query = sqlx::query!(
        "INSERT INTO share_links
             (id, file_id, token_hash, password_hash, max_downloads, expires_at, created_at, owner_id, session_id,
              api_key_id, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        link.id as _,
        file as _,
        &token_hash,
        password_hash,
        link.max_downloads,
        link.expires_at,
        link.created_at,
        owner as _,
        made_by.session as _,
        made_by.api_key as _,
        link.version,
    );
    named("share_links.insert", query.execute(connection))
        .await
        .map(drop)
}

/// How many of a file have not expired, and neither has the API key that made them.
pub(super) async fn count_live(
    connection: &mut PgConnection,
    file: FileId,
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM share_links LEFT JOIN api_keys ON api_keys.id = api_key_id
           WHERE file_id = $1 AND LEAST(share_links.expires_at, api_keys.expires_at, api_keys.revoked_at) > $2"#,
        file as _,
        now,
    );
    named("share_links.count_live", query.fetch_one(connection)).await
}

/// Those of a file, the newest first, without those that ended with their API key.
pub(super) async fn list(
    db: &PgPool,
    file: FileId,
    now: OffsetDateTime,
    page: PageRequest,
) -> sqlx::Result<Vec<ShareLink>> {
    let query = sqlx::query_as!(
        ShareLink,
        r#"SELECT share_links.id, password_hash IS NOT NULL AS "has_password!", max_downloads, downloads,
                  LEAST(share_links.expires_at, api_keys.expires_at) AS "expires_at!", share_links.created_at, version
           FROM share_links LEFT JOIN api_keys ON api_keys.id = api_key_id
           WHERE file_id = $1 AND share_links.id < $2 AND (api_keys.revoked_at IS NULL OR api_keys.revoked_at > $4)
           ORDER BY share_links.id DESC LIMIT $3"#,
        file as _,
        page.before(),
        page.fetch(),
        now,
    );
    named("share_links.list", query.fetch_all(db)).await
}

/// Those of an account, the newest first, without those that ended with their API key.
pub(super) async fn list_all(
    db: &PgPool,
    owner: UserId,
    now: OffsetDateTime,
    page: PageRequest,
) -> sqlx::Result<Vec<OwnLink>> {
    let query = sqlx::query!(
        r#"SELECT share_links.id, password_hash IS NOT NULL AS "has_password!", max_downloads, downloads,
                  LEAST(share_links.expires_at, api_keys.expires_at) AS "expires_at!", share_links.created_at,
                  share_links.version, file_id, files.name, trashed_at IS NOT NULL AS "is_trashed!"
           FROM share_links JOIN files ON files.id = file_id LEFT JOIN api_keys ON api_keys.id = api_key_id
           WHERE share_links.owner_id = $1 AND share_links.id < $2
             AND (api_keys.revoked_at IS NULL OR api_keys.revoked_at > $4)
           ORDER BY share_links.id DESC LIMIT $3"#,
        owner as _,
        page.before(),
        page.fetch(),
        now,
    );
    let rows = named("share_links.list_all", query.fetch_all(db)).await?;
    let link = rows.into_iter().map(|row| OwnLink {
        link: ShareLink {
            id: row.id,
            has_password: row.has_password,
            max_downloads: row.max_downloads,
            downloads: row.downloads,
            expires_at: row.expires_at,
            created_at: row.created_at,
            version: row.version,
        },
        file: row.file_id,
        file_name: row.name,
        file_is_trashed: row.is_trashed,
    });
    Ok(link.collect())
}

/// Removes every link of an account.
pub(super) async fn remove_all(
    connection: &mut PgConnection,
    owner: UserId,
) -> sqlx::Result<Vec<ShareLinkId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM share_links WHERE owner_id = $1 RETURNING id",
        owner as _
    );
    named("share_links.remove_all", query.fetch_all(connection)).await
}

/// Removes the links of an account whose session or API key ended at `at`, and those made from `since` on that no live
/// session or key of the account has made.
pub(super) async fn remove_made_by_ended(
    connection: &mut PgConnection,
    owner: UserId,
    since: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<Vec<ShareLinkId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM share_links
         WHERE owner_id = $1
           AND (EXISTS (SELECT FROM sessions WHERE id = session_id AND revoked_at >= $3)
             OR EXISTS (SELECT FROM api_keys WHERE id = api_key_id AND revoked_at >= $3)
             OR created_at >= $2
               AND NOT EXISTS (SELECT FROM sessions WHERE id = session_id AND revoked_at IS NULL
                                 AND LEAST(idle_expires_at, expires_at) > $3)
               AND NOT EXISTS (SELECT FROM api_keys WHERE id = api_key_id AND revoked_at IS NULL
                                 AND (expires_at IS NULL OR expires_at > $3)))
         RETURNING id",
        owner as _,
        since,
        at,
    );
    named(
        "share_links.remove_made_by_ended",
        query.fetch_all(connection),
    )
    .await
}

/// False when the file has no such link.
pub(super) async fn remove(
    connection: &mut PgConnection,
    file: FileId,
    id: ShareLinkId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "DELETE FROM share_links WHERE id = $1 AND file_id = $2",
        id as _,
        file as _
    );
    Ok(named("share_links.remove", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// The link with this token, while it, its file and the API key that made it are there and its owner may act.
pub(super) async fn find_live(
    db: &PgPool,
    token_hash: &[u8; 32],
    now: OffsetDateTime,
) -> sqlx::Result<Option<LiveLink>> {
    let query = sqlx::query!(
        r#"SELECT share_links.id, share_links.file_id, files.owner_id, share_links.version, blobs.id AS blob_id, scan,
             metadata, share_links.password_hash,
             LEAST(share_links.expires_at, api_keys.expires_at) AS "expires_at!",
             coalesce(downloads >= max_downloads, false) AS "is_used_up!"
           FROM share_links JOIN files ON files.id = share_links.file_id
             LEFT JOIN file_versions pinned ON pinned.file_id = files.id AND pinned.number = share_links.version
             JOIN blobs ON blobs.id = coalesce(pinned.blob_id, files.blob_id)
             JOIN users ON users.id = files.owner_id
             LEFT JOIN api_keys ON api_keys.id = api_key_id
           WHERE share_links.token_hash = $1 AND share_links.expires_at > $2 AND trashed_at IS NULL
             AND users.status = 'active'
             AND (api_key_id IS NULL OR api_keys.id IS NOT NULL AND api_keys.revoked_at IS NULL
                    AND (api_keys.expires_at IS NULL OR api_keys.expires_at > $2))"#,
        token_hash,
        now,
    );
    let row = named("share_links.find_live", query.fetch_optional(db)).await?;
    Ok(row.map(|row| LiveLink {
        id: row.id,
        file: row.file_id,
        owner: row.owner_id,
        version: row.version,
        blob: row.blob_id,
        standing: Standing {
            scan: row.scan,
            metadata: row.metadata,
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
        id as _,
        now,
    );
    Ok(
        named("share_links.count_download", query.execute(connection))
            .await?
            .rows_affected()
            == 1,
    )
}

expired_rows! {
    /// Links that expired before this time, for the clean-up.
    expired: "share_links", key "id", over at "expires_at"
}
