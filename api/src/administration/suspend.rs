//! POST /v1/users/{id}/suspend

use plinth_core::Error;
use plinth_core::users::Users;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::text::Reason;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::UserAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct SuspendUser {
    pub(super) users: Users,
}

impl Operation for SuspendUser {
    const REFUSALS: Refusals = &[&[
        (409, ErrorCode::LastAdministrator),
        (409, ErrorCode::OwnAccount),
    ]];
}

/// The reason for a suspension.
#[derive(Object)]
struct SuspendUserRequest {
    /// The reason, for the audit log.
    #[oai(validator(max_length = 500))]
    reason: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl SuspendUser {
    /// Suspend an account
    ///
    /// The account is refused from its next request on. Its sessions end permanently. Its API keys
    /// are refused until the account is reactivated.
    #[oai(
        path = "/users/:id/suspend",
        method = "post",
        operation_id = "suspendUser"
    )]
    async fn suspend(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<SuspendUserRequest>,
    ) -> Result<Json<UserAccount>> {
        let reason = body.0.reason.as_deref().map(Reason::parse).transpose();
        let reason = reason.map_err(|rejection| Error::invalid("/reason", rejection))?;
        let user = self
            .users
            .suspend(
                &origin.0,
                caller.in_session(),
                UserId(id.0),
                reason.as_ref(),
            )
            .await?;
        Ok(Json(user.into()))
    }
}
