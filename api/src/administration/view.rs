//! An account as an administrator sees it.

use plinth_domain::user::User;
use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use uuid::Uuid;

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum UserStatus {
    Active,
    Suspended,
    /// Deleted, and restored or gone for good when its grace period is over.
    Deleting,
}

impl From<UserStatus> for plinth_domain::user::UserStatus {
    fn from(status: UserStatus) -> Self {
        match status {
            UserStatus::Active => Self::Active,
            UserStatus::Suspended => Self::Suspended,
            UserStatus::Deleting => Self::Deleting,
        }
    }
}

/// Somebody's account.
#[derive(Object)]
pub(super) struct UserAccount {
    id: Uuid,
    email: String,
    display_name: Option<String>,
    /// When the address was verified.
    email_verified_at: Option<OffsetDateTime>,
    /// `active`, `suspended` or `deleting`.
    status: String,
    roles: Vec<String>,
    /// Whether a login asks for a second factor.
    has_second_factor: bool,
    created_at: OffsetDateTime,
    /// When the account is deleted for good; null of one that was not deleted.
    deletion_due_at: Option<OffsetDateTime>,
}

impl From<User> for UserAccount {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            email: user.email,
            display_name: user.display_name,
            email_verified_at: user.email_verified_at,
            status: user.status.as_str().to_owned(),
            roles: user.roles,
            has_second_factor: user.has_second_factor,
            created_at: user.created_at,
            deletion_due_at: user.deletion_due_at,
        }
    }
}
