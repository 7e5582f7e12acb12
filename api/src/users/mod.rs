//! The caller's own account over HTTP: one file an operation.

mod change_email;
mod change_me;
mod change_password;
mod delete_me;
mod me;
mod remove_password;
mod waive_email_undo;

use plinth_core::auth::Auth;
use plinth_core::users::Users;

use crate::http::browser::Pages;

pub(crate) type Operations = (
    me::ReadMe,
    change_me::ChangeMe,
    delete_me::DeleteMe,
    change_email::ChangeEmail,
    change_password::ChangePassword,
    remove_password::RemovePassword,
    waive_email_undo::WaiveEmailUndo,
);

pub(crate) fn operations(users: &Users, auth: &Auth, pages: &Pages) -> Operations {
    (
        me::ReadMe,
        change_me::ChangeMe {
            users: users.clone(),
        },
        delete_me::DeleteMe {
            auth: auth.clone(),
            pages: pages.clone(),
        },
        change_email::ChangeEmail { auth: auth.clone() },
        change_password::ChangePassword {
            auth: auth.clone(),
            pages: pages.clone(),
        },
        remove_password::RemovePassword { auth: auth.clone() },
        waive_email_undo::WaiveEmailUndo { auth: auth.clone() },
    )
}
