//! GET /v1/me/mfa/recovery-codes

use plinth_core::second_factors::SecondFactors;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{CredentialsRead, InSession};

pub(crate) struct ReadRecoveryCodes {
    pub(super) factors: SecondFactors,
}

impl Operation for ReadRecoveryCodes {}

/// The number of recovery codes; the codes themselves are shown only once.
#[derive(Object)]
struct RecoveryCodesLeft {
    /// The number of unused recovery codes.
    left: u32,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ReadRecoveryCodes {
    /// Count your recovery codes
    #[oai(
        path = "/me/mfa/recovery-codes",
        method = "get",
        operation_id = "readRecoveryCodes"
    )]
    async fn read(&self, caller: InSession<CredentialsRead>) -> Result<Json<RecoveryCodesLeft>> {
        let left = self.factors.recovery_codes_left(caller.user.id).await?;
        Ok(Json(RecoveryCodesLeft { left }))
    }
}
