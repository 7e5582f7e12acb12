//! GET /v1/me/sessions

use plinth_core::auth::Auth;
use plinth_core::page::PageRequest;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use super::view::SessionPage;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{CredentialsRead, InSession};

pub(crate) struct ListSessions {
    pub(super) auth: Auth,
}

impl Operation for ListSessions {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListSessions {
    /// List your sessions
    ///
    /// Returns the newest first.
    #[oai(path = "/me/sessions", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        caller: InSession<CredentialsRead>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<SessionPage>> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref())?;
        let sessions = self.auth.list_sessions(caller.user.id, page).await?;
        Ok(Json(SessionPage::of(
            sessions,
            Some(caller.login().session),
        )))
    }
}
