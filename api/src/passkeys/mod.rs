//! The caller's own passkeys over HTTP: one file an operation.

mod finish;
mod list;
mod remove;
mod rename;
mod start;
pub(crate) mod view;

use plinth_core::passkeys::Passkeys;

pub(crate) type Operations = (
    list::ListPasskeys,
    start::StartPasskey,
    finish::FinishPasskey,
    rename::RenamePasskey,
    remove::RemovePasskey,
);

pub(crate) fn operations(passkeys: &Passkeys) -> Operations {
    (
        list::ListPasskeys {
            passkeys: passkeys.clone(),
        },
        start::StartPasskey {
            passkeys: passkeys.clone(),
        },
        finish::FinishPasskey {
            passkeys: passkeys.clone(),
        },
        rename::RenamePasskey {
            passkeys: passkeys.clone(),
        },
        remove::RemovePasskey {
            passkeys: passkeys.clone(),
        },
    )
}
