//! All accounts over HTTP, for administrators: one file per operation.

mod assign_roles;
mod delete;
mod impersonate;
mod list;
mod list_sessions;
mod reactivate;
mod read;
mod reset_account;
mod reset_factors;
mod restore;
mod revoke_session;
mod revoke_sessions;
mod suspend;
mod view;

use crate::http::operation::operations;

operations! {
    list::ListUsers { users },
    read::ReadUser { users },
    assign_roles::AssignRoles { users },
    suspend::SuspendUser { users },
    reactivate::ReactivateUser { users },
    list_sessions::ListUserSessions { users, auth },
    revoke_sessions::RevokeUserSessions { users },
    revoke_session::RevokeUserSession { users },
    reset_factors::ResetFactors { factors },
    reset_account::ResetAccount { auth },
    delete::DeleteUser { auth },
    restore::RestoreUser { auth },
    impersonate::Impersonate { auth, csrf, lifetime },
}
