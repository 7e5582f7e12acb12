//! The audit log over HTTP: one file per operation.

mod list;

use crate::http::operation::operations;

operations! {
    list::ListAuditEvents { audit },
}
