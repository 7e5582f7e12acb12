//! Everybody's accounts over HTTP, for administrators: one file an operation.

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

use plinth_core::auth::Auth;
use plinth_core::second_factors::SecondFactors;
use plinth_core::users::Users;

use crate::auth::session_tokens::SessionLifetime;
use crate::http::browser::Pages;

pub(crate) type Operations = (
    list::ListUsers,
    read::ReadUser,
    assign_roles::AssignRoles,
    suspend::SuspendUser,
    reactivate::ReactivateUser,
    list_sessions::ListUserSessions,
    revoke_sessions::RevokeUserSessions,
    revoke_session::RevokeUserSession,
    reset_factors::ResetFactors,
    reset_account::ResetAccount,
    delete::DeleteUser,
    restore::RestoreUser,
    impersonate::Impersonate,
);

pub(crate) fn operations(
    users: &Users,
    factors: &SecondFactors,
    auth: &Auth,
    pages: &Pages,
    lifetime: SessionLifetime,
) -> Operations {
    (
        list::ListUsers {
            users: users.clone(),
        },
        read::ReadUser {
            users: users.clone(),
        },
        assign_roles::AssignRoles {
            users: users.clone(),
        },
        suspend::SuspendUser {
            users: users.clone(),
        },
        reactivate::ReactivateUser {
            users: users.clone(),
        },
        list_sessions::ListUserSessions {
            users: users.clone(),
            auth: auth.clone(),
        },
        revoke_sessions::RevokeUserSessions {
            users: users.clone(),
        },
        revoke_session::RevokeUserSession {
            users: users.clone(),
        },
        reset_factors::ResetFactors {
            factors: factors.clone(),
        },
        reset_account::ResetAccount { auth: auth.clone() },
        delete::DeleteUser { auth: auth.clone() },
        restore::RestoreUser { auth: auth.clone() },
        impersonate::Impersonate {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
    )
}
