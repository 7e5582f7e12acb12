//! Messages in a user's inbox.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::id::{NotificationId, UserId};

/// A message to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNotification {
    pub user_id: UserId,
    /// Stable name of what happened, e.g. `file.processed`.
    pub kind: String,
    pub title: String,
    pub body: String,
    /// What it is about, e.g. the id of a file; with `kind` it makes a delivery happen once.
    pub subject: String,
}

/// A delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub id: NotificationId,
    pub kind: String,
    pub title: String,
    pub body: String,
    pub subject: String,
    pub read_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}
