//! The authorization path of every request: limits, blacklist, credential, account and roles in one round trip to Redis.
//!
//! Signature and expiry are checked before ([`crate::access_tokens::AccessTokens`]); permissions after, on
//! the [`Caller`] that comes out of here. When Redis is away PostgreSQL answers instead, and the
//! limits are kept in this process: slower, never open.

mod caller;
mod fallback;
mod gate;
mod limits;
mod question;
mod rights;
mod standing;

use plinth_domain::id::{ApiKeyId, SessionId, TokenId, UserId};
use plinth_platform::redis::Redis;
use time::Duration;

use crate::Stores;

pub use caller::{Caller, Credential, Login, Presented};
pub use gate::{Admission, Gate};
pub use limits::Purpose;
pub(crate) use limits::{network_of, site_of};
pub use rights::Rights;
pub(crate) use standing::{Standing, require_standing};

pub(crate) fn user_key(redis: &Redis, id: UserId) -> String {
    redis.key(&format!("user:{id}"))
}

pub(crate) fn session_key(redis: &Redis, id: SessionId) -> String {
    redis.key(&format!("session:{id}"))
}

pub(crate) fn api_key_key(redis: &Redis, id: ApiKeyId) -> String {
    redis.key(&format!("api-key:{id}"))
}

/// Which version of the table of roles is in force.
pub(crate) fn roles_key(redis: &Redis) -> String {
    redis.key("roles")
}

pub(crate) fn revoked_key(redis: &Redis, id: TokenId) -> String {
    redis.key(&format!("revoked:{id}"))
}

/// Notes in Redis that a token was taken back, for as long as it would be valid. Its session's copy is in doubt
/// already, so that a Redis which misses this lets nobody in.
pub(crate) async fn blacklist(stores: &Stores, token: TokenId, valid_for: Duration) {
    let redis = &stores.redis;
    if valid_for.is_positive() {
        let mut pipeline = redis::pipe();
        let millis = valid_for.unsigned_abs().as_millis();
        pipeline
            .cmd("SET")
            .arg(revoked_key(redis, token))
            .arg(1)
            .arg("PX")
            .arg(u64::try_from(millis).unwrap_or(u64::MAX));
        if let Err(error) = redis
            .pipe::<()>("access.blacklist", pipeline.ignore())
            .await
        {
            stores.trust.lose();
            tracing::warn!(%error, "a token that was taken back is not on the blacklist");
        }
    }
}
