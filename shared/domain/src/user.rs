//! Accounts.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::id::UserId;
use crate::permission::Permissions;

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    Suspended,
}

impl UserStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "active" => Some(Self::Active),
            "suspended" => Some(Self::Suspended),
            _ => None,
        }
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
    pub permissions: Permissions,
    pub created_at: OffsetDateTime,
}
