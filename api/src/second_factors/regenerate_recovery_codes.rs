//! POST /v1/me/mfa/recovery-codes

use plinth_core::second_factors::SecondFactors;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RegenerateRecoveryCodes {
    pub(super) factors: SecondFactors,
}

impl Operation for RegenerateRecoveryCodes {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::NoSecondFactor)]];
}

/// New recovery codes.
#[derive(Object)]
struct RecoveryCodes {
    /// Codes that each replace a second factor for one login, shown once.
    recovery_codes: Vec<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RegenerateRecoveryCodes {
    /// Replace your recovery codes
    ///
    /// The previous codes become invalid. The session must have been verified by a second factor
    /// (403 `second_factor_required`).
    #[oai(
        path = "/me/mfa/recovery-codes",
        method = "post",
        operation_id = "regenerateRecoveryCodes"
    )]
    async fn regenerate(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Json<RecoveryCodes>> {
        let recovery_codes = self
            .factors
            .regenerate_recovery_codes(&origin.0, caller.in_session())
            .await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }
}
