//! The caller's own passkeys over HTTP: one file per operation.

mod finish;
mod list;
mod remove;
mod rename;
mod start;
pub(crate) mod view;

use crate::http::operation::operations;

operations! {
    list::ListPasskeys { passkeys },
    start::StartPasskey { passkeys },
    finish::FinishPasskey { passkeys },
    rename::RenamePasskey { passkeys },
    remove::RemovePasskey { passkeys },
}
