//! DELETE /v1/me/sessions

use plinth_core::auth::Auth;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RevokeOtherSessions {
    pub(super) auth: Auth,
}

/// What was ended.
#[derive(Object)]
pub(crate) struct SessionsRevoked {
    /// How many sessions.
    pub(crate) revoked: u64,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RevokeOtherSessions {
    /// End all other own sessions
    ///
    /// The one that the request comes with stays.
    #[oai(path = "/me/sessions", method = "delete", operation_id = "revokeOtherSessions")]
    async fn revoke(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Json<SessionsRevoked>> {
        let stays = Some(caller.login().session);
        let revoked = self.auth.revoke_sessions(&origin.0, caller.user.id, stays).await?;
        Ok(Json(SessionsRevoked { revoked: u64::try_from(revoked).unwrap_or(u64::MAX) }))
    }
}
