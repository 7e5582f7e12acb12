//! DELETE /v1/users/{id}/sessions

use plinth_core::users::Users;
use plinth_domain::id::UserId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};
use crate::sessions::view::SessionsRevoked;

pub(crate) struct RevokeUserSessions {
    pub(super) users: Users,
}

impl Operation for RevokeUserSessions {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl RevokeUserSessions {
    /// End all sessions of an account
    ///
    /// Their tokens are refused from the next request on.
    #[oai(
        path = "/users/:id/sessions",
        method = "delete",
        operation_id = "revokeUserSessions"
    )]
    async fn revoke(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<SessionsRevoked>> {
        let revoked = self
            .users
            .end_sessions(&origin.0, caller.in_session(), UserId(id.0))
            .await?;
        Ok(Json(SessionsRevoked::of(revoked)))
    }
}
