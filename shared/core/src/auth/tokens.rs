//! The tables of one-time tokens and of access tokens that were taken back.

use plinth_domain::id::{TokenId, UserId};
use plinth_platform::database::named;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// What a one-time token is good for, and for nothing else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    VerifyEmail,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
        }
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    user: UserId,
    purpose: Purpose,
    expires_at: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO one_time_tokens (token_hash, user_id, purpose, expires_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        hash,
        user.0,
        purpose.as_str(),
        expires_at,
        at,
    );
    named("one_time_tokens.insert", query.execute(connection)).await.map(drop)
}

/// Uses a token up, and with it every other of the same purpose; whose it was, if it was valid.
pub(super) async fn redeem(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    purpose: Purpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM one_time_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING user_id",
        hash,
        purpose.as_str(),
        now,
    );
    let Some(user) = named("one_time_tokens.redeem", query.fetch_optional(&mut *connection)).await? else {
        return Ok(None);
    };
    let rest = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2",
        user,
        purpose.as_str()
    );
    named("one_time_tokens.void", rest.execute(connection)).await?;
    Ok(Some(UserId(user)))
}

pub(super) async fn take_back(
    connection: &mut PgConnection,
    id: TokenId,
    expires_at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        id.0,
        expires_at
    );
    named("revoked_tokens.insert", query.execute(connection)).await.map(drop)
}
