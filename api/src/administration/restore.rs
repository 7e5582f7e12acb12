//! POST /v1/users/{id}/restore

use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::view::UserAccount;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct RestoreUser {
    pub(super) auth: Auth,
}

impl Operation for RestoreUser {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::AccountNotDeleting)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl RestoreUser {
    /// Restore a deleted account
    ///
    /// Reverts the deletion during the grace period. Sessions, API keys and share links stay ended;
    /// a suspended account stays suspended.
    #[oai(
        path = "/users/:id/restore",
        method = "post",
        operation_id = "restoreUser"
    )]
    async fn restore(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<UserAccount>> {
        let restored = self
            .auth
            .restore_account_of(&origin.0, caller.in_session(), UserId(id.0))
            .await?;
        Ok(Json(restored.into()))
    }
}
