//! POST /v1/auth/refresh

use plinth_core::auth::Auth;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::SessionTokens;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct Refresh {
    pub(super) auth: Auth,
}

/// Which session goes on.
#[derive(Object)]
struct RefreshRequest {
    /// The refresh token that was last given out.
    #[oai(validator(max_length = 256))]
    refresh_token: String,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Refresh {
    /// Refresh a session's tokens
    ///
    /// The refresh token is used up. Presented again within ten seconds it gives the same successor (a lost response,
    /// two tabs); later the session ends, since somebody else must hold a copy.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        origin: RequestOrigin,
        body: Body<RefreshRequest>,
    ) -> Result<Json<SessionTokens>> {
        Ok(Json(self.auth.refresh(&origin.0, &body.0.refresh_token).await?.into()))
    }
}
