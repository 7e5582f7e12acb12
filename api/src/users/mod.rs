//! The caller's own account over HTTP: one file per operation.

mod change_email;
mod change_me;
mod change_password;
mod delete_me;
mod me;
mod remove_password;
mod waive_email_undo;

use crate::http::operation::operations;

operations! {
    me::ReadMe,
    change_me::ChangeMe { users },
    delete_me::DeleteMe { auth, csrf },
    change_email::ChangeEmail { auth },
    change_password::ChangePassword { auth, csrf },
    remove_password::RemovePassword { auth },
    waive_email_undo::WaiveEmailUndo { auth },
}
