//! A role as it is shown.

use plinth_domain::permission::Permission;
use poem_openapi::Object;

/// A name under which permissions are grouped.
#[derive(Object)]
pub(super) struct Role {
    name: String,
    /// What it is for.
    description: Option<String>,
    /// What its holders may do.
    permissions: Vec<Permission>,
    /// Its holders can do nothing before they have proved a second factor.
    requires_mfa: bool,
    /// It comes with the product: what it allows cannot be changed.
    built_in: bool,
}

impl From<plinth_domain::role::Role> for Role {
    fn from(role: plinth_domain::role::Role) -> Self {
        Self {
            name: role.name,
            description: role.description,
            permissions: role.permissions.iter().collect(),
            requires_mfa: role.requires_mfa,
            built_in: role.built_in,
        }
    }
}
