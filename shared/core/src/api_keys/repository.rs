//! The table of API keys.

use plinth_domain::id::{ApiKeyId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::LiveKey;

/// Which key a token is, and whose: neither ever changes, and whether it lives is another question.
pub(super) async fn find_by_hash(
    db: &PgPool,
    token_hash: &[u8; 32],
) -> sqlx::Result<Option<(ApiKeyId, UserId)>> {
    let query = sqlx::query!("SELECT id, user_id FROM api_keys WHERE token_hash = $1", token_hash);
    let row = named("api_keys.find_by_hash", query.fetch_optional(db)).await?;
    Ok(row.map(|row| (ApiKeyId(row.id), UserId(row.user_id))))
}

pub(super) async fn use_live(
    db: &PgPool,
    id: ApiKeyId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<LiveKey>> {
    let query = sqlx::query!(
        "UPDATE api_keys SET last_used_at = $2
         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
         RETURNING user_id, scopes, expires_at",
        id.0,
        now,
    );
    let row = named("api_keys.use_live", query.fetch_optional(db)).await?;
    Ok(row.map(|row| LiveKey {
        user: UserId(row.user_id),
        scopes: row.scopes.into(),
        expires_at: row.expires_at,
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
        user.0,
        now,
    );
    Ok(named("api_keys.live_of", query.fetch_all(connection)).await?.into_iter().map(ApiKeyId).collect())
}

pub(super) async fn revoke_all(
    connection: &mut PgConnection,
    ids: &[ApiKeyId],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let query = sqlx::query!("UPDATE api_keys SET revoked_at = $2 WHERE id = ANY($1)", &ids, at);
    named("api_keys.revoke_all", query.execute(connection)).await.map(drop)
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM api_keys WHERE user_id = $1", user.0);
    named("api_keys.remove_all_of", query.execute(connection)).await.map(drop)
}
