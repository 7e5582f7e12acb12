//! The authorization path of every request: limits, blacklist, session and account in one round trip to Redis.
//!
//! Signature and expiry are checked before ([`crate::auth::AccessTokens`]); permissions after, on
//! the [`Caller`] that comes out of here. When Redis is away PostgreSQL answers instead, and the
//! limits are kept in this process: slower, never open.

mod fallback;
mod gate;
mod limits;
mod question;

use std::sync::Arc;

use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_domain::user::User;
use plinth_platform::redis::Redis;
use time::{Duration, OffsetDateTime};

pub use gate::{Admission, Gate};

/// Who is asking, as the truth had it when he asked.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Arc<User>,
    pub session: SessionId,
    pub token: TokenId,
    pub token_expires_at: OffsetDateTime,
}

pub(crate) fn user_key(redis: &Redis, id: UserId) -> String {
    redis.key(&format!("user:{id}"))
}

pub(crate) fn session_key(redis: &Redis, id: SessionId) -> String {
    redis.key(&format!("session:{id}"))
}

pub(crate) fn revoked_key(redis: &Redis, id: TokenId) -> String {
    redis.key(&format!("revoked:{id}"))
}

/// Notes in Redis that a token was taken back, for as long as it would be valid. Its session's copy is in doubt
/// already, so that a Redis which misses this lets nobody in.
pub(crate) async fn blacklist(redis: &Redis, token: TokenId, valid_for: Duration) {
    if valid_for.is_positive() {
        let mut pipeline = redis::pipe();
        let millis = valid_for.unsigned_abs().as_millis();
        pipeline
            .cmd("SET")
            .arg(revoked_key(redis, token))
            .arg(1)
            .arg("PX")
            .arg(u64::try_from(millis).unwrap_or(u64::MAX));
        if let Err(error) = redis.pipe::<()>("access.blacklist", pipeline.ignore()).await {
            tracing::warn!(%error, "a token that was taken back is not on the blacklist");
        }
    }
}
