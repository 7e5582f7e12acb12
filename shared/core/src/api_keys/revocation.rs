//! The end of all of a user's keys: part of changes after which whoever has one may not be its owner.

use plinth_domain::audit::{Action, Outcome, Target};
use plinth_domain::id::{ApiKeyId, UserId};
use serde_json::json;

use super::repository;
use crate::Result;
use crate::unit::Unit;

/// Revokes the user's keys; the very next request with one of them is refused.
pub(crate) async fn revoke_all_of(unit: &mut Unit, user: UserId) -> Result<Vec<ApiKeyId>> {
    let at = unit.at();
    let ids = repository::live_of(unit.connection(), user, at).await?;
    if ids.is_empty() {
        return Ok(ids);
    }
    unit.changes_api_keys(&ids).await;
    repository::revoke_all(unit.connection(), &ids, at).await?;
    let details = json!({ "api_keys": ids.len() });
    unit.audit_with(
        Action::ApiKeyRevoked,
        Target::User(user),
        Outcome::Success,
        details,
    )
    .await?;
    Ok(ids)
}

/// Revokes the user's keys and leaves nothing of them.
pub(crate) async fn remove_all_of(unit: &mut Unit, user: UserId) -> Result<()> {
    revoke_all_of(unit, user).await?;
    Ok(repository::remove_all_of(unit.connection(), user).await?)
}
