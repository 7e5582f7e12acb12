//! An account in responses to an administrator.

use plinth_domain::id::UserId;
use plinth_domain::user::{User, UserStatus};
use poem_openapi::Object;
use time::OffsetDateTime;

/// An account.
#[derive(Object)]
pub(super) struct UserAccount {
    id: UserId,
    email: String,
    display_name: Option<String>,
    /// When the e-mail address was verified.
    email_verified_at: Option<OffsetDateTime>,
    status: UserStatus,
    roles: Vec<String>,
    /// Whether a login requires a second factor.
    has_second_factor: bool,
    created_at: OffsetDateTime,
    /// When the account is permanently deleted; null if it is not deleted.
    deletion_due_at: Option<OffsetDateTime>,
}

impl From<User> for UserAccount {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            display_name: user.display_name,
            email_verified_at: user.email_verified_at,
            status: user.status,
            roles: user.roles,
            has_second_factor: user.has_second_factor,
            created_at: user.created_at,
            deletion_due_at: user.deletion_due_at,
        }
    }
}
