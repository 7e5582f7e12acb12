//! The caller's own sessions over HTTP: one file an operation.

mod list;
mod revoke;
mod revoke_others;
pub(crate) mod view;

use plinth_core::auth::Auth;

pub(crate) type Operations = (
    list::ListSessions,
    revoke::RevokeSession,
    revoke_others::RevokeOtherSessions,
);

pub(crate) fn operations(auth: &Auth) -> Operations {
    (
        list::ListSessions { auth: auth.clone() },
        revoke::RevokeSession { auth: auth.clone() },
        revoke_others::RevokeOtherSessions { auth: auth.clone() },
    )
}
