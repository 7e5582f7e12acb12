//! A role in responses.

use plinth_domain::permission::Permission;
use poem_openapi::Object;

/// A named set of permissions.
#[derive(Object)]
pub(super) struct Role {
    name: String,
    /// The purpose of the role.
    description: Option<String>,
    /// The permissions of the role, as `resource:action`.
    permissions: Vec<Permission>,
    /// Whether the holders of the role need a second factor before they can do anything else.
    requires_mfa: bool,
    /// Whether the role comes with the product, so that its permissions cannot be changed.
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
