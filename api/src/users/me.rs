//! GET /v1/me

use plinth_domain::user::User;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::principal::{Allowed, ProfileRead};

pub(crate) struct ReadMe;

/// An account as its owner sees it.
#[derive(Object)]
pub(super) struct Account {
    id: Uuid,
    email: String,
    display_name: Option<String>,
    /// When the address was verified.
    email_verified_at: Option<OffsetDateTime>,
    roles: Vec<String>,
    /// What the account may do, as `resource:action`.
    permissions: Vec<String>,
    created_at: OffsetDateTime,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.clone(),
            display_name: user.display_name.clone(),
            email_verified_at: user.email_verified_at,
            roles: user.roles.clone(),
            permissions: user.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
            created_at: user.created_at,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ReadMe {
    /// Read the own account
    #[oai(path = "/me", method = "get", operation_id = "readMe")]
    #[expect(
        clippy::unused_async,
        reason = "an operation is async, also one whose caller was all that it needs"
    )]
    async fn read(&self, caller: Allowed<ProfileRead>) -> Result<Json<Account>> {
        Ok(Json(Account::from(&*caller.user)))
    }
}
