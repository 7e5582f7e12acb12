//! What administrators do with the accounts of others. Nobody reaches further than his own permissions do.

use std::collections::BTreeSet;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::permission::Permissions;
use plinth_domain::rejection::Rejection;
use plinth_domain::role::{self, Role, RoleName};
use plinth_domain::text::Reason;
use plinth_domain::user::{User, UserStatus};
use serde_json::json;

use super::{Users, hold, keep_an_administrator, repository};
use crate::access::Caller;
use crate::auth::SessionCaller;
use crate::error::{Fault, FaultList};
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result, auth, roles};

/// Which accounts are asked for; `None` is any.
#[derive(Debug, Default)]
pub struct Filter {
    pub email: Option<Email>,
    pub status: Option<UserStatus>,
    pub role: Option<RoleName>,
}

impl Users {
    /// Accounts, the newest first.
    pub async fn list(&self, filter: &Filter, page: PageRequest) -> Result<Page<User>> {
        let users = repository::list(&self.stores.db, filter, page).await?;
        Ok(Page::cut(users, page, |user| user.id.0))
    }

    /// An account that was not deleted.
    pub async fn read(&self, id: UserId) -> Result<User> {
        let user = repository::find(&self.stores.db, id).await?;
        user.filter(|user| user.status != UserStatus::Deleted)
            .ok_or(Error::NotFound)
    }

    /// Gives the account these roles and no others, from its next request on.
    pub async fn assign_roles(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: UserId,
        names: &[RoleName],
    ) -> Result<User> {
        let mut unit = caller.begin_for(&self.stores, origin, id).await?;
        let user = hold(&mut unit, id).await?;
        let wanted = known_roles(&mut unit, names).await?;
        let added: Vec<&Role> = wanted
            .iter()
            .filter(|role| !user.roles.contains(&role.name))
            .collect();
        let kept: BTreeSet<&str> = wanted.iter().map(|role| role.name.as_str()).collect();
        let removed: Vec<&String> = user
            .roles
            .iter()
            .filter(|name| !kept.contains(name.as_str()))
            .collect();
        if added.is_empty() && removed.is_empty() {
            return Ok(user);
        }
        let given: Permissions = added
            .iter()
            .flat_map(|role| role.permissions.iter())
            .collect();
        roles::require_within(&given, &caller.rights.permissions)?;
        if !removed.is_empty() {
            require_authority(&mut unit, &caller, &user).await?;
        }
        if removed.iter().any(|name| *name == role::ADMIN) {
            keep_an_administrator(&mut unit, id).await?;
        }
        unit.changes_user(id).await;
        repository::set_roles(unit.connection(), id, names).await?;
        auth::end_impersonations_around(&mut unit, id).await?;
        let added: Vec<&str> = added.iter().map(|role| role.name.as_str()).collect();
        let details = json!({ "added": added, "removed": removed });
        unit.audit_with(
            Action::RolesAssigned,
            Target::User(id),
            Outcome::Success,
            details,
        )
        .await?;
        let user = hold(&mut unit, id).await?;
        unit.commit().await?;
        Ok(user)
    }

    /// Shuts the account out, by whichever way it comes in, and ends its sessions for good.
    pub async fn suspend(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: UserId,
        reason: Option<&Reason>,
    ) -> Result<User> {
        let mut unit = caller.begin_for(&self.stores, origin, id).await?;
        let user = hold(&mut unit, id).await?;
        if caller.user.id == id {
            let detail =
                "You cannot suspend your own account; another administrator can.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::OwnAccount,
                detail,
            });
        }
        require_authority(&mut unit, &caller, &user).await?;
        if user.status == UserStatus::Suspended {
            return Ok(user);
        }
        // Of an account that is deleting the grace period goes on, in which its owner can no longer restore it.
        keep_an_administrator(&mut unit, id).await?;
        let details = json!({ "reason": reason.map(Reason::as_str) });
        change_status(
            unit,
            user,
            UserStatus::Suspended,
            Action::AccountSuspended,
            details,
        )
        .await
    }

    /// Lets the account in again. Its sessions stay ended: its owner logs in anew.
    pub async fn reactivate(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: UserId,
    ) -> Result<User> {
        let mut unit = caller.begin_for(&self.stores, origin, id).await?;
        let user = hold(&mut unit, id).await?;
        require_authority(&mut unit, &caller, &user).await?;
        if user.status == UserStatus::Active {
            return Ok(user);
        }
        if user.status == UserStatus::Deleting {
            let detail = "The account is not suspended but deleted; restore it.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::AccountDeleting,
                detail,
            });
        }
        change_status(
            unit,
            user,
            UserStatus::Active,
            Action::AccountReactivated,
            json!({}),
        )
        .await
    }

    /// Ends every session of the account, and those in which it acts for others; how many there were.
    pub async fn end_sessions(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: UserId,
    ) -> Result<usize> {
        let mut unit = caller.begin_for(&self.stores, origin, id).await?;
        let user = hold(&mut unit, id).await?;
        require_authority(&mut unit, &caller, &user).await?;
        let ended = auth::end_sessions(&mut unit, id, None).await?;
        unit.commit_if_audited().await?;
        Ok(ended)
    }

    /// Ends one session of the account.
    pub async fn end_session(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: UserId,
        session: SessionId,
    ) -> Result<()> {
        let mut unit = caller.begin_for(&self.stores, origin, id).await?;
        let user = hold(&mut unit, id).await?;
        require_authority(&mut unit, &caller, &user).await?;
        auth::end_session(&mut unit, id, session).await?;
        unit.commit().await
    }
}

async fn change_status(
    mut unit: Unit,
    user: User,
    status: UserStatus,
    action: Action,
    details: serde_json::Value,
) -> Result<User> {
    let at = unit.at();
    unit.changes_user(user.id).await;
    repository::set_status(unit.connection(), user.id, status, at).await?;
    // Also when the account comes back: a login that was under way while it was suspended may have opened one since.
    auth::end_sessions(&mut unit, user.id, None).await?;
    unit.audit_with(action, Target::User(user.id), Outcome::Success, details)
        .await?;
    unit.commit().await?;
    let deletion_due_at = user
        .deletion_due_at
        .filter(|_| status != UserStatus::Active);
    Ok(User {
        status,
        deletion_due_at,
        ..user
    })
}

/// Refuses to touch an account that may do more than the caller.
pub(crate) async fn require_authority(unit: &mut Unit, caller: &Caller, user: &User) -> Result<()> {
    let permissions = roles::permissions_of(unit, &user.roles).await?;
    roles::require_within(&permissions, &caller.rights.permissions)
}

/// The roles of these names, every one of which there is.
pub(super) async fn known_roles(unit: &mut Unit, names: &[RoleName]) -> Result<Vec<Role>> {
    let known = roles::keep(unit, names).await?;
    let is_unknown = |name: &RoleName| known.iter().all(|role| role.name != name.as_str());
    let mut faults = FaultList::default();
    for (index, _) in names
        .iter()
        .enumerate()
        .filter(|(_, name)| is_unknown(name))
    {
        faults.push(|| Fault {
            pointer: format!("/roles/{index}"),
            rejection: Rejection::new("unknown_role", "There is no role with this name."),
        });
    }
    let faults = faults.into_vec();
    if faults.is_empty() {
        Ok(known)
    } else {
        Err(Error::Invalid(faults))
    }
}
