//! Roles over HTTP: one file an operation.

mod change;
mod create;
mod list;
mod list_permissions;
mod read;
mod remove;
mod view;

use plinth_domain::role::RoleName;

use crate::http::operation::operations;

operations! {
    list_permissions::ListPermissions,
    list::ListRoles { roles },
    read::ReadRole { roles },
    create::CreateRole { roles },
    change::ChangeRole { roles },
    remove::RemoveRole { roles },
}

/// The name of a role in a path: what cannot be one names nothing.
fn name_in_path(text: &str) -> plinth_core::Result<RoleName> {
    RoleName::parse(text).map_err(|_| plinth_core::Error::NotFound)
}
