//! POST /v1/users/{id}/reactivate

use plinth_core::users::Users;
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

pub(crate) struct ReactivateUser {
    pub(super) users: Users,
}

impl Operation for ReactivateUser {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::AccountDeleting)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ReactivateUser {
    /// Reactivate a suspended account
    ///
    /// The user has to log in again: sessions from before the suspension stay ended.
    #[oai(
        path = "/users/:id/reactivate",
        method = "post",
        operation_id = "reactivateUser"
    )]
    async fn reactivate(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<UserAccount>> {
        Ok(Json(
            self.users
                .reactivate(&origin.0, caller.in_session(), UserId(id.0))
                .await?
                .into(),
        ))
    }
}
