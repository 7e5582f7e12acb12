//! The caller's inbox over HTTP: one file an operation.

mod list;

use plinth_core::notifications::Inbox;

pub(crate) type Operations = list::ListNotifications;

pub(crate) fn operations(inbox: &Inbox) -> Operations {
    list::ListNotifications {
        inbox: inbox.clone(),
    }
}
