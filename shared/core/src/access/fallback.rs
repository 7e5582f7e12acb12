//! The truth from PostgreSQL, when Redis has no copy of it that can be trusted.

use plinth_domain::id::{ApiKeyId, SessionId, TokenId, UserId};
use plinth_domain::permission::Permissions;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::rights::RoleTable;
use crate::{Result, Stores, api_keys, auth, roles};

/// What the gate needs of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SessionCopy {
    pub(super) user: UserId,
    #[serde(with = "time::serde::timestamp")]
    pub(super) expires_at: OffsetDateTime,
    /// When its owner last proved who he is: what was signed before that was replaced.
    #[serde(with = "time::serde::timestamp")]
    pub(super) authenticated_at: OffsetDateTime,
}

/// The session if it is live and the token was not taken back.
pub(super) async fn session(
    stores: &Stores,
    id: SessionId,
    token: TokenId,
    now: OffsetDateTime,
) -> Result<Option<SessionCopy>> {
    let live = auth::live(&stores.db, id, token, now).await?;
    Ok(live.map(|live| SessionCopy {
        user: live.user,
        expires_at: live.expires_at,
        authenticated_at: live.authenticated_at,
    }))
}

/// What the gate needs of an API key. A copy that an earlier release wrote lacks `multi_factor` and is not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ApiKeyCopy {
    pub(super) user: UserId,
    pub(super) scopes: Permissions,
    pub(super) multi_factor: bool,
    #[serde(with = "time::serde::timestamp::option")]
    pub(super) expires_at: Option<OffsetDateTime>,
}

impl ApiKeyCopy {
    pub(super) fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

/// The key if it is live; notes that it was used.
pub(super) async fn api_key(stores: &Stores, id: ApiKeyId) -> Result<Option<ApiKeyCopy>> {
    let live = api_keys::use_live(stores, id).await?;
    Ok(live.map(|key| ApiKeyCopy {
        user: key.user,
        scopes: key.scopes,
        multi_factor: key.multi_factor,
        expires_at: key.expires_at,
    }))
}

pub(super) async fn role_table(stores: &Stores) -> Result<RoleTable> {
    Ok(RoleTable::of(roles::all(stores).await?))
}
