//! The caller's own sessions over HTTP: one file per operation.

mod list;
mod revoke;
mod revoke_others;
pub(crate) mod view;

use crate::http::operation::operations;

operations! {
    list::ListSessions { auth },
    revoke::RevokeSession { auth },
    revoke_others::RevokeOtherSessions { auth },
}
