//! The passkeys that a person has: seen, renamed, removed.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{PasskeyId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::text::DisplayName;
use time::OffsetDateTime;

use super::repository::{self, Owner};
use super::{PasskeyView, Passkeys};
use crate::auth::SessionCaller;
use crate::second_factors::RemainingFactor;
use crate::unit::Unit;
use crate::{Error, Result, second_factors};

impl Passkeys {
    /// The user's passkeys, the oldest first.
    pub async fn list(&self, user: UserId) -> Result<Vec<PasskeyView>> {
        Ok(repository::list(&self.stores.db, user).await?)
    }

    pub async fn rename(
        &self,
        origin: &Origin,
        user: UserId,
        id: PasskeyId,
        name: &DisplayName,
    ) -> Result<PasskeyView> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let renamed = repository::rename(unit.connection(), user, id, name.as_str()).await?;
        let view = renamed.ok_or(Error::NotFound)?;
        unit.audit(
            Action::PasskeyRenamed,
            Target::Passkey(id),
            Outcome::Success,
        )
        .await?;
        unit.commit().await?;
        Ok(view)
    }

    /// Removes a passkey, unless the account could then not be used any more. Sessions that it opened go on.
    pub async fn remove(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: PasskeyId,
    ) -> Result<()> {
        let user = caller.user_id();
        // What it has is counted by one change at a time.
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        let owner = repository::owner(unit.connection(), user).await?;
        if !repository::remove(unit.connection(), user, id).await? {
            return Err(Error::NotFound);
        }
        check_rest(&owner)?;
        second_factors::drop_codes_with_last_factor(&mut unit, user).await?;
        announce_removed(&mut unit, user, &[id]).await?;
        unit.commit().await
    }
}

/// Whether an account that loses one of its passkeys still has what it needs.
fn check_rest(owner: &Owner) -> Result<()> {
    if owner.passkeys > 1 {
        return Ok(());
    }
    if !owner.has_password {
        let detail =
            "The account has no password: without its last passkey nobody could log in.".to_owned();
        return Err(Error::Conflict {
            code: ErrorCode::NoOtherCredential,
            detail,
        });
    }
    if owner.requires_factor && !owner.has_totp {
        let detail =
            "A role of the account needs a second factor; enrol another one first.".to_owned();
        return Err(Error::Conflict {
            code: ErrorCode::SecondFactorRequired,
            detail,
        });
    }
    Ok(())
}

/// Whether the user could log in without a password. The caller holds the account.
pub(crate) async fn has_any(unit: &mut Unit, user: UserId) -> Result<bool> {
    Ok(!repository::credential_ids(unit.connection(), user)
        .await?
        .is_empty())
}

/// Removes the passkeys that were added from then on, which may not be their owner's. The caller holds the account.
pub(crate) async fn remove_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    let removed = repository::remove_added_since(unit.connection(), user, since).await?;
    announce_removed(unit, user, &removed).await
}

/// Records that these passkeys were removed, and tells their owner of each.
async fn announce_removed(unit: &mut Unit, user: UserId, removed: &[PasskeyId]) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    unit.changes_user(user).await;
    for id in removed {
        unit.audit(
            Action::PasskeyRemoved,
            Target::Passkey(*id),
            Outcome::Success,
        )
        .await?;
        let notice = SecurityNotice::FactorRemoved {
            kind: FactorKind::Passkey,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
    }
    Ok(())
}

/// Suspends those that were added from then on: they prove nothing any more. The caller holds the account.
pub(crate) async fn suspend_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    Ok(repository::suspend_added_since(unit.connection(), user, since, at).await?)
}

/// Removes the passkeys that were suspended.
pub(crate) async fn remove_suspended(unit: &mut Unit, user: UserId) -> Result<()> {
    let removed = repository::remove_suspended(unit.connection(), user).await?;
    announce_removed(unit, user, &removed).await
}

/// Whether the user has one that can prove something and was added before then.
pub(crate) async fn has_one_before(
    unit: &mut Unit,
    user: UserId,
    before: OffsetDateTime,
) -> Result<bool> {
    Ok(
        !repository::usable(&mut *unit.connection(), user, Some(before))
            .await?
            .is_empty(),
    )
}

/// The passkeys that the user has.
pub(crate) async fn remaining(unit: &mut Unit, user: UserId) -> Result<Vec<RemainingFactor>> {
    Ok(repository::remaining(unit.connection(), user).await?)
}

/// Leaves nothing of the user's passkeys.
pub(crate) async fn remove_all_of(unit: &mut Unit, user: UserId) -> Result<()> {
    Ok(repository::remove_all_of(unit.connection(), user).await?)
}

/// The same, where he has a password to log in with.
pub(crate) async fn remove_beside_password(unit: &mut Unit, user: UserId) -> Result<()> {
    if repository::owner(unit.connection(), user)
        .await?
        .has_password
    {
        repository::remove_all_of(unit.connection(), user).await?;
    }
    Ok(())
}
