//! The audit log over HTTP: one file an operation.

mod list;

use plinth_core::audit::AuditLog;

pub(crate) type Operations = list::ListAuditEvents;

pub(crate) fn operations(audit: &AuditLog) -> Operations {
    list::ListAuditEvents {
        audit: audit.clone(),
    }
}
