//! POST /v1/me/mfa/totp/{id}/confirm

use plinth_core::second_factors::SecondFactors;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::TotpFactorId;
use plinth_domain::one_time_code::OneTimeCode;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Enrolling};

pub(crate) struct ConfirmTotp {
    pub(super) factors: SecondFactors,
}

impl Operation for ConfirmTotp {
    const REFUSALS: Refusals = &[&[(403, ErrorCode::SecondFactorRequired)]];
}

/// The proof that the app has the secret.
#[derive(Object)]
struct ConfirmTotpRequest {
    /// The current code of the app. Spaces and dashes are ignored.
    #[oai(validator(max_length = 16))]
    code: String,
}

/// A confirmed authenticator app.
#[derive(Object)]
struct TotpConfirmation {
    /// Codes that each replace the app for one login, shown once. Null if the account has recovery
    /// codes already.
    recovery_codes: Option<Vec<String>>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ConfirmTotp {
    /// Confirm an authenticator app by its first code
    ///
    /// From now on, logins require a second factor. After the next refresh, the tokens of this
    /// session count as verified by it.
    #[oai(
        path = "/me/mfa/totp/:id/confirm",
        method = "post",
        operation_id = "confirmTotp"
    )]
    async fn confirm(
        &self,
        caller: Enrolling<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<ConfirmTotpRequest>,
    ) -> Result<Json<TotpConfirmation>> {
        let code = OneTimeCode::normalise(&body.0.code);
        let (caller, id) = (caller.in_session(), TotpFactorId(id.0));
        let confirmed = self
            .factors
            .confirm_totp(&origin.0, caller, id, &code)
            .await?;
        Ok(Json(TotpConfirmation {
            recovery_codes: confirmed.recovery_codes,
        }))
    }
}
