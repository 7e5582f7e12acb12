//! DELETE /v1/me/api-keys/{id}

use plinth_core::api_keys::ApiKeys;
use plinth_domain::id::ApiKeyId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, InSession};

pub(crate) struct RevokeApiKey {
    pub(super) api_keys: ApiKeys,
}

impl Operation for RevokeApiKey {}

#[derive(ApiResponse)]
enum Revoked {
    /// The key was revoked.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RevokeApiKey {
    /// Revoke one of your API keys
    ///
    /// The key is refused from the next request on.
    #[oai(
        path = "/me/api-keys/:id",
        method = "delete",
        operation_id = "revokeApiKey"
    )]
    async fn revoke(
        &self,
        caller: InSession<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Revoked> {
        self.api_keys
            .revoke(&origin.0, caller.user.id, ApiKeyId(id.0))
            .await?;
        Ok(Revoked::Revoked)
    }
}
