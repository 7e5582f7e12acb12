//! The rules of API keys: what one may carry, how long it lives, and who ends it.

use plinth_domain::api_key::{ApiKeyName, Expiry};
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{ApiKeyId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::permission::{Permission, Permissions};
use plinth_domain::rejection::Rejection;
use plinth_platform::crypto::ApiKeyToken;
use serde_json::json;
use time::OffsetDateTime;

use super::repository;
use crate::auth::SessionCaller;
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result, Stores, roles};

/// Live keys of one account.
const MOST_KEYS: i64 = 50;

/// A key that is asked for.
#[derive(Debug)]
pub struct NewApiKey {
    pub name: ApiKeyName,
    pub scopes: Permissions,
    pub expiry: Expiry,
}

/// A key as its owner sees it after it was made: without the token.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// The beginning of the token.
    pub hint: String,
    pub scopes: Permissions,
    /// A second factor was proved at the session that made it: only such a key satisfies a role that requires one.
    pub multi_factor: bool,
    pub created_at: OffsetDateTime,
    /// From then on it is refused.
    pub expires_at: Option<OffsetDateTime>,
    /// To the minute; `None` for one that was never used.
    pub last_used_at: Option<OffsetDateTime>,
}

/// The door to API keys.
#[derive(Clone)]
pub struct ApiKeys {
    stores: Stores,
}

impl ApiKeys {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// The user's keys, the newest first; those that have expired are among them, those that were revoked are not.
    pub async fn list(&self, owner: UserId, page: PageRequest) -> Result<Page<ApiKey>> {
        let keys = repository::list(&self.stores.db, owner, page).await?;
        Ok(Page::cut(keys, page, |key| key.id.0))
    }

    /// Makes a key of the caller's, which may do no more than he; the token is told this once.
    pub async fn create(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        wanted: NewApiKey,
    ) -> Result<(ApiKey, ApiKeyToken)> {
        check_scopes(&wanted.scopes)?;
        roles::require_within(&wanted.scopes, &caller.rights.permissions)?;
        let owner = caller.user_id();
        // Two at once are counted one after the other.
        let mut unit = caller.begin(&self.stores, origin).await?;
        let at = unit.at();
        let expires_at = wanted.expiry.resolve(at).map_err(|rejection| {
            let pointer = if matches!(wanted.expiry, Expiry::At(_)) {
                "/expires_at"
            } else {
                "/expires_in_days"
            };
            Error::invalid(pointer, rejection)
        })?;
        if repository::count_live(unit.connection(), owner, at).await? >= MOST_KEYS {
            let detail = format!("An account has at most {MOST_KEYS} keys; revoke one.");
            return Err(Error::Conflict {
                code: ErrorCode::TooManyApiKeys,
                detail,
            });
        }
        let token = ApiKeyToken::generate();
        let key = ApiKey {
            id: ApiKeyId::mint(at),
            name: wanted.name.as_str().to_owned(),
            hint: token.hint(),
            scopes: wanted.scopes,
            multi_factor: caller.is_multi_factor(),
            created_at: at,
            expires_at: Some(expires_at),
            last_used_at: None,
        };
        repository::insert(unit.connection(), owner, &key, &token.hash()).await?;
        let scopes: Vec<String> = key.scopes.clone().into();
        let details = json!({ "scopes": scopes, "multi_factor": key.multi_factor });
        unit.audit_with(
            Action::ApiKeyCreated,
            Target::ApiKey(key.id),
            Outcome::Success,
            details,
        )
        .await?;
        let notice = SecurityNotice::ApiKeyCreated {
            name: key.name.clone(),
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: owner,
            notice,
        })
        .await?;
        unit.commit().await?;
        Ok((key, token))
    }

    /// Ends a key of the user; the very next request with it is refused.
    pub async fn revoke(&self, origin: &Origin, owner: UserId, id: ApiKeyId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !repository::hold(unit.connection(), owner, id).await? {
            return Err(Error::NotFound);
        }
        unit.changes_api_keys(&[id]).await;
        repository::revoke(unit.connection(), id, at).await?;
        unit.audit(Action::ApiKeyRevoked, Target::ApiKey(id), Outcome::Success)
            .await?;
        unit.commit().await
    }
}

/// A key carries something, and nothing that needs a person.
fn check_scopes(scopes: &Permissions) -> Result<()> {
    if scopes.is_empty() {
        let rejection = Rejection::new(
            "too_short",
            "A key that may do nothing is of no use: name a scope.",
        );
        return Err(Error::invalid("/scopes", rejection));
    }
    let unsuited: Vec<&str> = scopes
        .iter()
        .filter(|scope| !scope.suits_api_keys())
        .map(Permission::as_str)
        .collect();
    if !unsuited.is_empty() {
        let detail = format!("Only a person may do this: {}.", unsuited.join(", "));
        return Err(Error::invalid(
            "/scopes",
            Rejection::new("unsuited_permission", detail),
        ));
    }
    Ok(())
}
