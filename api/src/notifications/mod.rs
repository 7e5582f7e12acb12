//! The caller's inbox over HTTP: one file an operation.

mod list;

use crate::http::operation::operations;

operations! {
    list::ListNotifications { inbox },
}
