//! Roles: which there are, and what each lets its holders do.

mod repository;
mod service;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permissions;
use plinth_domain::role::{Role, RoleName};

use crate::unit::Unit;
use crate::{Error, Result, Stores};

pub use service::{RoleChange, Roles};

/// Every role, by name.
pub(crate) async fn all(stores: &Stores) -> Result<Vec<Role>> {
    Ok(repository::all(&stores.db).await?)
}

/// Those of the named roles that exist; none of them is removed before the change is over.
pub(crate) async fn keep(unit: &mut Unit, names: &[RoleName]) -> Result<Vec<Role>> {
    Ok(repository::keep(unit.connection(), names).await?)
}

/// What somebody with these roles may do.
pub(crate) async fn permissions_of(unit: &mut Unit, names: &[String]) -> Result<Permissions> {
    let mut permissions = Permissions::default();
    for role in repository::all(&mut *unit.connection()).await? {
        if names.contains(&role.name) {
            permissions.extend(role.permissions.iter());
        }
    }
    Ok(permissions)
}

/// No role changes before this change is over.
pub(crate) async fn stand_still(unit: &mut Unit) -> Result<()> {
    Ok(repository::stand_still(unit.connection()).await?)
}

/// Nobody gives, takes or touches more than he may do himself.
pub(crate) fn require_within(permissions: &Permissions, own: &Permissions) -> Result<()> {
    match permissions
        .iter()
        .find(|permission| !own.allow(*permission))
    {
        None => Ok(()),
        Some(missing) => {
            let detail = format!(
                "It reaches further than the caller's own permissions: {missing} is missing."
            );
            Err(Error::Forbidden {
                code: ErrorCode::PermissionDenied,
                detail,
            })
        }
    }
}
