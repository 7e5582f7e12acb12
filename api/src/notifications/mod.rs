//! The caller's inbox over HTTP: one file per operation.

mod list;

use crate::http::operation::operations;

operations! {
    list::ListNotifications { inbox },
}
