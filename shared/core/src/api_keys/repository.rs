//! The table of API keys.

use plinth_domain::id::{ApiKeyId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use super::{ApiKey, LiveKey};
use crate::access::Standing;
use crate::cleanup::expired_rows;
use crate::page::PageRequest;

pub(super) async fn insert(
    connection: &mut PgConnection,
    owner: UserId,
    key: &ApiKey,
    token_hash: &[u8; 32],
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO api_keys (id, user_id, name, token_hash, hint, scopes, expires_at, created_at, multi_factor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.id as _,
        owner as _,
        key.name,
        token_hash,
        key.hint,
        key.scopes as _,
        key.expires_at,
        key.created_at,
        key.multi_factor,
    );
    named("api_keys.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Those that were not revoked, the newest first.
pub(super) async fn list(
    db: impl PgExecutor<'_>,
    owner: UserId,
    page: PageRequest,
) -> sqlx::Result<Vec<ApiKey>> {
    let query = sqlx::query_as!(
        ApiKey,
        "SELECT id, name, hint, scopes, multi_factor, created_at, expires_at, last_used_at FROM api_keys
         WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL
         ORDER BY id DESC
         LIMIT $3",
        owner as _,
        page.before(),
        page.fetch(),
    );
    named("api_keys.list", query.fetch_all(db)).await
}

pub(super) async fn count_live(
    connection: &mut PgConnection,
    owner: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_keys
           WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"#,
        owner as _,
        now,
    );
    named("api_keys.count_live", query.fetch_one(connection)).await
}

/// Whether the user has this key and has not revoked it; locks it.
pub(super) async fn hold(
    connection: &mut PgConnection,
    owner: UserId,
    id: ApiKeyId,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM api_keys WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL FOR UPDATE",
        owner as _,
        id as _,
    );
    Ok(named("api_keys.hold", query.fetch_optional(connection))
        .await?
        .is_some())
}

pub(super) async fn revoke(
    connection: &mut PgConnection,
    id: ApiKeyId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE api_keys SET revoked_at = $2 WHERE id = $1",
        id as _,
        at
    );
    named("api_keys.revoke", query.execute(connection))
        .await
        .map(drop)
}

/// Which key a token is, and whose: neither ever changes, and whether it lives is another question.
pub(super) async fn find_by_hash(
    db: &PgPool,
    token_hash: &[u8; 32],
) -> sqlx::Result<Option<(ApiKeyId, UserId)>> {
    let query = sqlx::query!(
        "SELECT id, user_id FROM api_keys WHERE token_hash = $1",
        token_hash
    );
    let row = named("api_keys.find_by_hash", query.fetch_optional(db)).await?;
    Ok(row.map(|row| (row.id, row.user_id)))
}

pub(super) async fn use_live(
    db: &PgPool,
    id: ApiKeyId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<LiveKey>> {
    let query = sqlx::query!(
        "UPDATE api_keys SET last_used_at = $2
         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
         RETURNING user_id, scopes, multi_factor, expires_at",
        id as _,
        now,
    );
    let row = named("api_keys.use_live", query.fetch_optional(db)).await?;
    Ok(row.map(|row| LiveKey {
        user: row.user_id,
        scopes: row.scopes,
        multi_factor: row.multi_factor,
        expires_at: row.expires_at,
    }))
}

/// Whether the key is in force, and the status of its account. `None` if there is no such key.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    id: ApiKeyId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Standing>> {
    let query = sqlx::query!(
        r#"SELECT revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) AS "is_live!", users.status
           FROM api_keys JOIN users ON users.id = api_keys.user_id WHERE api_keys.id = $1"#,
        id as _,
        now,
    );
    let row = named("api_keys.standing", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Standing {
        is_live: row.is_live,
        status: row.status,
    }))
}

/// Those of a user that are in force, locked.
pub(super) async fn live_of(
    connection: &mut PgConnection,
    user: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<ApiKeyId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM api_keys
         WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
         ORDER BY id FOR UPDATE",
        user as _,
        now,
    );
    named("api_keys.live_of", query.fetch_all(connection)).await
}

pub(super) async fn revoke_all(
    connection: &mut PgConnection,
    ids: &[ApiKeyId],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE api_keys SET revoked_at = $2 WHERE id = ANY($1)",
        ids as _,
        at
    );
    named("api_keys.revoke_all", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM api_keys WHERE user_id = $1", user as _);
    named("api_keys.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

expired_rows! {
    /// Keys that expired before this time, for the clean-up.
    expired: "api_keys", key "id", over at "expires_at"
}
