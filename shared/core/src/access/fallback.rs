//! Sessions from PostgreSQL, when Redis has no copy that can be trusted.

use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_platform::database::PgPool;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::auth;

/// What the gate needs of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SessionCopy {
    pub(super) user: UserId,
    #[serde(with = "time::serde::timestamp")]
    pub(super) expires_at: OffsetDateTime,
}

/// The session if it is live and the token was not taken back.
pub(super) async fn session(
    db: &PgPool,
    id: SessionId,
    token: TokenId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<SessionCopy>> {
    let live = auth::live(db, id, token, now).await?;
    Ok(live.map(|(user, expires_at)| SessionCopy { user, expires_at }))
}
