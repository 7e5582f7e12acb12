//! GET /v1/users/{id}/sessions

use plinth_core::auth::Auth;
use plinth_core::page::PageRequest;
use plinth_core::users::Users;
use plinth_domain::id::UserId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, UsersRead};
use crate::sessions::view::SessionPage;

pub(crate) struct ListUserSessions {
    pub(super) users: Users,
    pub(super) auth: Auth,
}

impl Operation for ListUserSessions {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ListUserSessions {
    /// List the sessions of an account
    ///
    /// Returns the newest first.
    #[oai(
        path = "/users/:id/sessions",
        method = "get",
        operation_id = "listUserSessions"
    )]
    async fn list(
        &self,
        caller: Allowed<UsersRead>,
        id: Path<Uuid>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<SessionPage>> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref())?;
        let user = self.users.read(UserId(id.0)).await?;
        let sessions = self.auth.list_sessions(user.id, page).await?;
        Ok(Json(SessionPage::of(
            sessions,
            caller.login().map(|login| login.session),
        )))
    }
}
