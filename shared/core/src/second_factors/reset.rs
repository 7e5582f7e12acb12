//! Second factors go without their owner's doing: an administrator removes those that he has lost, and a change that is
//! undone takes with it what somebody else has added.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{TotpFactorId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::text::Reason;
use serde_json::json;
use time::OffsetDateTime;

use super::recovery::drop_codes_with_last_factor;
use super::{RemainingFactor, SecondFactors, repository};
use crate::auth::SessionCaller;
use crate::unit::Unit;
use crate::{Error, Result, auth, challenges, passkeys, users};

impl SecondFactors {
    /// Removes every app, code and challenge, and the passkeys of an account that has a password. Its sessions end,
    /// and its owner is told. `reason` says how the administrator knows who asked; the audit log keeps it.
    ///
    /// Callers cannot reset their own factors: at `/v1/me` a factor is removed only with a proof of one.
    pub async fn reset(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        user: UserId,
        reason: &Reason,
    ) -> Result<()> {
        if caller.user_id() == user {
            let detail = "You cannot reset your own factors; another administrator can.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::OwnAccount,
                detail,
            });
        }
        let mut unit = caller.begin_for(&self.stores, origin, user).await?;
        let held = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, &caller, &held).await?;
        unit.changes_user(user).await;
        challenges::remove_all_of(&mut unit, user, None).await?;
        remove_all_of(&mut unit, user).await?;
        passkeys::remove_beside_password(&mut unit, user).await?;
        auth::end_sessions(&mut unit, user, None).await?;
        let details = json!({ "reason": reason.as_str() });
        unit.audit_with(
            Action::FactorsReset,
            Target::User(user),
            Outcome::Success,
            details,
        )
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::FactorsReset,
        })
        .await?;
        unit.commit().await
    }
}

/// Removes the apps that were added, and the recovery codes that were issued, from then on, which may not be their owner's.
/// The caller holds the account, and has removed the passkeys of that time.
pub(crate) async fn remove_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    let removed = repository::remove_added_since(unit.connection(), user, since).await?;
    announce_removed(unit, user, &removed).await?;
    repository::remove_codes_issued_since(unit.connection(), user, since).await?;
    drop_codes_with_last_factor(unit, user).await
}

/// Suspends the apps and the recovery codes that were added from then on: they prove nothing any more. The caller holds the
/// account.
pub(crate) async fn suspend_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    Ok(repository::suspend_added_since(unit.connection(), user, since, at).await?)
}

/// Removes the apps and recovery codes that were suspended. The caller has removed the passkeys.
pub(crate) async fn remove_suspended(unit: &mut Unit, user: UserId) -> Result<()> {
    let removed = repository::remove_suspended(unit.connection(), user).await?;
    announce_removed(unit, user, &removed).await?;
    drop_codes_with_last_factor(unit, user).await
}

/// Records that these apps were removed, and tells their owner of each.
pub(super) async fn announce_removed(
    unit: &mut Unit,
    user: UserId,
    removed: &[TotpFactorId],
) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    unit.changes_user(user).await;
    for id in removed {
        unit.audit(
            Action::FactorRemoved,
            Target::TotpFactor(*id),
            Outcome::Success,
        )
        .await?;
        let notice = SecurityNotice::FactorRemoved {
            kind: FactorKind::Totp,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
    }
    Ok(())
}

/// The apps and the recovery codes that the user has.
pub(crate) async fn remaining(unit: &mut Unit, user: UserId) -> Result<Vec<RemainingFactor>> {
    Ok(repository::remaining(unit.connection(), user).await?)
}

/// Leaves nothing of the user's apps and recovery codes.
pub(crate) async fn remove_all_of(unit: &mut Unit, user: UserId) -> Result<()> {
    repository::remove_all_of(unit.connection(), user).await?;
    Ok(repository::remove_codes(unit.connection(), user).await?)
}
