//! Accounts.

use serde::{Deserialize, Serialize};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};
use time::OffsetDateTime;

use crate::id::UserId;
use crate::text::is_plain_in_mail;

/// Whether an account may act.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum UserStatus {
    /// It may act.
    Active,
    /// Shut out by an administrator.
    Suspended,
    /// Deleted with a grace period: it may not act, and its owner can restore it.
    Deleting,
    /// Gone for good; the row has nothing personal any more.
    Deleted,
}

impl UserStatus {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An account with everything that a request of its owner is decided on.
///
/// This is what the cache holds, so it carries no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub display_name: Option<String>,
    pub email_verified_at: Option<OffsetDateTime>,
    pub status: UserStatus,
    pub roles: Vec<String>,
    /// Whether there is a second factor that a login would ask for.
    pub has_second_factor: bool,
    pub created_at: OffsetDateTime,
    /// When the account is deleted for good: of one that is deleting, and of a suspended one that was deleted.
    #[serde(default)]
    pub deletion_due_at: Option<OffsetDateTime>,
}

impl User {
    /// Returns the name by which a mail may address the user: only if the address is proved, and only if the name contains
    /// nothing that mail programs make a link of.
    pub fn name_in_mail(&self) -> Option<&str> {
        let name = self
            .display_name
            .as_deref()
            .filter(|_| self.email_verified_at.is_some());
        name.filter(|name| is_plain_in_mail(name))
    }
}
