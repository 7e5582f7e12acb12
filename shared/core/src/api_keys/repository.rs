//! The table of API keys.

use plinth_domain::id::{ApiKeyId, UserId};
use plinth_platform::database::{PgPool, named};
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
