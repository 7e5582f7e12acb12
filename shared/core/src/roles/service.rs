//! The rules of roles: who may make, change and remove which.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permissions;
use plinth_domain::role::{Role, RoleDescription, RoleName};
use serde_json::json;

use super::{repository, require_within};
use crate::auth::SessionCaller;
use crate::{Error, Result, Stores, auth};

/// Every process keeps them all.
const MOST_ROLES: i64 = 200;

/// What is to become of a role; `None` leaves a part as it is.
#[derive(Debug, Default)]
pub struct RoleChange {
    /// An inner `None` removes it.
    pub description: Option<Option<RoleDescription>>,
    pub permissions: Option<Permissions>,
    pub requires_mfa: Option<bool>,
}

/// The door to roles.
#[derive(Clone)]
pub struct Roles {
    stores: Stores,
}

impl Roles {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Every role, by name.
    pub async fn list(&self) -> Result<Vec<Role>> {
        super::all(&self.stores).await
    }

    pub async fn find(&self, name: &RoleName) -> Result<Role> {
        repository::find(&self.stores.db, name)
            .await?
            .ok_or(Error::NotFound)
    }

    /// Makes a role, which nobody has yet.
    pub async fn create(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        name: &RoleName,
        content: RoleChange,
    ) -> Result<Role> {
        let role = Role {
            name: name.as_str().to_owned(),
            description: content
                .description
                .flatten()
                .map(|text| text.as_str().to_owned()),
            permissions: content.permissions.unwrap_or_default(),
            requires_mfa: content.requires_mfa.unwrap_or_default(),
            built_in: false,
        };
        require_within(&role.permissions, &caller.rights.permissions)?;
        let mut unit = caller.begin(&self.stores, origin).await?;
        if repository::count(unit.connection()).await? >= MOST_ROLES {
            return Err(conflict(
                ErrorCode::TooManyRoles,
                "There are as many roles as there may be; remove one.",
            ));
        }
        unit.changes_roles().await;
        if !repository::insert(unit.connection(), &role).await? {
            return Err(conflict(
                ErrorCode::RoleExists,
                "There is a role with this name.",
            ));
        }
        let permissions: Vec<String> = role.permissions.clone().into();
        let details = json!({ "role": role.name, "permissions": permissions, "requires_mfa": role.requires_mfa });
        unit.audit_with(Action::RoleCreated, Target::Role, Outcome::Success, details)
            .await?;
        unit.commit().await?;
        Ok(role)
    }

    /// Changes a role for the next request of each of its holders.
    pub async fn change(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        name: &RoleName,
        change: RoleChange,
    ) -> Result<Role> {
        let mut unit = caller.begin(&self.stores, origin).await?;
        let old = repository::hold(unit.connection(), name)
            .await?
            .ok_or(Error::NotFound)?;
        let differing = change
            .permissions
            .as_ref()
            .map(|new| old.permissions.differing_from(new))
            .unwrap_or_default();
        if old.built_in && !differing.is_empty() {
            return Err(built_in());
        }
        require_authority(&old, caller)?;
        require_within(&differing, &caller.rights.permissions)?;
        let demands = change.requires_mfa == Some(true) && !old.requires_mfa;
        if demands && caller.user.roles.contains(&old.name) && !caller.user.has_second_factor {
            let detail = "It would lock the caller out: enrol a second factor first.";
            return Err(conflict(ErrorCode::SecondFactorRequired, detail));
        }
        unit.changes_roles().await;
        repository::change(unit.connection(), name, &change).await?;
        let new = repository::find(&mut *unit.connection(), name)
            .await?
            .ok_or(Error::NotFound)?;
        if new == old {
            return Ok(old);
        }
        let gone = |one: &Role, other: &Role| -> Vec<String> {
            let missing = one
                .permissions
                .iter()
                .filter(|permission| !other.permissions.allow(*permission));
            missing.map(|permission| permission.to_string()).collect()
        };
        let details = json!({
            "role": new.name,
            "added": gone(&new, &old),
            "removed": gone(&old, &new),
            "requires_mfa": new.requires_mfa,
        });
        unit.audit_with(Action::RoleChanged, Target::Role, Outcome::Success, details)
            .await?;
        auth::end_impersonations_around_role(&mut unit, &new.name).await?;
        unit.commit().await?;
        Ok(new)
    }

    /// Removes a role that no account has.
    pub async fn remove(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        name: &RoleName,
    ) -> Result<()> {
        let mut unit = caller.begin(&self.stores, origin).await?;
        let role = repository::hold(unit.connection(), name)
            .await?
            .ok_or(Error::NotFound)?;
        if role.built_in {
            return Err(built_in());
        }
        require_authority(&role, caller)?;
        if repository::is_in_use(unit.connection(), name).await? {
            return Err(conflict(
                ErrorCode::RoleInUse,
                "Somebody has this role; take it away first.",
            ));
        }
        unit.changes_roles().await;
        repository::remove(unit.connection(), name).await?;
        let details = json!({ "role": role.name });
        unit.audit_with(Action::RoleRemoved, Target::Role, Outcome::Success, details)
            .await?;
        unit.commit().await
    }
}

/// Refuses to touch a role that reaches further than the caller: its description and its demand for a second factor say
/// how its permissions are used, just as its list of permissions does.
fn require_authority(role: &Role, caller: SessionCaller<'_>) -> Result<()> {
    require_within(&role.permissions, &caller.rights.permissions)
}

fn built_in() -> Error {
    conflict(
        ErrorCode::BuiltInRole,
        "What a role that comes with the product allows cannot be changed.",
    )
}

fn conflict(code: ErrorCode, detail: &str) -> Error {
    Error::Conflict {
        code,
        detail: detail.to_owned(),
    }
}
