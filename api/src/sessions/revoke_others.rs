//! DELETE /v1/me/sessions

use plinth_core::auth::Auth;
use poem_openapi::OpenApi;
use poem_openapi::payload::Json;

use super::view::SessionsRevoked;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RevokeOtherSessions {
    pub(super) auth: Auth,
}

impl Operation for RevokeOtherSessions {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RevokeOtherSessions {
    /// End all your other sessions
    ///
    /// The session of the request stays.
    #[oai(
        path = "/me/sessions",
        method = "delete",
        operation_id = "revokeOtherSessions"
    )]
    async fn revoke(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Json<SessionsRevoked>> {
        let revoked = self
            .auth
            .revoke_other_sessions(&origin.0, caller.in_session())
            .await?;
        Ok(Json(SessionsRevoked::of(revoked)))
    }
}
