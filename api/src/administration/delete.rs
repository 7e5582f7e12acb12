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
    /// Its sessions, API keys and share links end at once and its files are not found any more; its owner is told. For the
    /// grace period of the deployment its address stays reserved and the account can be restored, by its owner or by
    /// `POST /v1/users/{id}/restore`; then it goes for good. The last administrator stays (409 `last_administrator`).
    #[oai(path = "/users/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        /// Whether it goes for good at once, also if it is in its grace period.
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
