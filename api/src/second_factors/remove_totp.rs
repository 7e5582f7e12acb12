//! DELETE /v1/me/mfa/totp/{id}

use plinth_core::second_factors::SecondFactors;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::TotpFactorId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RemoveTotp {
    pub(super) factors: SecondFactors,
}

impl Operation for RemoveTotp {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::SecondFactorRequired)]];
}

#[derive(ApiResponse)]
enum Removed {
    /// The app was removed, and its codes are no longer accepted.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RemoveTotp {
    /// Remove an authenticator app
    ///
    /// Removing the last second factor also removes the recovery codes. 409
    /// `second_factor_required` if a role requires a second factor. The session must have been
    /// verified by a second factor (403 `second_factor_required`).
    #[oai(
        path = "/me/mfa/totp/:id",
        method = "delete",
        operation_id = "removeTotp"
    )]
    async fn remove(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Removed> {
        self.factors
            .remove_totp(&origin.0, caller.in_session(), TotpFactorId(id.0))
            .await?;
        Ok(Removed::Removed)
    }
}
