//! POST /v1/users/{id}/mfa/reset

use plinth_core::Error;
use plinth_core::second_factors::SecondFactors;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::text::Reason;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct ResetFactors {
    pub(super) factors: SecondFactors,
}

impl Operation for ResetFactors {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::OwnAccount)]];
}

/// The reason for the removal of second factors.
#[derive(Object)]
struct ResetFactorsRequest {
    /// How the administrator verified that the owner asked for it; for the audit log.
    #[oai(validator(max_length = 500))]
    reason: String,
}

#[derive(ApiResponse)]
enum Reset {
    /// The account has no second factors.
    #[oai(status = 204)]
    Reset,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ResetFactors {
    /// Remove all second factors of an account
    ///
    /// For a user who has lost them: removes authenticator apps, recovery codes and, if the account
    /// has a password, passkeys. Ends the sessions of the account, and notifies its owner.
    #[oai(
        path = "/users/:id/mfa/reset",
        method = "post",
        operation_id = "resetFactors"
    )]
    async fn reset(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<ResetFactorsRequest>,
    ) -> Result<Reset> {
        let reason = Reason::parse(&body.0.reason)
            .map_err(|rejection| Error::invalid("/reason", rejection))?;
        self.factors
            .reset(&origin.0, caller.in_session(), UserId(id.0), &reason)
            .await?;
        Ok(Reset::Reset)
    }
}
