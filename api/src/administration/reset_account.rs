//! POST /v1/users/{id}/password/reset

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::text::Reason;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::auth::remaining_factors::RecoveredAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct ResetAccount {
    pub(super) auth: Auth,
}

impl Operation for ResetAccount {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::OwnAccount)]];
}

/// The reason for the reset of an account.
#[derive(Object)]
struct ResetAccountRequest {
    /// How the administrator verified that the owner asked for it; for the audit log.
    #[oai(validator(max_length = 500))]
    reason: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ResetAccount {
    /// Recover an account for its owner
    ///
    /// For an account that an intruder has access to: removes its password, sessions, API keys and
    /// all second factors. Only the link that is mailed to its address lets the owner in again, who
    /// then chooses a new password.
    #[oai(
        path = "/users/:id/password/reset",
        method = "post",
        operation_id = "resetUserPassword"
    )]
    async fn reset(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<ResetAccountRequest>,
    ) -> Result<Json<RecoveredAccount>> {
        let reason = Reason::parse(&body.0.reason)
            .map_err(|rejection| Error::invalid("/reason", rejection))?;
        let caller = caller.in_session();
        let remaining = self
            .auth
            .reset_account(&origin.0, caller, UserId(id.0), &reason)
            .await?;
        Ok(Json(RecoveredAccount::new(remaining)))
    }
}
