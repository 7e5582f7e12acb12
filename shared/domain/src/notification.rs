//! Messages in a user's inbox.

use serde::{Deserialize, Serialize};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};
use time::OffsetDateTime;

use crate::closed_set::Recorded;
use crate::id::{NotificationId, UserId};

/// What happened, of which a message tells.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, EnumMessage, EnumString, IntoStaticStr, VariantArray,
)]
pub enum NotificationKind {
    /// The derived images of a file were made.
    #[strum(serialize = "file.processed")]
    FileProcessed,
    /// The derived images of a file cannot be made.
    #[strum(serialize = "file.unprocessable")]
    FileUnprocessable,
    /// A virus was found in a file.
    #[strum(serialize = "file.quarantined")]
    FileQuarantined,
    /// The metadata of a picture cannot be removed.
    #[strum(serialize = "file.unavailable")]
    FileUnavailable,
    /// A virus was found in a file of another account: for those who read the audit log.
    #[strum(serialize = "quarantine.reported")]
    QuarantineReported,
}

impl NotificationKind {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A message to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNotification {
    pub user_id: UserId,
    pub kind: Recorded<NotificationKind>,
    pub title: String,
    pub body: String,
    /// What it is about, e.g. the id of a file; with `kind` it makes a delivery happen once.
    pub subject: String,
}

/// A delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub id: NotificationId,
    pub kind: Recorded<NotificationKind>,
    pub title: String,
    pub body: String,
    pub subject: String,
    pub read_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}
