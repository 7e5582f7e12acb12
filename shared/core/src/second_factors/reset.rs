//! An administrator removes the second factors of somebody who has lost them.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::text::Reason;
use serde_json::json;

use super::SecondFactors;
use super::repository;
use crate::access::Caller;
use crate::unit::Unit;
use crate::{Result, auth, challenges, passkeys, users};

impl SecondFactors {
    /// Removes every app, code and challenge, and the passkeys of an account that has a password. Its sessions end,
    /// and its owner is told. `reason` says how the administrator knows who asked; the audit log keeps it.
    pub async fn reset(&self, origin: &Origin, caller: &Caller, user: UserId, reason: &Reason) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let held = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, caller, &held).await?;
        unit.changes_user(user).await;
        remove_all_of(&mut unit, user).await?;
        passkeys::remove_beside_password(&mut unit, user).await?;
        challenges::remove_all_of(&mut unit, user).await?;
        auth::end_sessions(&mut unit, user, None).await?;
        let details = json!({ "reason": reason.as_str() });
        unit.audit_with(Action::FactorsReset, Target::User(user), Outcome::Success, details).await?;
        unit.enqueue(&SendSecurityNotice { user_id: user, notice: SecurityNotice::FactorsReset }).await?;
        unit.commit().await
    }
}

/// Leaves nothing of the user's apps and recovery codes.
pub(crate) async fn remove_all_of(unit: &mut Unit, user: UserId) -> Result<()> {
    repository::remove_all_of(unit.connection(), user).await?;
    Ok(repository::remove_codes(unit.connection(), user).await?)
}
