//! Roles over HTTP: one file per operation.

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

/// Parses the name of a role in a path. An invalid name cannot exist.
fn parse_path_name(text: &str) -> plinth_core::Result<RoleName> {
    RoleName::parse(text).map_err(|_| plinth_core::Error::NotFound)
}
