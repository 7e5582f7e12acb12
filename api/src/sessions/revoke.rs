//! DELETE /v1/me/sessions/{id}

use plinth_core::auth::Auth;
use plinth_domain::id::SessionId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RevokeSession {
    pub(super) auth: Auth,
}

impl Operation for RevokeSession {}

#[derive(ApiResponse)]
enum Revoked {
    /// The session has ended.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RevokeSession {
    /// End one of your sessions
    ///
    /// Its tokens are refused from the next request on.
    #[oai(
        path = "/me/sessions/:id",
        method = "delete",
        operation_id = "revokeSession"
    )]
    async fn revoke(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Revoked> {
        self.auth
            .revoke_session(&origin.0, caller.in_session(), SessionId(id.0))
            .await?;
        Ok(Revoked::Revoked)
    }
}
