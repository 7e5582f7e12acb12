//! The audit log over HTTP: one file an operation.

mod list;

use crate::http::operation::operations;

operations! {
    list::ListAuditEvents { audit },
}
