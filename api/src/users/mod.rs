//! The caller's own account over HTTP: one file an operation.

mod change_me;
mod me;

use plinth_core::users::Users;

pub(crate) type Operations = (me::ReadMe, change_me::ChangeMe);

pub(crate) fn operations(users: &Users) -> Operations {
    (me::ReadMe, change_me::ChangeMe { users: users.clone() })
}
