//! The table of sessions.

use plinth_domain::audit::Origin;
use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use sqlx::types::ipnet::IpNet;
use time::OffsetDateTime;

pub(super) struct NewSession {
    pub(super) id: SessionId,
    pub(super) user: UserId,
    pub(super) refresh_hash: [u8; 32],
    pub(super) idle_expires_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
}

/// A session as a refresh finds it.
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) user: UserId,
    /// The presented token is the one before the last rotation.
    pub(super) is_previous: bool,
    pub(super) rotated_at: Option<OffsetDateTime>,
    pub(super) authenticated_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
    pub(super) live: bool,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    session: &NewSession,
    origin: &Origin,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO sessions
             (id, user_id, refresh_hash, ip, user_agent, authenticated_at, last_seen_at, idle_expires_at, expires_at,
              created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $6)",
        session.id.0,
        session.user.0,
        &session.refresh_hash,
        origin.ip.map(IpNet::from) as _,
        origin.user_agent,
        at,
        session.idle_expires_at,
        session.expires_at,
    );
    named("sessions.insert", query.execute(connection)).await.map(drop)
}

/// The session that a refresh token belongs to, locked: two refreshes of one session follow each other.
pub(super) async fn hold(
    connection: &mut PgConnection,
    refresh_hash: &[u8; 32],
    now: OffsetDateTime,
) -> sqlx::Result<Option<Held>> {
    let query = sqlx::query!(
        r#"SELECT id, user_id, previous_refresh_hash IS NOT DISTINCT FROM $1 AS "is_previous!", rotated_at,
                  authenticated_at, expires_at,
                  revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $2 AS "live!"
           FROM sessions WHERE refresh_hash = $1 OR previous_refresh_hash = $1
           FOR UPDATE"#,
        refresh_hash,
        now,
    );
    let row = named("sessions.hold", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| Held {
        id: SessionId(row.id),
        user: UserId(row.user_id),
        is_previous: row.is_previous,
        rotated_at: row.rotated_at,
        authenticated_at: row.authenticated_at,
        expires_at: row.expires_at,
        live: row.live,
    }))
}

pub(super) async fn rotate(
    connection: &mut PgConnection,
    id: SessionId,
    next_hash: &[u8; 32],
    idle_expires_at: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions
         SET previous_refresh_hash = refresh_hash, refresh_hash = $2, rotated_at = $3, last_seen_at = $3,
             idle_expires_at = $4
         WHERE id = $1",
        id.0,
        next_hash,
        at,
        idle_expires_at,
    );
    named("sessions.rotate", query.execute(connection)).await.map(drop)
}

/// False when it had ended already.
pub(super) async fn revoke(
    connection: &mut PgConnection,
    id: SessionId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query =
        sqlx::query!("UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id.0, at);
    Ok(named("sessions.revoke", query.execute(connection)).await?.rows_affected() == 1)
}

/// Whose session it is and until when, if it is live and the token was not taken back.
pub(crate) async fn live(
    db: &PgPool,
    id: SessionId,
    token: TokenId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(UserId, OffsetDateTime)>> {
    let query = sqlx::query!(
        r#"SELECT user_id, LEAST(idle_expires_at, expires_at) AS "expires_at!"
           FROM sessions
           WHERE id = $1 AND revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $3
             AND NOT EXISTS (SELECT FROM revoked_tokens WHERE id = $2)"#,
        id.0,
        token.0,
        now,
    );
    let row = named("sessions.live", query.fetch_optional(db)).await?;
    Ok(row.map(|row| (UserId(row.user_id), row.expires_at)))
}
