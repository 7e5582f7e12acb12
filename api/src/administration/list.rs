//! GET /v1/users

use plinth_core::Error;
use plinth_core::page::PageRequest;
use plinth_core::users::{Filter, Users};
use plinth_domain::email::Email;
use plinth_domain::role::RoleName;
use plinth_domain::user::UserStatus;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::UserAccount;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, UsersRead};

pub(crate) struct ListUsers {
    pub(super) users: Users,
}

impl Operation for ListUsers {}

/// A page of accounts, the newest first.
#[derive(Object)]
struct UserPage {
    items: Vec<UserAccount>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ListUsers {
    /// List accounts
    #[oai(path = "/users", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        _caller: Allowed<UsersRead>,
        /// Only the account with this address.
        email: Query<Option<String>>,
        /// Only accounts with this status.
        status: Query<Option<UserStatus>>,
        /// Only accounts with this role.
        role: Query<Option<String>>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<UserPage>> {
        let filter = Filter {
            email: email
                .0
                .as_deref()
                .map(Email::parse_known)
                .transpose()
                .map_err(|rejection| Error::invalid("/query/email", rejection))?,
            status: status.0,
            role: role
                .0
                .as_deref()
                .map(RoleName::parse)
                .transpose()
                .map_err(|rejection| Error::invalid("/query/role", rejection))?,
        };
        let page = self
            .users
            .list(&filter, PageRequest::parse(limit.0, cursor.0.as_deref())?)
            .await?;
        let items = page.items.into_iter().map(UserAccount::from).collect();
        Ok(Json(UserPage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}
