//! DELETE /v1/users/{id}

use plinth_core::auth::{Auth, DeletionTime};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct DeleteUser {
    pub(super) auth: Auth,
}

impl Operation for DeleteUser {
    const REFUSALS: Refusals = &[&[
        (409, ErrorCode::LastAdministrator),
        (409, ErrorCode::OwnAccount),
    ]];
}

#[derive(ApiResponse)]
enum Deleted {
    /// The account is deleted.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl DeleteUser {
    /// Delete an account
    ///
    /// Sessions, API keys and share links end at once, files are no longer accessible, and the
    /// owner is notified. During the grace period of the deployment the address stays reserved, and
    /// the account can be restored by its owner or by `POST /v1/users/{id}/restore`. After it, the
    /// account is permanently deleted. The last administrator cannot be deleted (409
    /// `last_administrator`).
    #[oai(path = "/users/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        /// Whether to skip the grace period, or to end it. False by default.
        immediately: Query<Option<bool>>,
    ) -> Result<Deleted> {
        let time = match immediately.0 {
            Some(true) => DeletionTime::Now,
            Some(false) | None => DeletionTime::AfterGrace,
        };
        self.auth
            .delete_account_of(&origin.0, caller.in_session(), UserId(id.0), time)
            .await?;
        Ok(Deleted::Deleted)
    }
}
