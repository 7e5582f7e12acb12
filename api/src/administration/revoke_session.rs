//! DELETE /v1/users/{id}/sessions/{session_id}

use plinth_core::users::Users;
use plinth_domain::id::{SessionId, UserId};
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct RevokeUserSession {
    pub(super) users: Users,
}

impl Operation for RevokeUserSession {}

#[derive(ApiResponse)]
enum Revoked {
    /// The session has ended.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl RevokeUserSession {
    /// End a session of an account
    ///
    /// Its tokens are refused from the next request on. This also ends an impersonation, which is a
    /// session of the impersonated account.
    #[oai(
        path = "/users/:id/sessions/:session_id",
        method = "delete",
        operation_id = "revokeUserSession"
    )]
    async fn revoke(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        session_id: Path<Uuid>,
    ) -> Result<Revoked> {
        self.users
            .end_session(
                &origin.0,
                caller.in_session(),
                UserId(id.0),
                SessionId(session_id.0),
            )
            .await?;
        Ok(Revoked::Revoked)
    }
}
