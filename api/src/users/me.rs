//! GET /v1/me

use plinth_core::access::Rights;
use plinth_domain::id::UserId;
use plinth_domain::permission::Permission;
use plinth_domain::user::User;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use time::OffsetDateTime;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::json::DirectJson;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, ProfileRead};

pub(crate) struct ReadMe;

impl Operation for ReadMe {}

/// The account of the caller.
#[derive(Object, Serialize)]
pub(super) struct Account {
    id: UserId,
    email: String,
    display_name: Option<String>,
    /// When the e-mail address was verified.
    #[serde(with = "time::serde::rfc3339::option")]
    email_verified_at: Option<OffsetDateTime>,
    roles: Vec<String>,
    /// The permissions of the account, as `resource:action`.
    permissions: Vec<Permission>,
    /// Whether a login requires a second factor.
    has_second_factor: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl Account {
    /// Returns the account of `user` with these rights.
    pub(super) fn of(user: &User, rights: &Rights) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            display_name: user.display_name.clone(),
            email_verified_at: user.email_verified_at,
            roles: user.roles.clone(),
            permissions: rights.permissions.iter().collect(),
            has_second_factor: user.has_second_factor,
            created_at: user.created_at,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ReadMe {
    /// Read your account
    #[oai(path = "/me", method = "get", operation_id = "readMe")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn read(&self, caller: Allowed<ProfileRead>) -> Result<DirectJson<Account>> {
        Ok(DirectJson(Account::of(&caller.user, &caller.rights)))
    }
}

#[cfg(test)]
mod tests {
    use plinth_domain::user::UserStatus;
    use poem_openapi::types::ToJSON as _;

    use super::*;

    #[test]
    fn the_serialized_account_matches_its_schema() {
        let verified = time::macros::datetime!(2026-08-01 12:00:00.123456 UTC);
        for (display_name, email_verified_at) in
            [(None, None), (Some("Ada".to_owned()), Some(verified))]
        {
            let user = User {
                id: UserId(uuid::Uuid::nil()),
                email: "ada@example.org".to_owned(),
                display_name,
                email_verified_at,
                status: UserStatus::Active,
                roles: vec!["member".to_owned()],
                has_second_factor: true,
                created_at: verified,
                deletion_due_at: None,
            };
            let rights = Rights {
                permissions: vec!["profile:read".to_owned()].into(),
                requires_mfa: false,
            };
            let account = Account::of(&user, &rights);
            assert_eq!(
                serde_json::to_value(&account).expect("serialises"),
                account.to_json().expect("documented")
            );
        }
    }
}
