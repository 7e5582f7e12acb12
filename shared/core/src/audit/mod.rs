//! The audit log: who did what, from where, and how it ended.

mod refusals;
pub(crate) mod repository;
mod service;

use plinth_domain::audit::{Action, Outcome, Target};
use plinth_domain::id::AuditEventId;
use time::OffsetDateTime;

pub use refusals::AnonymousRefusals;
pub use repository::Event;
pub(crate) use service::has_any;
pub use service::{AuditLog, Filter};

/// An event to be written.
pub(crate) struct NewEvent {
    pub(crate) id: AuditEventId,
    pub(crate) action: Action,
    pub(crate) target: Target,
    pub(crate) outcome: Outcome,
    pub(crate) details: serde_json::Value,
    pub(crate) at: OffsetDateTime,
}
