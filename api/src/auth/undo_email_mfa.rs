//! POST /v1/auth/email/undo/mfa

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::login_mfa::proof_of;
use super::remaining_factors::RecoveredAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::json::JsonObject;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct UndoEmailMfa {
    pub(super) auth: Auth,
}

impl Operation for UndoEmailMfa {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::InvalidChallenge),
        (401, ErrorCode::InvalidSecondFactor),
        (409, ErrorCode::EmailTaken),
        (409, ErrorCode::PasskeysUnavailable),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// A second factor: exactly one of `code`, `recovery_code` and `credential`.
#[derive(Object)]
struct UndoEmailMfaRequest {
    /// The challenge that the undo gave.
    #[oai(validator(max_length = 256))]
    challenge: String,
    /// What an authenticator app shows.
    #[oai(validator(max_length = 16))]
    code: Option<String>,
    /// One of the recovery codes; it is used up.
    #[oai(validator(max_length = 64))]
    recovery_code: Option<String>,
    /// What `navigator.credentials.get` gives for `passkey_options`.
    credential: Option<JsonObject>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl UndoEmailMfa {
    /// Complete the undo of a change of address with a second factor
    ///
    /// Takes a factor that the account had before the change. A challenge is good for a few minutes and a few wrong answers;
    /// the mailed token works until one is completed.
    #[oai(
        path = "/email/undo/mfa",
        method = "post",
        operation_id = "undoEmailMfa"
    )]
    async fn undo(
        &self,
        origin: RequestOrigin,
        body: Body<UndoEmailMfaRequest>,
    ) -> Result<Json<RecoveredAccount>> {
        let request = body.0;
        let proof = proof_of(request.code, request.recovery_code, request.credential)?;
        let remaining = self
            .auth
            .prove_email_undo(&origin.0, &request.challenge, proof)
            .await?;
        Ok(Json(RecoveredAccount::with(remaining)))
    }
}
