//! Roles over HTTP: one file an operation.

mod change;
mod create;
mod list;
mod list_permissions;
mod read;
mod remove;
mod view;

use plinth_core::roles::Roles;
use plinth_domain::role::RoleName;

pub(crate) type Operations = (
    list_permissions::ListPermissions,
    list::ListRoles,
    read::ReadRole,
    create::CreateRole,
    change::ChangeRole,
    remove::RemoveRole,
);

pub(crate) fn operations(roles: &Roles) -> Operations {
    (
        list_permissions::ListPermissions,
        list::ListRoles {
            roles: roles.clone(),
        },
        read::ReadRole {
            roles: roles.clone(),
        },
        create::CreateRole {
            roles: roles.clone(),
        },
        change::ChangeRole {
            roles: roles.clone(),
        },
        remove::RemoveRole {
            roles: roles.clone(),
        },
    )
}

/// The name of a role in a path: what cannot be one names nothing.
fn name_in_path(text: &str) -> plinth_core::Result<RoleName> {
    RoleName::parse(text).map_err(|_| plinth_core::Error::NotFound)
}
